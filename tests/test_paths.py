"""Relative paths that a manifest says."""

from __future__ import annotations

import pytest
from tritonbuild.rules.paths import is_relative, overlap


@pytest.mark.parametrize("path", ["a", "a/b.c", "a b/ü", "..a", ".a"])
def test_a_path_below_a_folder_is_relative(path: str) -> None:
    assert is_relative(path)


@pytest.mark.parametrize("path", ["", "/a", "a/", "a//b", ".", "./a", "..", "a/../b", "a\0", "a\n"])
def test_other_paths_are_not(path: str) -> None:
    assert not is_relative(path)


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["a", "b"], None),
        (["a", "a.b", "ab"], None),
        (["b", "a", "b"], ("b", "b")),
        (["a/b/c", "a-b", "a"], ("a", "a/b/c")),
    ],
)
def test_overlaps_are_found(paths: list[str], found: tuple[str, str] | None) -> None:
    assert overlap(paths) == found
