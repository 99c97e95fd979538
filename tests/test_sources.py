"""Files of the workspace as content."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts.folders import flat

from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.state import State
from tritonbuild.digest import Digest
from tritonbuild.errors import ActionError, AnalysisError, Moved
from tritonbuild.merkle import Entry, File, Folder
from tritonbuild.pointers import MAGIC, Pointers
from tritonbuild.sources import Digests, Sources
from tritonbuild.workspace import Signature, Workspace

POINTER = MAGIC + b"v1\noid sha256:" + b"0" * 64 + b"\nsize 12\n"


class Memory:
    """A memory of digests that tells what it was asked."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Signature], Digest] = {}

    def digest(self, path: str, signature: Signature) -> Digest | None:
        return self.rows.get((path, signature))

    def remember_digests(self, rows: list[tuple[str, Signature, Digest]]) -> None:
        self.rows.update({(path, signature): digest for path, signature, digest in rows})


def write(root: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)


def sources(root: Path, files: Mapping[str, str | bytes], memory: Memory | None = None) -> Sources:
    write(root, files)
    return over(Workspace(root), memory or Memory())


def over(workspace: Workspace, memory: Digests) -> Sources:
    cache = DiskCache(workspace.root.with_name(f"{workspace.root.name}-cache"))
    return Sources(workspace, memory, Pointers(workspace.root, cache))


def content(entry: Entry) -> dict[str, Entry]:
    assert isinstance(entry, Folder)
    return flat(entry)


