"""Where things lie on this machine, and the one moment that made files carry."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

FIXED_MTIME = 315532800
"""1980-01-01, the earliest moment that a zip file can hold. Seconds."""


def cache_root() -> Path:
    """`TRITONBUILD_CACHE_DIR`, else `tritonbuild` in the user's cache folder (XDG)."""
    if own := os.environ.get("TRITONBUILD_CACHE_DIR"):
        return Path(own).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tritonbuild"


def state_folder(cache: Path, root: Path) -> Path:
    """What a workspace remembers between builds: below the cache, named after its path."""
    return cache / "workspaces" / hashlib.sha256(os.fsencode(root)).hexdigest()[:16]
