"""Files and folders that are either whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from parts.ordinary import ordinary

from tritonbuild.atomic import remove_tree

__all__ = ["ordinary"]


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o444, 0o555])
def test_folders_that_nobody_may_read_or_write_are_removed(ordinary: Path, mode: int) -> None:
    tree = ordinary / "tree"
    (tree / "a/b/c").mkdir(parents=True)
    (tree / "a/b/file").write_text("x")
    for folder in ("a/b/c", "a/b", "a", "."):
        (tree / folder).chmod(mode)
    remove_tree(tree)
    assert not os.path.lexists(tree)


def test_what_a_link_leads_to_stays_as_it_is(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir(mode=0o750)
    (kept / "file").write_text("x")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/link").symlink_to(kept)
    remove_tree(tmp_path / "tree")
    assert (kept / "file").read_text() == "x"
    assert kept.stat().st_mode & 0o777 == 0o750


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove_tree(tmp_path / "link")
    assert os.listdir(tmp_path) == ["kept"]


def test_what_is_not_there_is_removed_already(tmp_path: Path) -> None:
    remove_tree(tmp_path / "none")
