"""What is in an archive, member by member: zip and tar told alike."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    import tarfile
    import zipfile


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
    import tarfile
    import zipfile

    with archive.open("rb") as file:
        head = file.read(4)
    if head.startswith(b"PK"):
        with zipfile.ZipFile(archive) as opened:
            yield from (_of_zip(opened, info) for info in opened.infolist())
    elif head == b"\x28\xb5\x2f\xfd":
        raise Unreadable("it is compressed with zstd")
    else:
        with tarfile.open(archive, "r:*") as read:
            yield from (_of_tar(read, info) for info in read)


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


def _of_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Member:
    mode = info.external_attr >> 16
    kind = Kind.FOLDER if info.is_dir() else _ZIP_KINDS.get(stat.S_IFMT(mode), Kind.OTHER)
    if info.flag_bits & 1:
        raise Unreadable(f"{info.filename!r} is encrypted")
    target = ""
    if kind is Kind.LINK:
        target = archive.read(info)[:4096].decode(errors="surrogateescape")
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