def file(text: str, *, executable: bool = False) -> File:
    return File(Digest.of_bytes(text.encode()), executable)


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all files had been written some seconds ago."""
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() + 5_000_000_000)


def test_a_file_is_its_content_and_whether_it_can_be_executed(tmp_path: Path) -> None:
    there = sources(tmp_path, {"a": "x", "b": "x"})
    (tmp_path / "b").chmod(0o755)
    assert there.entry("a") == file("x")
    assert there.entry("b") == file("x", executable=True)


def test_a_folder_is_all_that_lies_in_it(tmp_path: Path) -> None:
    there = sources(tmp_path, {"d/a": "1", "d/e/b": "2", "d/e/f/c": "3", "other": ""})
    assert content(there.entry("d")) == {"a": file("1"), "e/b": file("2"), "e/f/c": file("3")}


def test_equal_folders_are_equal_wherever_they_lie(tmp_path: Path) -> None:
    one = sources(tmp_path / "1", {"d/a": "x", "d/b/c": "y"}).entry("d")
    two = sources(tmp_path / "2", {"e/f/b/c": "y", "e/f/a": "x"}).entry("e/f")
    assert isinstance(one, Folder)
    assert isinstance(two, Folder)
    assert one.digest == two.digest


def test_links_inside_the_workspace_are_what_they_lead_to(tmp_path: Path) -> None:
    there = sources(tmp_path, {"d/a": "x", "e/b": "y"})
    (tmp_path / "d/link").symlink_to("a")
    (tmp_path / "d/folder").symlink_to("../e")
    assert content(there.entry("d")) == {"a": file("x"), "link": file("x"), "folder/b": file("y")}


def test_ignored_files_are_left_out_of_a_folder(tmp_path: Path) -> None:
    there = sources(
        tmp_path,
        {".gitignore": "*.log\nbuild/\n", "d/a": "x", "d/b.log": "", "d/build/c": "", ".git/d": ""},
    )
    assert content(there.entry("d")) == {"a": file("x")}


def test_a_file_that_is_named_beats_the_ignore_rules(tmp_path: Path) -> None:
    there = sources(tmp_path, {".gitignore": "*.log\n", "d/b.log": "x"})
    assert there.entry("d/b.log") == file("x")


def test_a_folder_that_is_named_beats_the_ignore_rules(tmp_path: Path) -> None:
    there = sources(
        tmp_path,
        {".gitignore": "build/\n*.log\n", "build/a.log": "x", "build/__pycache__/a.pyc": ""},
    )
    assert content(there.entry("build")) == {"a.log": file("x")}


def test_what_is_gone_is_told(tmp_path: Path) -> None:
    there = sources(tmp_path, {})
    with pytest.raises(ActionError) as caught:
        there.entry("none")
    assert caught.value.problems[0].file == "none"


def test_a_link_out_of_the_workspace_is_refused(tmp_path: Path) -> None:
    there = sources(tmp_path, {"d/a": ""})
    (tmp_path / "d/link").symlink_to("/etc/hostname")
    for path in ("d", "d/link"):
        with pytest.raises(AnalysisError, match="leaves the workspace"):
            there.entry(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    there = sources(tmp_path, {"d/a": ""})
    os.mkfifo(tmp_path / "d/pipe")
    with pytest.raises(ActionError) as caught:
        there.entry("d")
    assert caught.value.problems[0].found == "d/pipe is neither a file nor a folder"


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    there = sources(tmp_path, {"d/a": ""})
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/d/\xff")).write_text("")
    with pytest.raises(AnalysisError) as caught:
        there.entry("d")
    assert "is not UTF-8" in caught.value.problems[0].found


@pytest.mark.parametrize("path", ["model.onnx", "d"])
def test_a_pointer_in_the_place_of_a_large_file_is_refused(tmp_path: Path, path: str) -> None:
    there = sources(tmp_path, {"model.onnx": POINTER, "d/model.onnx": POINTER})
    with pytest.raises(ActionError) as caught:
        there.entry(path)
    (problem,) = caught.value.problems
    assert "model.onnx is a Git LFS pointer, not the file itself" in problem.found
    assert "git lfs pull" in problem.remedy
    assert problem.file.endswith("model.onnx")


@pytest.mark.parametrize("text", [b"version https://git-lfs", b"x" + POINTER, POINTER + b" " * 999])
def test_what_only_looks_like_a_pointer_is_taken(tmp_path: Path, text: bytes) -> None:
    assert sources(tmp_path, {"a": text}).entry("a") == File(Digest.of_bytes(text))


def test_a_file_is_hashed_once_and_then_known(tmp_path: Path) -> None:
    there = sources(tmp_path, {"a": "12345"})
    assert there.entry("a") == there.entry("a")
    assert there.bytes_hashed == 5


def test_a_file_that_changed_is_refused_until_it_is_looked_at_again(tmp_path: Path) -> None:
    there = sources(tmp_path, {"a": "one"})
    before = there.entry("a")
    write(tmp_path, {"a": "other"})
    with pytest.raises(Moved) as caught:
        there.entry("a")
    assert caught.value.paths == ("a",)
    there.look_again(caught.value.paths)
    assert there.entry("a") == file("other") != before
    assert there.looked_again


def test_a_file_that_lends_its_content_to_an_input_root_is_noticed(tmp_path: Path) -> None:
    there = sources(tmp_path, {"a": "one", "b": "two"})
    root = Folder({"made": Folder({"of": there.entry("a")})})
    there.entry("b")
    assert not there.moved([], root)
    write(tmp_path, {"a": "other", "b": "other"})
    assert there.moved([], root) == ["a"]


@pytest.mark.usefixtures("later")
def test_a_settled_file_is_known_to_later_builds(tmp_path: Path) -> None:
    memory = Memory()
    sources(tmp_path, {"a": "x"}, memory).entry("a")
    again = sources(tmp_path, {}, memory)
    assert again.entry("a") == file("x")
    assert again.bytes_hashed == 0


def test_a_fresh_file_is_not_trusted_by_later_builds(tmp_path: Path) -> None:
    memory = Memory()
    sources(tmp_path, {"a": "x"}, memory).entry("a")
    assert not memory.rows
    again = sources(tmp_path, {}, memory)
    again.entry("a")
    assert again.bytes_hashed == 1


@pytest.mark.usefixtures("later")
def test_a_touched_file_is_hashed_again_and_is_the_same(tmp_path: Path) -> None:
    memory = Memory()
    before = sources(tmp_path, {"a": "x"}, memory).entry("a")
    os.utime(tmp_path / "a")
    again = sources(tmp_path, {}, memory)
    assert again.entry("a") == before
    assert again.bytes_hashed == 1


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("same_size", [True, False])
def test_a_change_that_keeps_the_times_is_noticed(tmp_path: Path, same_size: bool) -> None:
    memory = Memory()
    sources(tmp_path, {"a": "one"}, memory).entry("a")
    times = (tmp_path / "a").stat()
    write(tmp_path, {"a": "two" if same_size else "three"})
    os.utime(tmp_path / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert sources(tmp_path, {}, memory).entry("a") == file("two" if same_size else "three")


@pytest.mark.usefixtures("later")
def test_the_memory_of_a_workspace_is_its_state(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    workspace = Workspace(tmp_path / "root")
    write(workspace.root, {"a": "x"})
    assert over(workspace, state).entry("a") == file("x")
    again = over(Workspace(workspace.root), state)
    again.entry("a")
    assert again.bytes_hashed == 0
    state.close()


def test_content_is_found_in_the_file_that_has_it(tmp_path: Path) -> None:
    there = sources(tmp_path, {"a": "x", "d/b": "y"})
    assert there.find(Digest.of_bytes(b"x")) is None
    there.entry("a")
    there.entry("d")
    assert there.find(Digest.of_bytes(b"x")) == tmp_path / "a"
    assert there.find(Digest.of_bytes(b"y")) == tmp_path / "d/b"


def test_content_is_not_found_in_a_file_that_changed(tmp_path: Path) -> None:
    there = sources(tmp_path, {"a": "x"})
    there.entry("a")
    write(tmp_path, {"a": "longer"})
    assert there.find(Digest.of_bytes(b"x")) is None


def test_what_stands_still_is_unchanged(tmp_path: Path) -> None:
    there = sources(tmp_path, {"a": "x", "d/b": "y"})
    for path in ("a", "d"):
        there.entry(path)
        assert not there.moved([path], Folder())


@pytest.mark.parametrize(
    "changed", [{"d/a": "changed"}, {"d/new": ""}, {"d/e/new": ""}, {"d/e/b": "changed"}]
)
def test_a_change_in_a_folder_is_noticed(tmp_path: Path, changed: Mapping[str, str]) -> None:
    there = sources(tmp_path, {"d/a": "x", "d/e/b": "y", "other": ""})
    there.entry("d")
    write(tmp_path, {"other": "does not count"})
    assert not there.moved(["d"], Folder())
    write(tmp_path, changed)
    moved = there.moved(["d"], Folder())
    assert moved
    there.look_again(moved)
    there.entry("d")
    assert not there.moved(["d"], Folder())


def test_a_file_that_is_taken_out_of_a_folder_is_noticed(tmp_path: Path) -> None:
    there = sources(tmp_path, {"d/a": "x", "d/b": "y"})
    there.entry("d")
    (tmp_path / "d/b").unlink()
    assert there.moved(["d"], Folder())


@pytest.mark.usefixtures("later")
def test_a_hard_link_to_a_file_is_no_change_of_it(tmp_path: Path) -> None:
    memory = Memory()
    there = sources(tmp_path, {"a": "x"}, memory)
    there.entry("a")
    os.link(tmp_path / "a", tmp_path / "link")
    there.linked(Digest.of_bytes(b"x"))
    assert not there.moved(["a"], Folder())
    again = sources(tmp_path, {}, memory)
    again.entry("a")
    assert again.bytes_hashed == 0


def test_a_hard_link_makes_a_fresh_file_no_more_trusted(tmp_path: Path) -> None:
    memory = Memory()
    there = sources(tmp_path, {"a": "x"}, memory)
    there.entry("a")
    os.link(tmp_path / "a", tmp_path / "link")
    there.linked(Digest.of_bytes(b"x"))
    assert not there.moved(["a"], Folder())
    assert not memory.rows


def test_a_hard_link_hides_no_change(tmp_path: Path) -> None:
    there = sources(tmp_path, {"a": "x"})
    there.entry("a")
    write(tmp_path, {"a": "longer"})
    os.link(tmp_path / "a", tmp_path / "link")
    there.linked(Digest.of_bytes(b"x"))
    assert there.moved(["a"], Folder())


names = st.from_regex(r"[a-z]{1,2}(/[A-Z]{1,2}){0,2}", fullmatch=True)


@settings(max_examples=20)
@given(st.dictionaries(names, st.binary(max_size=3), min_size=1, max_size=6))
def test_any_folder_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    whole = {f"top/{name}/file": text for name, text in files.items()}
    entry = sources(tmp_path_factory.mktemp("any"), dict(whole)).entry("top")
    expected = {f"{name}/file": File(Digest.of_bytes(text)) for name, text in files.items()}
    assert content(entry) == expected
