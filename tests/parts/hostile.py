"""Layers as attackers and broken programs write them, header by header."""

from __future__ import annotations

import tarfile
from collections.abc import Mapping
from typing import Any

END = b"\0" * 1024


def head(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0, **more: Any) -> bytes:
    """A header alone, in the old format."""
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    for key, value in more.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def member(name: str, content: bytes = b"x", **more: Any) -> bytes:
    return head(name, size=len(content), **more) + content + bytes(-len(content) % 512)


def link(name: str, target: str) -> bytes:
    return head(name, tarfile.SYMTYPE, linkname=target)


def hard(name: str, target: str) -> bytes:
    return head(name, tarfile.LNKTYPE, linkname=target)


def folder(name: str) -> bytes:
    return head(name, tarfile.DIRTYPE)


def pax(records: Mapping[str, str] | bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    """A header of records, or of raw bytes in their place."""
    if not isinstance(records, bytes):
        records = b"".join(_record(f" {k}={v}\n".encode()) for k, v in records.items())
    return head("pax", kind, len(records)) + records + bytes(-len(records) % 512)


def _record(rest: bytes) -> bytes:
    length = len(rest) + 1
    while len(str(length)) + len(rest) != length:
        length += 1
    return str(length).encode() + rest


def damaged(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


LAYERS: dict[str, tuple[bytes, str]] = {
    # What would be made outside of the root.
    "parent": (member("../x") + END, "leads out of the root"),
    "parent inside": (member("a/../../x") + END, "leads out of the root"),
    "parent that comes back": (member("a/../b") + END, "leads out of the root"),
    "parent in pax": (pax({"path": "../x"}) + member("a") + END, "leads out of the root"),
    "parent in a long name": (
        head("L", tarfile.GNUTYPE_LONGNAME, 5) + b"../x\0".ljust(512, b"\0") + member("a") + END,
        "leads out of the root",
    ),
    "absolute parent": (member("/../etc/passwd") + END, "leads out of the root"),
    "hard link out": (hard("a", "../../etc/passwd") + END, "leads out of the root"),
    "hard link out by pax": (
        pax({"linkpath": "../../etc/passwd"}) + hard("a", "b") + END,
        "leads out of the root",
    ),
    "root as a file": (member("./") + END, "takes the place of the root"),
    "root as a link": (link(".", "/etc") + END, "takes the place of the root"),
    # What programs do not agree on.
    "below a file": (member("a") + member("a/b") + END, "lies below a file"),
    "below a hard link": (
        member("f") + hard("a", "f") + member("a/b") + END,
        "lies below a hardlink",
    ),
    "below a device": (
        head("a", tarfile.FIFOTYPE) + member("a/b") + END,
        "lies below a device",
    ),
    "file over folder": (member("a/b") + member("a") + END, "in the place of"),
    "link over folder": (member("a/b") + link("a", "/etc") + END, "in the place of"),
    "file twice": (member("a") + member("./a", b"other") + END, "'a' comes twice"),
    "folder twice": (folder("a") + folder("a/") + END, "'a' comes twice"),
    "file over link": (link("a", "/etc/passwd") + member("a") + END, "'a' comes twice"),
    "folder over link": (
        link("a", "/etc") + member("a/b") + folder("a") + END,
        "'a' comes twice",
    ),
    "over a hard link's file": (
        member("a") + hard("b", "a") + member("a", b"other") + END,
        "'a' comes twice",
    ),
    "hard link to itself": (hard("a", "./a") + END, "which is no file"),
    "hard link to a folder": (folder("a") + hard("b", "a") + END, "which is no file"),
    "hard link to the root": (hard("b", "/") + END, "which is no file"),
    "hard link to a whiteout": (member(".wh.a") + hard("b", ".wh.a") + END, "which is no file"),
    "link to nothing": (link("a", "") + END, "is a link to nothing"),
    "device that removes": (
        head("a", tarfile.CHRTYPE, devmajor=0, devminor=0) + END,
        "with which overlayfs removes",
    ),
    # Marks.
    "whiteout of nothing": (member("a/.wh.") + END, "removes ''"),
    "whiteout of the folder": (member("a/.wh..") + END, "removes '.'"),
    "whiteout of the parent": (member("a/.wh...") + END, "removes '..'"),
    "whiteout of its own": (member("a") + member(".wh.a") + END, "what came before it"),
    "whiteout of its own folder": (member("a/b") + member(".wh.a") + END, "what came before it"),
    "file in a whiteout": (member(".wh.a/b") + END, "lies in a whiteout"),
    # Names.
    "name too long": (pax({"path": "n" * 256}) + member("a") + END, "more than 255 bytes"),
    "path too long": (pax({"path": "n/" * 2049}) + member("a") + END, "more than 4096 bytes"),
    "target too long": (
        pax({"linkpath": "n/" * 2049}) + link("a", "b") + END,
        "more than 4096 bytes",
    ),
    "zero byte in a name": (pax({"path": "a\0b"}) + member("a") + END, "zero byte"),
    # Form.
    "no tar": (b"no tar at all".ljust(1024), "is damaged"),
    "empty name of a file": (member("") + END, "takes the place of the root"),
    "damaged header": (damaged(member("a"), 3) + END, "is damaged"),
    "damaged second header": (
        member("a") + damaged(member("b"), 3) + END,
        "is damaged: bad checksum",
    ),
    "cut in a header": (member("a") + member("b")[:300], "is cut short"),
    "cut in a content": (member("a", b"x" * 5000)[:3000], "is cut short"),
    "cut in a content of two": (member("a") + member("b", b"x" * 600)[:1100], "is cut short"),
    "cut in pax": (pax({"path": "b"})[:700], "is cut short"),
    "cut after pax": (pax({"path": "b"}) + END, "ends after a header"),
    "goes on after its end": (member("a") + END + member("b") + END, "goes on after its end"),
    "goes on after one block": (member("a") + END[:512] + member("b"), "goes on after its end"),
    "negative size": (head("a", size=-1) + END, "whose size is none"),
    "size beyond all": (pax({"size": "9" * 19}) + member("a") + END, "whose size is none"),
    "size that is no number": (pax({"size": "1e3"}) + member("a") + END, "whose size is none"),
    "negative owner": (pax({"uid": "-1"}) + member("a") + END, "whose uid is none"),
    "link with content": (head("a", tarfile.SYMTYPE, 512, linkname="b") + END, "with content"),
    "folder with content": (head("a", tarfile.DIRTYPE, 512) + bytes(512) + END, "with content"),
    "unknown type": (head("a", b"Z") + END, "of the unknown type"),
    "old sparse file": (head("a", tarfile.GNUTYPE_SPARSE) + END, "of the unknown type"),
    "sparse file": (
        pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}) + member("a") + END,
        "holes left out",
    ),
    "pax without length": (pax(b"path=b\n") + member("a") + END, "damaged pax header"),
    "pax length too long": (pax(b"99 path=b\n") + member("a") + END, "damaged pax header"),
    "pax length zero": (pax(b"0 path=b\n") + member("a") + END, "damaged pax header"),
    "huge pax": (head("pax", tarfile.XHDTYPE, 1 << 40) + bytes(1024), "KiB of headers"),
    "negative pax": (head("pax", tarfile.XHDTYPE, -512) + bytes(1024), "KiB of headers"),
    "endless headers": (
        (head("L", tarfile.GNUTYPE_LONGNAME, 512) + b"n" * 512) * 1100,
        "KiB of headers",
    ),
    "huge long name": (head("L", tarfile.GNUTYPE_LONGNAME, 1 << 33) + END, "KiB of headers"),
    "huge system file": (
        head("var/lib/dpkg/status", size=1 << 33) + bytes(4096),
        "MiB of system files",
    ),
}
"""What it is → its tar and what is said of it."""
