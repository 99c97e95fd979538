"""Where compositions are made: for each a workspace in the cache, found again when the same is
asked for, and one triton.lock of what tags meant the last time in any of them."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tritonbuild import outputs
from tritonbuild.atomic import remove_tree, write_atomically
from tritonbuild.errors import OutputsLocked
from tritonbuild.images.composition import Composition
from tritonbuild.lock import Lock
from tritonbuild.places import cache_root

MANIFEST = "triton.toml"


def _folder() -> Path:
    return cache_root() / "compositions"


def workspace(composition: Composition) -> Path:
    """Its root, made where it is not there yet."""
    content = composition.manifest.encode()
    root = _folder() / hashlib.sha256(content).hexdigest()[:16]
    root.mkdir(parents=True, exist_ok=True)
    if not (root / MANIFEST).exists():
        write_atomically(root / MANIFEST, content)
    os.utime(root / MANIFEST)  # it is in use
    return root


def remember(root: Path) -> None:
    """What its tags mean, for all compositions."""
    with _alone():
        Lock.read(_folder()).with_entries(Lock.read(root).entries).write(_folder())


def recall(root: Path) -> None:
    """What tags meant the last time, in any composition."""
    with _alone():
        Lock.read(_folder()).write(root)


def forget(max_age: float) -> None:
    """Removes workspaces that were not used for so many seconds, except those in use."""
    for manifest in _folder().glob(f"*/{MANIFEST}"):
        if time.time() - manifest.stat().st_mtime > max_age:
            try:
                with outputs.locked(manifest.parent, wait=False):
                    remove_tree(manifest.parent)
            except OutputsLocked:
                continue


@contextmanager
def _alone() -> Iterator[None]:
    handle = os.open(_folder(), os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
