"""What is in an archive, member by member: zip and tar told alike."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import tarfile
    import zipfile

_LONGEST = 4096
"""Bytes of a link's target that a system takes (PATH_MAX)."""
_HEADERS = 1 << 20
"""Bytes that may stand before the content of a tar archive's member: long names and pax headers."""
_GLOBAL = 100
"""Pax headers that may be said of all members."""


class Kind(Enum):
    FILE = auto()
    FOLDER = auto()
    LINK = auto()
    """A symbolic link."""
    SAME = auto()
    """A hard link: the content of a member that came before."""
    OTHER = auto()
    """A device, a pipe and the like."""


class Unreadable(Exception):
    """Not an archive, a damaged one, or one that this Python cannot read."""


@dataclass(frozen=True)
class Member:
    name: str
    """As the archive says."""
    kind: Kind
    mode: int
    size: int
    """Bytes, as the archive declares them; no more are read."""
    target: str
    """Of a link."""
    open: Callable[[], IO[bytes]]
    """To be read before the next member is asked for."""


def members(archive: Path) -> Iterator[Member]:
    """In their order. To be used, as what is read of them, inside of `reading`."""
    import zipfile

    with archive.open("rb") as file:
        head = file.read(4)
    if head.startswith(b"PK"):
        with zipfile.ZipFile(archive) as opened:
            yield from (_of_zip(opened, info) for info in opened.infolist())
    elif head == b"\x28\xb5\x2f\xfd":
        raise Unreadable("it is compressed with zstd")
    else:
        yield from _tar(archive, head)


def _tar(archive: Path, head: bytes) -> Iterator[Member]:
    import tarfile

    with _plain(archive, head) as plain:
        file = _Bounded(plain)
        with tarfile.open(fileobj=cast("IO[bytes]", file), mode="r:") as read:
            while (info := read.next()) is not None:
                cast("Any", read).members.clear()  # it would remember them all
                if len(read.pax_headers) > _GLOBAL:
                    raise Unreadable(f"it says more than {_GLOBAL} things of all members")
                file.left = None
                yield _of_tar(read, info)
                file.left = _HEADERS


def _plain(archive: Path, head: bytes) -> IO[bytes]:
    """Uncompressed."""
    import bz2
    import gzip
    import lzma

    if head.startswith(b"\x1f\x8b"):
        return cast("IO[bytes]", gzip.open(archive))
    if head.startswith(b"BZh"):
        return bz2.open(archive)
    if head.startswith((b"\xfd7zX", b"\x5d\0\0")):
        return lzma.open(archive)
    return archive.open("rb")


class _Bounded:
    """What `tarfile` reads from; it takes headers of any size into memory."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.left: int | None = _HEADERS
        """Bytes that may still be read; None: any number."""
        self.tell, self.seek = file.tell, file.seek

    def read(self, size: int) -> bytes:
        if self.left is not None:
            if size > self.left:
                raise Unreadable(f"a member has more than {_HEADERS >> 10} KiB of headers")
            self.left -= size
        return self._file.read(size)


@contextmanager
def reading() -> Iterator[None]:
    """Turns what the readers of archives raise into Unreadable."""
    import lzma
    import tarfile
    import zipfile
    import zlib

    try:
        yield
    except OSError as error:
        if error.errno is not None:
            raise
        raise Unreadable(str(error)) from None
    except (
        tarfile.TarError, zipfile.BadZipFile, lzma.LZMAError, zlib.error, EOFError,
        NotImplementedError, ValueError,
    ) as error:  # fmt: skip
        raise Unreadable(str(error) or type(error).__name__) from None
    except RecursionError:  # tarfile reads one after the other so
        raise Unreadable("a member has headers without end") from None


def _of_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    import zipfile

    mode = info.external_attr >> 16
    kind = Kind.FOLDER if info.is_dir() else _ZIP_KINDS.get(stat.S_IFMT(mode), Kind.OTHER)
    if info.flag_bits & 1:
        raise Unreadable(f"{info.filename!r} is encrypted")
    # Of other ways Python may decompress a whole member at once.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unreadable(f"{info.filename!r} is neither stored nor deflated")
    target = ""
    if kind is Kind.LINK:
        with archive.open(info) as content:
            said = content.read(_LONGEST + 1)
        if len(said) > _LONGEST:
            raise Unreadable(f"{info.filename!r} is a link to more than {_LONGEST} bytes")
        target = said.decode(errors="surrogateescape")
    return Member(
        info.orig_filename, kind, mode, info.file_size, target, lambda: archive.open(info)
    )


_ZIP_KINDS = {
    0: Kind.FILE,
    stat.S_IFREG: Kind.FILE,
    stat.S_IFLNK: Kind.LINK,
}


def _of_tar(archive: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    if info.isfile():
        kind = Kind.FILE
    elif info.isdir():
        kind = Kind.FOLDER
    elif info.issym():
        kind = Kind.LINK
    elif info.islnk():
        kind = Kind.SAME
    else:
        kind = Kind.OTHER

    def content() -> IO[bytes]:
        opened = archive.extractfile(info)
        assert opened is not None, "only asked of files"
        return opened

    size = info.size if kind is Kind.FILE else 0
    return Member(info.name, kind, info.mode, size, info.linkname, content)
