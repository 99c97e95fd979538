"""Files and folders that are either whole or not there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def temporary_file(folder: Path) -> Iterator[Path]:
    """A path in the folder for a file to be renamed away; what is left there is removed."""
    handle, name = tempfile.mkstemp(dir=folder, prefix=".tmp-")
    os.close(handle)
    try:
        yield Path(name)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(name)


def write_atomically(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Replaces the file at once, whatever the umask."""
    with temporary_file(path.parent) as temporary:
        temporary.write_bytes(content)
        temporary.chmod(mode)
        temporary.rename(path)


def make_folders(path: Path) -> None:
    """The folder and those above it that are missing, for everyone to read whatever the umask."""
    if not path.is_dir():
        make_folders(path.parent)
        path.mkdir(exist_ok=True)
        path.chmod(0o755)


def remove_tree(path: Path) -> None:
    """Removes a file or a folder, and in it folders that nobody may read or write."""
    if path.is_dir() and not path.is_symlink():
        os.chmod(path, 0o700)
        for folder, below, _ in os.walk(path):  # which lists a folder after it was named here
            for name in below:
                inner = os.path.join(folder, name)
                if not os.path.islink(inner):
                    os.chmod(inner, 0o700)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
