"""Where folders are brought over to, and that what is written is all or nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tritonbuild.errors import TritonbuildError, UsageError
from tritonbuild.importing import Place, find_place, write

MANIFEST = '[workspace]\nname = "x"\n'


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    (tmp_path / "a" / "b" / "models").mkdir(parents=True)
    (tmp_path / "a" / "c").mkdir()
    return tmp_path / "a"


def test_the_folder_itself_is_the_root(folders: Path) -> None:
    assert find_place([folders / "b"], None, folders / "c") == Place(folders / "b", True, ("",))
    assert find_place([folders], None, folders) == Place(folders, True, ("",))


def test_the_current_folder_is_the_root_of_what_lies_below(folders: Path) -> None:
    both = [folders / "b", folders / "c"]
    assert find_place(both, None, folders) == Place(folders, True, ("b", "c"))


def test_the_home_folder_is_none(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folders))
    assert find_place([folders / "b"], None, folders).root == folders / "b"


@pytest.mark.parametrize("root", ["/", "{}", "{}/b/.."])
def test_no_workspace_begins_above_home_folders(
    folders: Path, monkeypatch: pytest.MonkeyPatch, root: str
) -> None:
    monkeypatch.setenv("HOME", str(folders / "b"))
    with pytest.raises(UsageError, match="which holds home folders"):
        find_place([folders / "b" / "models"], Path(root.format(folders)), folders)
    (folders / "triton.toml").write_text(MANIFEST)
    assert find_place([folders / "c"], folders, folders).packages == ("c",)


def test_a_workspace_may_begin_in_the_home_folder(
    folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folders))
    assert find_place([folders / "b"], folders, folders).root == folders


def test_several_folders_lie_in_what_holds_them(folders: Path) -> None:
    both = [folders / "b" / "models", folders / "c"]
    assert find_place(both, None, folders / "c") == Place(folders, True, ("b/models", "c"))


def test_a_workspace_around_is_taken(folders: Path) -> None:
    (folders / "triton.toml").write_text(MANIFEST)
    found = find_place([folders / "b" / "models"], None, folders / "b")
    assert found == Place(folders, False, ("b/models",))


def test_folders_of_different_workspaces_are_refused(folders: Path) -> None:
    for name in ("b", "c"):
        (folders / name / "triton.toml").write_text(MANIFEST)
    with pytest.raises(UsageError, match="different workspaces"):
        find_place([folders / "b", folders / "c"], None, folders)


def test_a_folder_outside_the_root_is_refused(folders: Path) -> None:
    with pytest.raises(UsageError, match="does not lie in the workspace"):
        find_place([folders / "b"], folders / "c", folders)


def test_a_folder_in_another_is_refused(folders: Path) -> None:
    with pytest.raises(UsageError, match="b/models lies in b"):
        find_place([folders / "b", folders / "b" / "models"], None, folders)


def test_files_are_written_into_folders_that_are_made(tmp_path: Path) -> None:
    write(tmp_path, {"triton.toml": b"root", "a/b/case.json": b"{}"})
    assert (tmp_path / "triton.toml").read_bytes() == b"root"
    assert (tmp_path / "a/b/case.json").read_bytes() == b"{}"
    assert (tmp_path / "triton.toml").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("path", "found"), [("file/case.json", "exists already"), ("x" * 300, "name too long")]
)
def test_when_one_cannot_be_written_none_is(tmp_path: Path, path: str, found: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TritonbuildError, match=f"(?i){found}"):
        write(tmp_path, {"a/b/case.json": b"{}", path: b"{}", "triton.toml": b""})
    assert os.listdir(tmp_path) == ["file"]


def test_what_exists_by_now_stays(tmp_path: Path) -> None:
    (tmp_path / "triton.toml").write_text("mine")
    with pytest.raises(UsageError, match="exists already") as error:
        write(tmp_path, {"a/triton.toml": b"new", "triton.toml": b"new"})
    assert error.value.problems[0].file == "triton.toml"
    assert os.listdir(tmp_path) == ["triton.toml"]
    assert (tmp_path / "triton.toml").read_text() == "mine"


def test_a_file_system_without_hard_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: object, target: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    write(tmp_path, {"triton.toml": b"new"})
    assert (tmp_path / "triton.toml").read_bytes() == b"new"
    with pytest.raises(UsageError, match="exists already"):
        write(tmp_path, {"triton.toml": b"other"})
    assert os.listdir(tmp_path) == ["triton.toml"]
