"""The examples, whole, each as a workspace of its own and as a part of this repository's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import ROOT, WorkspaceFolder


@pytest.mark.parametrize("place", [".", "examples/quickstart", "examples/kinds"])
def test_all_passes_with_the_lock_as_it_is_committed(
    tmp_path: Path, shared_cache: Path, place: str
) -> None:
    for name in ("triton.toml", "triton.lock"):
        shutil.copy(ROOT / name, tmp_path)
    out = shutil.ignore_patterns("tritonbuild-out")
    shutil.copytree(ROOT / "examples", tmp_path / "examples", ignore=out)
    outcome = WorkspaceFolder(tmp_path / place, shared_cache).run("test", "//...", "--locked")
    assert outcome.exit_code == 0, outcome.text
    assert "passed" in outcome.targets.values()
