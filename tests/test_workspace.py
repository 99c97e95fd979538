"""The workspace: its root, the files that count, and what leads out of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from tritonbuild.errors import UsageError
from tritonbuild.workspace import (
    OUTPUTS,
    Signature,
    Workspace,
    declares_workspace,
    find_root,
    normalise,
    placed_look,
    stands,
)

SECOND = 1_000_000_000


def write(root: Path, files: Mapping[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def workspace(root: Path, files: Mapping[str, str]) -> Workspace:
    write(root, files)
    return Workspace(root)


def walked(there: Workspace, path: str = "") -> list[str]:
    return list(there.walk(path, there.ignored))


def test_the_root_is_the_nearest_folder_above_that_declares_a_workspace(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "triton.toml": "[workspace]\n",
            "a/triton.toml": "[models.x]\n",
            "b/triton.toml": "[workspace]\n",
            "b/c/d/x": "",
        },
    )
    assert find_root(tmp_path / "a") == tmp_path
    assert find_root(tmp_path / "b/c/d") == tmp_path / "b"


def test_the_root_is_found_through_a_link(tmp_path: Path) -> None:
    write(tmp_path / "real", {"triton.toml": "[workspace]\n", "a/x": ""})
    (tmp_path / "link").symlink_to("real/a")
    assert find_root(tmp_path / "link") == tmp_path / "real"


def test_no_workspace_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        find_root(tmp_path)
    (problem,) = caught.value.problems
    assert str(tmp_path) in problem.found
    assert "[workspace]" in problem.remedy
    assert "`tritonbuild init FOLDER`" in problem.remedy


@pytest.mark.parametrize(
    ("content", "declares"),
    [
        ("[workspace]", True),
        ("a = 1\n  [ workspace ]\t\nname = 'x'", True),
        ("[workspace]  # the root", True),
        ("[workspace]\r\nname = 'x'\r\n", True),
        ("# [workspace]", False),
        ("[workspaces]", False),
        ("[workspace.x]", False),
        ("[[workspace]]", False),
        ("name = '[workspace]'", False),
        ("", False),
    ],
)
def test_a_manifest_declares_a_workspace_by_its_table(content: str, declares: bool) -> None:
    assert declares_workspace(content.encode()) == declares


def test_looking_tells_what_lies_at_a_path(tmp_path: Path) -> None:
    there = workspace(tmp_path, {"a/file": "content"})
    (tmp_path / "a/file").chmod(0o755)
    folder, file = there.look("a"), there.look("a/file")
    assert folder is not None
    assert file is not None
    assert (folder.is_folder, file.is_folder) == (True, False)
    assert (file.size, file.executable) == (7, True)
    assert there.look("b") is None
    assert there.look("a/file/below") is None


def test_every_look_is_recorded(tmp_path: Path) -> None:
    there = workspace(tmp_path, {"a/file": "x", "b": ""})
    there.read("a/file")
    there.read("none")
    there.names("a")
    assert set(there.seen) == {"a/file", "none", "a"}
    assert there.seen["none"] is None


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_text("other"),
        lambda file: file.write_text("same!"),
        lambda file: file.chmod(0o755),
        lambda file: os.utime(file, (1, 1)),
        lambda file: file.unlink(),
        lambda file: file.rename(file.with_name("moved")),
    ],
)
def test_a_changed_file_is_noticed(tmp_path: Path, change: object) -> None:
    there = workspace(tmp_path, {"file": "same."})
    os.utime(tmp_path / "file", (5, 5))
    there.look("file")
    assert there.unchanged("file")
    assert callable(change)
    change(tmp_path / "file")
    assert not there.unchanged("file")


def test_a_file_that_appears_is_noticed(tmp_path: Path) -> None:
    there = workspace(tmp_path, {})
    there.look("file")
    assert there.unchanged("file")
    write(tmp_path, {"file": ""})
    assert not there.unchanged("file")


def test_fresh_times_are_not_settled() -> None:
    signature = Signature(0o100644, 1, 1, 1, mtime_ns=10 * SECOND, ctime_ns=12 * SECOND)
    assert not signature.settled(12 * SECOND)
    assert not signature.settled(13 * SECOND)
    assert signature.settled(13 * SECOND + 1)
    assert not signature._replace(mtime_ns=20 * SECOND).settled(13 * SECOND + 1)


@pytest.mark.parametrize("path", ["..", "../x", "a/../../x", "a/..", "/etc/passwd", "./a", "a/."])
def test_paths_that_are_not_below_the_root_are_refused(tmp_path: Path, path: str) -> None:
    there = workspace(tmp_path / "root", {"a/b": ""})
    with pytest.raises(UsageError, match="leaves the workspace"):
        there.look(path)


@pytest.mark.parametrize("target", ["../outside/file", "/etc/hostname", "../outside/nothing"])
def test_a_link_to_a_file_outside_is_refused(tmp_path: Path, target: str) -> None:
    write(tmp_path, {"outside/file": ""})
    there = workspace(tmp_path / "root", {"x": ""})
    (tmp_path / "root/link").symlink_to(target)
    with pytest.raises(UsageError) as caught:
        there.look("link")
    (problem,) = caught.value.problems
    assert problem.found == f"'link' leaves the workspace (a link to {target})"
    assert problem.remedy


def test_a_path_through_a_link_to_a_folder_outside_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"outside/a/file": ""})
    there = workspace(tmp_path / "root", {"x": ""})
    (tmp_path / "root/link").symlink_to("../outside")
    for path in ("link", "link/a", "link/a/file", "link/none"):
        with pytest.raises(UsageError, match="leaves the workspace"):
            there.look(path)


def test_a_folder_beside_the_root_with_a_longer_name_is_outside(tmp_path: Path) -> None:
    write(tmp_path, {"rooted/file": ""})
    there = workspace(tmp_path / "root", {"x": ""})
    (tmp_path / "root/link").symlink_to("../rooted/file")
    with pytest.raises(UsageError, match="leaves the workspace"):
        there.look("link")


def test_a_chain_of_links_that_ends_outside_is_refused(tmp_path: Path) -> None:
    there = workspace(tmp_path / "root", {"x": ""})
    (tmp_path / "root/one").symlink_to("two")
    (tmp_path / "root/two").symlink_to("/etc/hostname")
    with pytest.raises(UsageError, match="leaves the workspace"):
        there.look("one")


def test_links_inside_are_followed(tmp_path: Path) -> None:
    there = workspace(tmp_path, {"a/file": "content"})
    (tmp_path / "folder").symlink_to("a")
    (tmp_path / "file").symlink_to(tmp_path / "a/file")
    assert there.read("file") == b"content"
    assert there.read("folder/file") == b"content"
    assert walked(there) == ["a/file", "file", "folder/file"]


def test_a_link_to_nothing_inside_is_nothing(tmp_path: Path) -> None:
    there = workspace(tmp_path, {})
    (tmp_path / "link").symlink_to("none")
    assert there.look("link") is None


def test_a_link_to_itself_cannot_be_read(tmp_path: Path) -> None:
    there = workspace(tmp_path, {})
    (tmp_path / "link").symlink_to("link")
    with pytest.raises(UsageError) as caught:
        there.look("link")
    assert caught.value.problems[0].file in ("", "link")
    assert "link" in caught.value.problems[0].found


@pytest.mark.parametrize("target", [".", "..", "../.."])
def test_a_link_to_a_folder_that_holds_it_is_refused(tmp_path: Path, target: str) -> None:
    there = workspace(tmp_path / "root", {"a/b/c/file": ""})
    (tmp_path / "root/a/b/loop").symlink_to(target)
    with pytest.raises(UsageError) as caught:
        walked(there)
    assert caught.value.problems[0].found == "a/b/loop is a link to a folder that holds it"


def test_names_tell_folders_from_files(tmp_path: Path) -> None:
    there = workspace(tmp_path, {"b/x": "", "a": "", "c": ""})
    assert there.names("") == [("a", False), ("b", True), ("c", False)]
    assert there.names("a") == []
    assert there.names("none") == []


def test_what_nobody_wants_is_ignored(tmp_path: Path) -> None:
    there = workspace(
        tmp_path,
        {
            ".git/config": "",
            "a/__pycache__/x.pyc": "",
            "a/x.pyc": "",
            "a/.ipynb_checkpoints/x": "",
            "a/.DS_Store": "",
            f"{OUTPUTS}/x": "",
            f"a/{OUTPUTS}/kept": "",
            "a/kept": "",
        },
    )
    assert walked(there) == ["a/kept", f"a/{OUTPUTS}/kept"]


def test_the_gitignore_of_the_root_is_heeded(tmp_path: Path) -> None:
    there = workspace(
        tmp_path,
        {
            ".gitignore": "*.log\n/build/\n# comment\ndata/*\n!data/kept\n",
            "a/x.log": "",
            "build/x": "",
            "a/build/x": "",
            "data/x": "",
            "data/kept": "",
        },
    )
    assert walked(there) == [".gitignore", "a/build/x", "data/kept"]


def test_the_manifests_patterns_come_last(tmp_path: Path) -> None:
    there = workspace(tmp_path, {".gitignore": "*.log\n", "a.log": "", "b.log": "", "c.txt": ""})
    there.ignore(("!a.log", "c.txt"))
    assert walked(there) == [".gitignore", "a.log"]


def test_packages_are_found_in_order(tmp_path: Path) -> None:
    files = ("triton.toml", "b/triton.toml", "a/c/triton.toml", "a/d/x", ".git/x/triton.toml")
    there = workspace(tmp_path, dict.fromkeys(files, ""))
    assert list(there.packages("")) == ["", "a/c", "b"]
    assert list(there.packages("a")) == ["a/c"]
    assert list(there.packages("none")) == []


def test_packages_are_not_looked_for_behind_links(tmp_path: Path) -> None:
    write(tmp_path, {"outside/triton.toml": ""})
    there = workspace(tmp_path / "root", {"triton.toml": "", "a/triton.toml": ""})
    for name, target in {"out": "../outside", "again": "a", "loop": "."}.items():
        (tmp_path / "root" / name).symlink_to(target)
    assert list(there.packages("")) == ["", "a"]


def test_ignored_packages_are_not_found(tmp_path: Path) -> None:
    there = workspace(tmp_path, {"a/triton.toml": "", "b/triton.toml": ""})
    there.ignore(("a/",))
    assert list(there.packages("")) == ["b"]


@pytest.mark.parametrize(
    ("package", "text", "path"),
    [
        ("", "a/b", "a/b"),
        ("models", "a/b", "models/a/b"),
        ("models", "./a//b/", "models/a/b"),
        ("models", "...", "models/..."),
        ("models", "a b", "models/a b"),
    ],
)
def test_a_path_of_a_manifest_begins_at_its_package(package: str, text: str, path: str) -> None:
    assert normalise(package, text) == path


@pytest.mark.parametrize("text", ["..", "../x", "a/../b", "/a", "", ".", "a\\b", "a\0b"])
def test_a_path_that_leaves_its_package_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        normalise("models", text)
    assert caught.value.problems[0].expected


def test_outputs_stand_while_nobody_touches_them(tmp_path: Path) -> None:
    write(tmp_path, {"a": "x", "b": "y"})
    placed = {name: look for name in ("a", "b") if (look := placed_look(tmp_path / name))}
    assert stands(tmp_path, placed)
    os.link(tmp_path / "a", tmp_path / "another name")
    assert stands(tmp_path, placed)
    os.utime(tmp_path / "b", (1, 1))
    assert not stands(tmp_path, placed)


def test_outputs_that_are_gone_do_not_stand(tmp_path: Path) -> None:
    write(tmp_path, {"a": "x"})
    look = placed_look(tmp_path / "a")
    assert look is not None
    (tmp_path / "a").unlink()
    assert not stands(tmp_path, {"a": look})
    assert placed_look(tmp_path / "a") is None
