"""The members of a layer's tar, written the same way everywhere: sorted by path, PAX headers where
the old ones cannot say it, owners by number, one time for all.

https://github.com/opencontainers/image-spec/blob/main/layer.md
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from tritonbuild.digest import Digest
from tritonbuild.merkle import Entry, File, Folder, Symlink
from tritonbuild.oci.recipe import Recipe, joined

Kind = Literal["file", "folder", "link", "hardlink"]
_TYPES = {
    "file": tarfile.REGTYPE,
    "folder": tarfile.DIRTYPE,
    "link": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
}
END = b"\0" * 1024
_XATTR = "SCHILY.xattr."


@dataclass(frozen=True)
class Member:
    path: str
    """Without a leading or trailing slash."""
    kind: Kind = "file"
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    """Seconds since 1970."""
    content: Digest | bytes = b""
    target: str = ""
    """Of a link: as it is written there. Of a hard link: the path of the other file in the tar."""
    xattrs: Mapping[str, bytes] = field(default_factory=dict)
    """Such as `security.capability`."""

    @property
    def size(self) -> int:
        if self.kind != "file":
            return 0
        return self.content.size if isinstance(self.content, Digest) else len(self.content)


def recipe_of(members: Iterable[Member]) -> Recipe:
    """The tar of members, whose paths are all different; a hard link stands after its target."""
    ordered = sorted(members, key=lambda member: (member.kind == "hardlink", member.path))
    return joined((*(Recipe(tuple(_parts(member))) for member in ordered), Recipe((END,))))


def members_of(
    entry: Entry, path: str, *, uid: int = 0, gid: int = 0, mtime: int = 0
) -> Iterator[Member]:
    """What lies in a folder, and the folder itself, as members below `path`; everyone may read."""
    match entry:
        case Folder():
            if path:
                yield Member(path, "folder", 0o755, uid, gid, mtime)
            for name, below in entry.entries.items():
                inner = f"{path}/{name}" if path else name
                yield from members_of(below, inner, uid=uid, gid=gid, mtime=mtime)
        case File(digest, executable):
            mode = 0o755 if executable else 0o644
            yield Member(path, "file", mode, uid, gid, mtime, digest)
        case Symlink(target):
            yield Member(path, "link", 0o777, uid, gid, mtime, target=target)


def header_of(member: Member) -> bytes:
    """What stands in a tar before a member's content."""
    info = tarfile.TarInfo(member.path)
    info.type = _TYPES[member.kind]
    info.mode, info.uid, info.gid, info.mtime = member.mode, member.uid, member.gid, member.mtime
    info.linkname = member.target
    info.size = member.size
    info.pax_headers = {
        f"{_XATTR}{name}": value.decode(errors="surrogateescape")
        for name, value in sorted(member.xattrs.items())
    }
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _parts(member: Member) -> Iterator[bytes | Digest]:
    yield header_of(member)
    if member.size:
        yield member.content
        if padding := -member.size % tarfile.BLOCKSIZE:
            yield b"\0" * padding
