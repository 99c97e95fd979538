"""An ordinary user, who may not do all, for tests that run as root."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tritonbuild
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


def readable_python() -> str:
    """An interpreter that another user may run."""
    code = f"import sys; assert sys.version_info >= (3, 11); open({tritonbuild.__file__!r})"
    for python in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            if subprocess.run([python, "-c", code], user=NOBODY, stderr=-3).returncode == 0:
                return python
        except OSError:
            continue
    pytest.skip("no Python ≥ 3.11 or no checkout that user `nobody` may read")
