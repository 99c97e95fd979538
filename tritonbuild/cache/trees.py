"""Folders made real: hard links into the cache where they can be shared, copies where a file
needs a mode of its own.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tritonbuild.atomic import remove_tree
from tritonbuild.cache import Blobs
from tritonbuild.cache.disk import DiskCache
from tritonbuild.digest import CHUNK, Digest
from tritonbuild.errors import Problem, Unsettled
from tritonbuild.merkle import Entry, File, Folder, Symlink
from tritonbuild.places import FIXED_MTIME

FICLONE = 0x40049409
"""ioctl of file systems that can share blocks between files (Btrfs, XFS)."""

_SHARED_MODES = (0o444, 0o644)
"""Of blobs, and of files as most people's umask makes them."""

Place = Callable[[Path, File, Path], None]
"""Makes a file real: (where its content lies, what it is, where it goes)."""


class Missing(Unsettled):
    """Content that is nowhere on this machine any more. What made it can make it again."""

    attempts = 5

    def __init__(self, digest: Digest):
        super().__init__(
            Problem(
                f"content {digest} was damaged, or is gone",
                "a cache and a workspace that nothing else changes",
                "build again; `tritonbuild cache verify` looks at all of the cache",
            )
        )


class WrongContent(Exception):
    """A file is not what its digest says."""


def clone(source: Path, target: Path) -> bool:
    """Shares the blocks of a file with a new one; False where the file system cannot."""
    with source.open("rb") as read, target.open("xb") as write:
        try:
            fcntl.ioctl(write.fileno(), FICLONE, read.fileno())
        except OSError:
            target.unlink()
            return False
    return True


def copy(source: Path, file: File, target: Path) -> None:
    """A file of its own, sharing blocks where it can. Raises WrongContent: a small one is looked at
    on its way."""
    if file.digest.size < CHUNK:
        content = source.read_bytes()
        if Digest.of_bytes(content) != file.digest:
            raise WrongContent
        target.write_bytes(content)
    elif not clone(source, target):
        shutil.copyfile(source, target)
    target.chmod(0o755 if file.executable else 0o644)


def link(source: Path, file: File, target: Path) -> None:
    """A hard link for a plain file (shared blocks for a large one, where the file system can);
    otherwise, or where links are refused, a copy. One inode has one mode, so that only a file whose
    mode suits all its names is linked."""
    if not file.executable:
        if file.digest.size >= CHUNK and clone(source, target):
            target.chmod(0o644)
            return
        with suppress(OSError):
            real = os.path.realpath(source) if source.is_symlink() else source
            if stat.S_IMODE(os.stat(real).st_mode) in _SHARED_MODES:
                os.link(real, target)  # of a link it would make a second link
                return
    copy(source, file, target)


def point(source: Path, file: File, target: Path) -> None:
    """A symbolic link: for large files of the workspace that are only read."""
    if file.executable or file.digest.size < CHUNK:
        copy(source, file, target)
    else:
        target.symlink_to(source)


def materialise(entry: Entry, target: Path, blobs: Blobs, place: Place) -> None:
    """Makes a file, link or folder at a path where nothing is yet. Raises Missing."""
    match entry:
        case Symlink(destination):
            target.symlink_to(destination)
        case File(digest):
            source = blobs.find(digest)
            if source is None:
                raise Missing(digest)
            try:
                place(source, entry, target)
            except WrongContent:
                blobs.recheck(digest)
                raise Missing(digest) from None
        case Folder():
            target.mkdir()
            for name, below in entry.entries.items():
                materialise(below, target / name, blobs, place)
            target.chmod(0o755)


class Trees:
    """Folders of cached content, made once and then shared read-only by everyone."""

    def __init__(self, cache: DiskCache):
        self._cache = cache
        self._checked: set[Digest] = set()

    def path(self, folder: Folder) -> Path:
        """Raises Missing."""
        path = self._cache.root / "trees" / folder.digest.hash
        if folder.digest in self._checked:
            return path
        if path.exists() and not _untouched(folder, path):
            self._cache.damaged(path, f"folder {folder.digest.hash}")
        if not path.exists():
            private = Path(tempfile.mkdtemp(dir=self._cache.tmp))
            try:
                materialise(folder, private / "tree", self._cache, link)
                _seal(private / "tree")
                with suppress(OSError):  # another build was quicker
                    (private / "tree").rename(path)
            finally:
                remove_tree(private)
        self._checked.add(folder.digest)
        return path

    def kept(self, name: str, make: Callable[[Path], None]) -> Path:
        """A folder that is not content, by a name of its own; made now if there is none yet."""
        path = self._cache.root / "kept" / name
        if not path.exists():
            private = Path(tempfile.mkdtemp(dir=self._cache.tmp))
            try:
                make(private / "tree")
                with suppress(OSError):  # another build was quicker
                    (private / "tree").rename(path)
            finally:
                remove_tree(private)
        with suppress(OSError):  # another user's
            os.utime(path)  # last use, for garbage collection
        return path


def _untouched(folder: Folder, path: Path) -> bool:
    """Whether a folder made earlier still looks as it was made."""
    try:
        return set(os.listdir(path)) == folder.entries.keys() and all(
            _same(entry, path / name) for name, entry in folder.entries.items()
        )
    except OSError:
        return False


def _same(entry: Entry, path: Path) -> bool:
    match entry:
        case Folder():
            return not path.is_symlink() and _untouched(entry, path)
        case Symlink(target):
            return os.readlink(path) == target
        case File(digest, executable):
            status = os.lstat(path)
            return (
                stat.S_ISREG(status.st_mode)
                and (status.st_size, status.st_mtime) == (digest.size, FIXED_MTIME)
                and status.st_mode & 0o111 == (0o111 if executable else 0)
            )


def _seal(root: Path) -> None:
    """Fixed times and no write permission below, so that use leaves no trace. The top folder
    stays writable: a folder that is not cannot be renamed."""
    for folder, folders, files in os.walk(root, topdown=False):
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.islink(path) and os.stat(path).st_mtime != FIXED_MTIME:
                os.chmod(path, os.stat(path).st_mode & 0o555)
                os.utime(path, (FIXED_MTIME, FIXED_MTIME))
        for name in folders:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.utime(path, (FIXED_MTIME, FIXED_MTIME))
                os.chmod(path, 0o555)  # noqa: S103  # read-only for everyone is the point
