"""What is in a .deb, as it is to lie in an image.

With merged `/usr`, so that no layer replaces the links that the root has there. Left out, as in
Debian's slim images: manuals, documentation but copyrights, and translations of messages.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

from tritonbuild.oci import Member
from tritonbuild.rule import ActionError, Problem

from ..python.debian import need_lzma
from .pool import relations

LINKS = {
    **{name: f"usr/{name}" for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32")},
    "var/lock": "run/lock",
    "var/run": "run",
}
"""Folders of packages that are links in a root → where they lead."""
_CHUNK = 1 << 20
_INFO = "var/lib/dpkg/info"
_LEFT_OUT = re.compile(
    r"usr/share/(?:man|info|lintian|linda)/.|usr/share/locale/(?!locale\.alias$)."
    r"|usr/share/doc/[^/]+/(?!copyright$)."
)


@dataclass(frozen=True, eq=False)
class Deb:
    fields: Mapping[str, str]
    """Of its control file."""
    members: Sequence[Member]
    md5sums: str
    conffiles: str

    @property
    def name(self) -> str:
        return self.fields["Package"]

    def replaces(self, other: Deb) -> bool:
        """Whether its files win over another's of the same path."""
        return any(
            one.name == other.name and one.holds(other.fields["Version"])
            for group in relations(self.fields.get("Replaces", ""))
            for one in group
        )

    def info(self, members: Iterable[Member], epoch: int) -> Iterator[Member]:
        """What dpkg keeps of an installed package with these members, so that it, and those who
        look for holes, know whose files there are: what is left out stands in no list."""
        name = self.name
        if self.fields.get("Multi-Arch") == "same":
            name += f":{self.fields['Architecture']}"
        there = {member.path for member in members}
        listed = "".join(f"/{path}\n" for path in (".", *sorted(there)))
        sums = (line.partition("  ") for line in self.md5sums.splitlines())
        kept = (f"{md5}  {merged(path)}\n" for md5, _, path in sums if merged(path) in there)
        for ending, text in (("list", listed), ("md5sums", "".join(kept))):
            content = text.encode(errors="surrogateescape")
            yield Member(f"{_INFO}/{name}.{ending}", mtime=epoch, content=content)

    @property
    def status(self) -> str:
        """Its paragraph in dpkg's status."""
        lines = [f"{name}: {value}" for name, value in self.fields.items()]
        lines.insert(1, "Status: install ok installed")
        contents = {f"/{m.path}": m.content for m in self.members if isinstance(m.content, bytes)}
        conffiles = [
            f" {path} {hashlib.md5(contents[path], usedforsecurity=False).hexdigest()}"
            for path in self.conffiles.splitlines()
            if path in contents
        ]
        if conffiles:
            lines += ["Conffiles:", *conffiles]
        return "\n".join(lines) + "\n\n"


def merged(path: str) -> str:
    """Where a package's path lies when /bin and the like are links."""
    for link, target in LINKS.items():
        if path == link or path.startswith(f"{link}/"):
            return target + path[len(link) :]
    return path


def read_deb(package: BinaryIO, name: str, epoch: int) -> Deb:
    """Raises ActionError for a damaged package, and for what an image must not have."""
    need_lzma()
    import lzma
    import zlib
    from gzip import BadGzipFile

    from debian.arfile import ArError, ArFile
    from debian.deb822 import Deb822
    from zstandard import ZstdError

    try:
        parts = {part.name.partition(".")[0]: part for part in ArFile(fileobj=package)}
        with _tar(parts["control"]) as tar:
            control = {_path(info): _content(tar, info) for info in tar if info.isfile()}
        with _tar(parts["data"]) as tar:
            members = list(_members(tar, name, epoch))
        texts = {key: content.decode(errors="surrogateescape") for key, content in control.items()}
        fields = Deb822(texts["control"])
        return Deb(fields, members, texts.get("md5sums", ""), texts.get("conffiles", ""))
    except (
        ArError, BadGzipFile, EOFError, KeyError, ZstdError, lzma.LZMAError, tarfile.TarError,
        zlib.error,
    ) as error:  # fmt: skip
        raise ActionError(Problem(f"{name} is damaged: {error}", "a Debian package")) from None


@contextmanager
def _tar(part: Any) -> Iterator[tarfile.TarFile]:
    """The tar in a part of a package, whose checksums are verified when all of it was read."""
    from gzip import GzipFile
    from lzma import LZMAFile

    from zstandard import ZstdDecompressor

    stream: Any = part
    match part.name.rpartition(".")[2]:
        case "xz":
            stream = LZMAFile(part)  # noqa: SIM115
        case "gz":
            stream = GzipFile(fileobj=part)
        case "zst":
            stream = ZstdDecompressor().stream_reader(part, read_across_frames=True)
    with (
        stream,
        tarfile.open(fileobj=stream, mode="r|", encoding="utf-8", errors="surrogateescape") as tar,
    ):
        yield tar
        while stream.read(_CHUNK):
            pass


def _path(info: tarfile.TarInfo) -> str:
    return posixpath.normpath(info.name).lstrip("/")


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(info)
    assert file is not None, "it is a file"
    return file.read()


def _members(tar: tarfile.TarFile, name: str, epoch: int) -> Iterator[Member]:
    for info in tar:
        path = _path(info)
        if path == "." or _LEFT_OUT.match(path):
            continue
        if path in LINKS and not info.isdir():
            continue  # the link itself
        if path.split("/")[0] == "..":
            raise ActionError(Problem(f"{name}: {info.name} leads out of the root"))
        mode = info.mode & 0o7777
        plain = Member(merged(path), mode=mode, uid=info.uid, gid=info.gid, mtime=epoch)
        yield _member(tar, info, name, plain)


def _member(tar: tarfile.TarFile, info: tarfile.TarInfo, name: str, plain: Member) -> Member:
    if info.isfile():
        return replace(plain, content=_content(tar, info))
    if info.isdir():
        return replace(plain, kind="folder")
    if info.issym():
        return replace(plain, kind="link", target=info.linkname)
    if info.islnk():
        target = merged(posixpath.normpath(info.linkname).lstrip("/"))
        return replace(plain, kind="hardlink", target=target)
    raise ActionError(Problem(f"{name}: {info.name} is a device", "files, folders and links"))
