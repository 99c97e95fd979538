"""Globs of files in a package."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tritonbuild.errors import UsageError
from tritonbuild.globs import expand, is_glob
from tritonbuild.workspace import Workspace


def workspace(root: Path, files: Iterable[str]) -> Workspace:
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return Workspace(root)


def matched(there: Workspace, pattern: str, package: str = "p") -> list[str]:
    return list(expand(there, package, pattern))


FILES = (
    *("p/triton.toml", "p/a.txt", "p/b.txt", "p/b.csv", "p/.hidden", "q/a.txt"),
    *("p/data/a.txt", "p/data/1.txt", "p/data/2.txt", "p/data/deep/er/a.txt", "p/lib/a.txt"),
)


@pytest.mark.parametrize(
    ("pattern", "files"),
    [
        ("*.txt", ["a.txt", "b.txt"]),
        ("*", [".hidden", "a.txt", "b.csv", "b.txt", "triton.toml"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("[bc].*", ["b.csv", "b.txt"]),
        ("[!b].*", ["a.txt"]),
        ("data/[0-9].txt", ["data/1.txt", "data/2.txt"]),
        ("*/a.txt", ["data/a.txt", "lib/a.txt"]),
        ("**/a.txt", ["a.txt", "data/a.txt", "data/deep/er/a.txt", "lib/a.txt"]),
        ("data/**/*.txt", [f"data/{n}" for n in ("1.txt", "2.txt", "a.txt", "deep/er/a.txt")]),
        ("data/**", [f"data/{n}" for n in ("1.txt", "2.txt", "a.txt", "deep/er/a.txt")]),
        ("d*/deep/e?/*", ["data/deep/er/a.txt"]),
        ("./data//*.txt", ["data/1.txt", "data/2.txt", "data/a.txt"]),
        ("*.none", []),
        ("none/*", []),
        ("a.txt/*", []),
        ("a.txt", ["a.txt"]),
        ("data", []),
    ],
)
def test_a_glob_names_the_files_that_it_matches(
    tmp_path: Path, pattern: str, files: list[str]
) -> None:
    there = workspace(tmp_path, FILES)
    assert matched(there, pattern) == [f"p/{file}" for file in files]


def test_a_glob_of_the_root_package(tmp_path: Path) -> None:
    there = workspace(tmp_path, ("a.txt", "b/c.txt"))
    assert matched(there, "*.txt", "") == ["a.txt"]
    assert matched(there, "**/*.txt", "") == ["a.txt", "b/c.txt"]


def test_a_folder_is_not_matched_with_all_that_it_holds(tmp_path: Path) -> None:
    there = workspace(tmp_path, ("p/x.txt/inside", "p/a/x.txt/inside", "p/a/y.txt"))
    assert matched(there, "*.txt") == []
    assert matched(there, "**/*.txt") == ["p/a/y.txt"]


def test_sub_packages_keep_their_files(tmp_path: Path) -> None:
    there = workspace(tmp_path, ("p/a/x", "p/sub/triton.toml", "p/sub/x", "p/sub/deep/x"))
    assert matched(there, "**/x") == ["p/a/x"]
    assert matched(there, "*/x") == ["p/a/x"]


def test_ignored_files_are_not_matched(tmp_path: Path) -> None:
    there = workspace(tmp_path, ("p/a.txt", "p/b.txt", "p/c/d.txt"))
    there.ignore(("a.txt", "/p/c/"))
    assert matched(there, "**/*.txt") == ["p/b.txt"]


def test_every_folder_that_was_searched_is_recorded(tmp_path: Path) -> None:
    there = workspace(tmp_path, ("p/data/a.txt", "p/other/b.txt"))
    matched(there, "data/*.txt")
    assert "p/data" in there.seen
    assert "p/other" not in there.seen


def test_a_folder_that_is_not_there_is_recorded(tmp_path: Path) -> None:
    there = workspace(tmp_path, ("p/a.txt",))
    matched(there, "data/*.txt")
    assert there.seen["p/data"] is None


@pytest.mark.parametrize("pattern", ["../*", "/etc/*", "a/../*", "a/**/..", ""])
def test_a_glob_that_leaves_the_package_is_refused(tmp_path: Path, pattern: str) -> None:
    there = workspace(tmp_path, FILES)
    with pytest.raises(UsageError, match="leaves the workspace"):
        matched(there, pattern)


def test_a_glob_through_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    workspace(tmp_path / "outside", ("a.txt",))
    there = workspace(tmp_path / "root", ("p/b.txt",))
    (tmp_path / "root/p/link").symlink_to("../../outside")
    with pytest.raises(UsageError, match="leaves the workspace"):
        matched(there, "link/*.txt")
    with pytest.raises(UsageError, match="leaves the workspace"):
        matched(there, "**/*.txt")


@pytest.mark.parametrize(
    ("text", "glob"),
    [("a.txt", False), ("a/b", False), ("*.txt", True), ("a?", True), ("a/[bc]/d", True)],
)
def test_a_glob_has_a_sign_that_stands_for_others(text: str, glob: bool) -> None:
    assert is_glob(text) == glob
