"""What a layer holds, from its tar, in one pass over what nobody vouches for.

Refused is what Docker would refuse, such as a path that comes twice, what would be made outside of
the root, and what the programs that unpack layers do not agree on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from tritonbuild.oci.errors import Invalid
from tritonbuild.oci.listing import TEXT_LIMIT, Listed, Listing, is_text
from tritonbuild.oci.untar import Head, Untar

MOST = 1_000_000
"""Members of a layer."""
_NAMES = 256 << 20
"""Bytes of all their paths and those of the folders above."""
_NAME = 255
"""Bytes that a file system takes of a name."""
_FREE, _RATIO = 1 << 30, 200
"""A tar may have so many bytes, or so many times those of its blob."""
_TOLD = 20
"""Faults of one layer."""
_WHITEOUT, _META, _OPAQUE = ".wh.", ".wh..wh.", ".wh..wh..opq"


def allowed(size: int) -> int:
    """Bytes that the tar in a blob of a size may have."""
    return max(_FREE, _RATIO * size)


class Watch(Protocol):
    """Sees what is listed as it is read."""

    def member(self, path: str, head: Head) -> None:
        """The next entry of the listing."""

    def content(self, piece: bytes) -> None:
        """Of that entry."""


def index_layer(
    tar: BinaryIO, limit: int, check: Callable[[], None] = lambda: None, watch: Watch | None = None
) -> Listing:
    """Reads a tar to its end; `check` is called now and then. Raises Invalid with the faults of its
    members and the first of its form; also where it has more than `limit` bytes."""
    indexing = _Indexing(check, watch)
    untar = Untar(tar, limit)
    faults: list[str] = []
    try:
        for head in untar:
            try:
                indexing.add(head, untar)
            except _Hostile as fault:
                faults.append(str(fault))
                if len(faults) == _TOLD:
                    break
    except Invalid as damage:
        faults += damage.faults
    if faults:
        raise Invalid(*faults, expected="a layer as the OCI image specification has it")
    return Listing(tuple(indexing.entries.values()), indexing.texts)


class _Hostile(Exception):
    """A member is what no honest one is."""


class _Indexing:
    def __init__(self, check: Callable[[], None], watch: Watch | None) -> None:
        self._check = check
        self._watch = watch
        self.entries: dict[str, Listed] = {}
        """By path; those that remove, by the path of their mark."""
        self.texts: dict[str, str] = {}
        self._above = {""}
        """What something lies below: folders, and links to some."""
        self._names = _NAMES
        self._text = TEXT_LIMIT

    def add(self, head: Head, untar: Untar) -> None:
        self._check()
        path = _path(head.name)
        if not path:
            if head.kind != "folder":
                raise _Hostile(f"{head.name!r} takes the place of the root")
            return
        names = path.split("/")
        if any(name.startswith(_META) and name != _OPAQUE for name in names):
            return  # of AUFS, which nobody heeds
        if any(name.startswith(_WHITEOUT) for name in names[:-1]):
            raise _Hostile(f"{head.name!r} lies in a whiteout")
        if len(self.entries) == MOST:
            raise Invalid(f"a layer has more than {MOST} members")
        self._count(path)
        self._count(head.target)
        self._enter(path)
        if self._watch is not None:
            self._watch.member(path, head)
        if names[-1].startswith(_WHITEOUT):
            self._remove(path, head)
        else:
            self._put(path, head, untar)

    def _count(self, name: str) -> None:
        self._names -= len(name)
        if self._names < 0:
            raise Invalid(f"the names in a layer have more than {_NAMES >> 20} MiB")

    def _enter(self, path: str) -> None:
        """The folders above a path."""
        folder = path.rpartition("/")[0]
        while folder not in self._above:
            entry = self.entries.get(folder)
            if entry is not None and entry.kind not in ("folder", "link"):
                raise _Hostile(f"{path!r} lies below a {entry.kind}")
            self._count(folder)
            self._above.add(folder)
            folder = folder.rpartition("/")[0]

    def _remove(self, path: str, head: Head) -> None:
        folder, _, name = path.rpartition("/")
        if name == _OPAQUE:
            self.entries[path] = Listed(folder, "opaque")
            return
        gone = name.removeprefix(_WHITEOUT)
        if gone in ("", ".", ".."):
            raise _Hostile(f"{head.name!r} removes {gone!r}")
        removed = f"{folder}/{gone}".lstrip("/")
        if removed in self.entries or removed in self._above:
            raise _Hostile(f"{head.name!r} removes what came before it in the same layer")
        self.entries[path] = Listed(removed, "whiteout")

    def _put(self, path: str, head: Head, untar: Untar) -> None:
        if path in self.entries:
            raise _Hostile(f"{path!r} comes twice")
        if path in self._above and head.kind != "folder":
            raise _Hostile(f"{path!r} is a {head.kind} in the place of what others lie below")
        target, digest = head.target, ""
        match head.kind:
            case "file":
                digest = self._content(path, head, untar)
            case "link" if not target:
                raise _Hostile(f"{path!r} is a link to nothing")
            case "hardlink":
                target = self._linked_to(path, head)
            case "device" if head.number == (0, 0):
                raise _Hostile(f"{path!r} is the device 0, 0, with which overlayfs removes files")
        self.entries[path] = Listed(
            path, head.kind, head.mode, head.uid, head.gid, head.size, digest, target
        )

    def _linked_to(self, path: str, head: Head) -> str:
        target = _path(head.target)
        entry = self.entries.get(target)
        name = target.rpartition("/")[2]
        folder = target in self._above or (entry is not None and entry.kind == "folder")
        if target in ("", path) or folder or name.startswith(_WHITEOUT):
            raise _Hostile(f"{path!r} is a hard link to {head.target!r}, which is no file")
        return target

    def _content(self, path: str, head: Head, untar: Untar) -> str:
        sha, text = hashlib.sha256(), bytearray()
        kept = is_text(path)
        if kept:
            self._text -= head.size
            if self._text < 0:
                raise _Hostile(f"{path!r} makes more than {TEXT_LIMIT >> 20} MiB of system files")
        for piece in untar.content():
            self._check()
            sha.update(piece)
            if kept:
                text += piece
            if self._watch is not None:
                self._watch.content(piece)
        if kept:
            self.texts[path] = text.decode(errors="surrogateescape")
        return sha.hexdigest()


def _path(said: str) -> str:
    names = [name for name in said.split("/") if name not in ("", ".")]
    if ".." in names:
        raise _Hostile(f"{said!r} leads out of the root")
    if any(len(name.encode(errors="surrogateescape")) > _NAME for name in names):
        raise _Hostile(f"{said!r} holds a name of more than {_NAME} bytes")
    return "/".join(names)
