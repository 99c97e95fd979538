"""An ordinary user, who may not do all, for tests that run as root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tritonbuild.atomic import remove_tree

NOBODY = 65534


@pytest.fixture
def ordinary(tmp_path: Path) -> Iterator[Path]:
    """A folder, and for as long as the test runs this process is a user who may not do all."""
    if os.geteuid() != 0:
        yield tmp_path
        return
    folder = Path("/var/tmp") / f"tritonbuild-test-{os.getpid()}"
    folder.mkdir()
    os.chown(folder, NOBODY, NOBODY)
    os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        os.seteuid(0)
        remove_tree(folder)
