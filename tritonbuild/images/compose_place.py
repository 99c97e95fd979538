"""Where compositions are made: for each a workspace in the cache, found again when the same is
asked for, and one triton.lock of what tags meant the last time in any of them."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tritonbuild import outputs
from tritonbuild.atomic import remove_tree, write_atomically
from tritonbuild.errors import OutputsLocked, Problem, UsageError
from tritonbuild.images.composition import MANIFEST, Composition
from tritonbuild.lock import Lock, LockedFile, Request
from tritonbuild.places import cache_root


def _folder() -> Path:
    return cache_root() / "compositions"


def workspace(composition: Composition) -> Path:
    """Its root, made where it is not there yet."""
    said = json.dumps(composition.files).encode()
    root = _folder() / hashlib.sha256(said).hexdigest()[:16]
    root.mkdir(parents=True, exist_ok=True)
    for name, text in composition.files.items():
        if not (root / name).exists():
            write_atomically(root / name, text.encode())
    os.utime(root / MANIFEST)  # it is in use
    return root


def remember(root: Path) -> None:
    """What its tags mean, for all compositions."""
    with _alone():
        Lock.read(_folder()).with_entries(Lock.read(root).entries).write(_folder())


def recalled(request: Request) -> Iterable[LockedFile]:
    """What it was resolved to the last time, for any composition. Raises UsageError."""
    known = Lock.read(_folder()).get(request)
    if known is None:
        found = f"what {request} is was never asked here"
        raise UsageError(Problem(found, remedy="leave out --skip-pull"))
    return known


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
