"""pip configured for a test alone: it sees a folder of wheels, or one index, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest


def only_folder(patch: pytest.MonkeyPatch, folder: Path) -> None:
    _forget(patch)
    patch.setenv("PIP_NO_INDEX", "1")
    patch.setenv("PIP_FIND_LINKS", str(folder))


def only_index(patch: pytest.MonkeyPatch, url: str) -> None:
    _forget(patch)
    patch.setenv("PIP_INDEX_URL", url)
    patch.setenv("PIP_RETRIES", "1")


def _forget(patch: pytest.MonkeyPatch) -> None:
    patch.setenv("PIP_CONFIG_FILE", "/dev/null")
    patch.setenv("PIP_NO_CACHE_DIR", "1")
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "PIP_NO_INDEX"):
        patch.delenv(name, raising=False)
