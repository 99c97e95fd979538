"""The cache as a folder, shared by workspaces and by builds that run at the same time.

blobs/ab/abcd…    content, read-only, its modification time set to one fixed moment: a write
                  to it afterwards shows in a single `stat`
actions/ab/abcd…  a result: 32 bytes SHA-256 of the rest, then an encoded ActionResult
trees/abcd…       folders ready to use (see trees.py)
kept/NAME         other folders that can be made again, such as the root of an image
tmp/              what is not finished; everything enters the cache by rename
lock              held shared by builds, alone by garbage collection
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tritonbuild.atomic import remove_tree, temporary_file
from tritonbuild.digest import Digest
from tritonbuild.errors import EnvironmentFailure, Problem
from tritonbuild.places import FIXED_MTIME

MODE = 0o444
"""Of every blob."""


class DiskCache:
    """A content store and an action cache in one folder."""

    def __init__(self, root: Path, on_corruption: Callable[[str], None] = lambda text: None):
        self.root, self._root = root, str(root)
        self.on_corruption = on_corruption
        """Told when something is found damaged; it has been removed then."""
        try:
            for name in ("blobs", "actions", "trees", "kept", "tmp"):
                (root / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EnvironmentFailure(
                Problem(
                    f"the cache {root} cannot be used: {error.strerror}",
                    "a folder that can be written",
                    "--cache-dir or TRITONBUILD_CACHE_DIR names another",
                )
            ) from None

    @property
    def tmp(self) -> Path:
        return self.root / "tmp"

    def find(self, digest: Digest) -> Path | None:
        return self._blob(digest.hash) if self.has(digest) else None

    def has(self, digest: Digest) -> bool:
        try:
            status = os.stat(self._place("blobs", digest.hash))
        except FileNotFoundError:
            return False
        looks_whole = status.st_size == digest.size and status.st_mtime == FIXED_MTIME
        if looks_whole and status.st_mode & 0o7777 == MODE:
            return True
        path = self._blob(digest.hash)
        if looks_whole or Digest.of_file(path) == digest:
            with suppress(OSError):  # a hard link to it was touched or given another mode
                _seal(path)
            return True
        self.damaged(path, f"blob {digest}")
        return False

    def recheck(self, digest: Digest) -> None:
        path = self._blob(digest.hash)
        with suppress(FileNotFoundError):
            if Digest.of_file(path) != digest:
                self.damaged(path, f"blob {digest}")

    def read(self, digest: Digest) -> bytes:
        try:
            content = self._blob(digest.hash).read_bytes()
        except FileNotFoundError:
            raise KeyError(digest) from None
        if Digest.of_bytes(content) != digest:
            self.damaged(self._blob(digest.hash), f"blob {digest}")
            raise KeyError(digest)
        return content

    def put(self, content: bytes) -> Digest:
        digest = Digest.of_bytes(content)
        if self.find(digest) is None:
            with temporary_file(self.tmp) as temporary:
                temporary.write_bytes(content)
                self._enter(temporary, digest)
        return digest

    def adopt(self, file: Path) -> Digest:
        digest = Digest.of_file(file)
        if self.find(digest) is not None:
            file.unlink()
            return digest
        try:
            if file.stat().st_nlink == 1:
                self._enter(file, digest)
                return digest
        except OSError:
            pass  # from another file system
        with temporary_file(self.tmp) as temporary:  # whoever shares the file may change it
            shutil.copyfile(file, temporary)
            self._enter(temporary, digest)
        file.unlink()
        return digest

    def get_result(self, key: Digest) -> bytes | None:
        encoded = self.peek_result(key)
        if encoded is not None:
            with suppress(OSError):
                os.utime(self._action(key.hash))  # last use, for garbage collection
        return encoded

    def peek_result(self, key: Digest) -> bytes | None:
        """A result, without counting as a use of it."""
        path = self._action(key.hash)
        try:
            content = path.read_bytes()
        except (FileNotFoundError, PermissionError):  # another user's is not ours to see
            return None
        checksum, encoded = content[:32], content[32:]
        if hashlib.sha256(encoded).digest() != checksum:
            self.damaged(path, f"result of action {key.hash}")
            return None
        return encoded

    def put_result(self, key: Digest, encoded: bytes) -> None:
        path = self._action(key.hash)
        path.parent.mkdir(exist_ok=True)
        with temporary_file(self.tmp) as temporary:
            temporary.write_bytes(hashlib.sha256(encoded).digest() + encoded)
            temporary.chmod(0o644)  # for all who share the cache
            temporary.rename(path)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps garbage collection away while a build runs. The first one in clears away what
        builds that were killed have left."""
        with (self.root / "lock").open("a") as lock:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for leftover in self.tmp.iterdir():
                    with suppress(OSError):  # another user's in a shared cache is not ours to clear
                        remove_tree(leftover)
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield

    def _enter(self, file: Path, digest: Digest) -> None:
        _seal(file)
        path = self._blob(digest.hash)
        path.parent.mkdir(exist_ok=True)
        file.rename(path)

    def _blob(self, name: str) -> Path:
        return Path(self._place("blobs", name))

    def _action(self, name: str) -> Path:
        return Path(self._place("actions", name))

    def _place(self, kind: str, name: str) -> str:
        """As text: thousands are looked at in a build that has nothing to do."""
        return f"{self._root}/{kind}/{name[:2]}/{name}"

    def damaged(self, path: Path, what: str) -> None:
        remove_tree(path)
        self.on_corruption(f"{what} in the cache was damaged; it is removed and made again")


def _seal(file: Path) -> None:
    file.chmod(MODE)
    os.utime(file, (FIXED_MTIME, FIXED_MTIME))
