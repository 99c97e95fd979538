"""A folder of this machine, or one that is mounted here."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

from tritonbuild.rule import Digest

from .destination import Check, Held, Item

_TEMPORARY = ".tritonbuild-"
_CHUNK = 1 << 20


def opened(url: str) -> _Folder:
    return _Folder(Path(url))


class _Folder:
    """Implements Destination."""

    def __init__(self, root: Path):
        self._root = root

    def held(self, folder: str) -> dict[str, Held]:
        found: dict[str, Held] = {}
        for above, _, names in os.walk(self._root / folder):
            for name in names:
                path = Path(above, name)
                found[path.relative_to(self._root).as_posix()] = partial(_is, path)
        return found

    def put(self, item: Item, file: Path, check: Check) -> None:
        """A copy: what is pushed stays as it is whatever becomes of the cache."""
        target = self._root / item.path
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=_TEMPORARY)
        try:
            with os.fdopen(handle, "wb") as written, file.open("rb") as content:
                while chunk := content.read(_CHUNK):
                    check()
                    written.write(chunk)
            os.chmod(name, _mode(item))
            os.replace(name, target)
        except BaseException:
            os.unlink(name)
            raise

    def remove(self, path: str) -> None:
        target = self._root / path
        target.unlink()
        with suppress(OSError):  # one that is not empty
            for folder in target.relative_to(self._root).parents[:-1]:
                (self._root / folder).rmdir()  # an empty one is a version to Triton

    def close(self) -> None:
        """Nothing is open."""


def _is(path: Path, item: Item) -> bool:
    status = path.lstat()
    if (status.st_size, status.st_mode & 0o777) != (item.digest.size, _mode(item)):
        return False
    return not path.is_symlink() and Digest.of_file(path) == item.digest


def _mode(item: Item) -> int:
    return 0o755 if item.executable else 0o644
