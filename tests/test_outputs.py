"""tritonbuild-out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tritonbuild.cache import FirstOf
from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.state import State
from tritonbuild.cache.trees import Missing
from tritonbuild.digest import CHUNK, Digest
from tritonbuild.errors import ActionError, EnvironmentFailure, OutputsLocked
from tritonbuild.label import Label
from tritonbuild.merkle import Entry, File, Folder
from tritonbuild.outputs import Outputs, clear, folder_for, locked
from tritonbuild.pointers import Pointers
from tritonbuild.sources import Sources
from tritonbuild.workspace import OUTPUTS, Workspace

LABEL = Label("p", "t")
FOLDER = f"{OUTPUTS}/p/_/t"
LARGE = b"x" * CHUNK


class Place:
    """A workspace's outputs over a cache of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        self.cache = DiskCache(folder / "cache")
        self.state = State(folder / "state")
        pointers = Pointers(self.root, self.cache)
        self.sources = Sources(Workspace(self.root), self.state, pointers)
        self.outputs = Outputs(
            self.root, FirstOf(self.cache, self.sources), self.sources, self.state
        )

    def file(self, content: bytes, *, executable: bool = False) -> File:
        return File(self.cache.put(content), executable)

    def put(self, entries: Mapping[str, Entry]) -> None:
        self.outputs.place(LABEL, entries)

    def content(self) -> dict[str, bytes]:
        folder = self.root / FOLDER
        return {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.state.close()


@pytest.mark.parametrize(
    ("label", "folder"),
    [("//models:digits", "models/_/digits"), ("//a/b:c", "a/b/_/c"), ("//:train", "_/train")],
)
def test_each_target_has_a_folder(label: str, folder: str) -> None:
    assert folder_for(Label.parse(label)) == f"{OUTPUTS}/{folder}"


def test_files_and_folders_lie_under_their_names(place: Place) -> None:
    below = Folder({"y": place.file(b"y"), "z": Folder({"z": place.file(b"z")})})
    place.put({"x": place.file(b"x"), "model": below, "deep/er": place.file(b"d")})
    assert place.content() == {"x": b"x", "model/y": b"y", "model/z/z": b"z", "deep/er": b"d"}


def test_what_was_placed_is_described(place: Place) -> None:
    file, folder = place.file(b"12345"), Folder({"y": place.file(b"y")})
    model, x = place.outputs.place(LABEL, {"x": file, "model": folder})
    assert (x.path, x.digest, x.size) == (f"{FOLDER}/x", file.digest.hash, 5)
    assert x.media_type == "application/octet-stream"
    assert (model.path, model.digest) == (f"{FOLDER}/model", folder.tree_digest.hash)
    assert model.media_type.endswith(".tree")


def test_modes_are_those_of_the_entries_whatever_the_umask(place: Place) -> None:
    below = Folder({"b": place.file(b"b", executable=True)})
    before = os.umask(0o077)
    try:
        place.put({"a": place.file(b"a"), "d": below})
    finally:
        os.umask(before)
    modes = [(place.root / FOLDER / path).stat().st_mode & 0o777 for path in ("a", "d", "d/b")]
    assert modes == [0o644, 0o755, 0o755]


def test_what_is_right_already_is_left_alone(place: Place) -> None:
    entries = {"a": place.file(b"a")}
    place.put(entries)
    before = (place.root / FOLDER / "a").stat()
    place.put(entries)
    after = (place.root / FOLDER / "a").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_what_is_not_made_any_more_goes(place: Place) -> None:
    file = place.file(b"x")
    place.put({"a": file, "d": Folder({"b": file}), "e/f": file})
    place.put({"d": Folder({"c": file})})
    assert place.content() == {"d/c": b"x"}
    assert sorted(os.listdir(place.root / FOLDER)) == ["d"]


def test_a_file_may_become_a_folder_and_a_folder_a_file(place: Place) -> None:
    place.put({"a": place.file(b"a"), "b": Folder({"b": place.file(b"b")})})
    place.put({"b": place.file(b"b"), "a": Folder({"a": place.file(b"a")})})
    assert place.content() == {"a/a": b"a", "b": b"b"}


def change(path: Path) -> None:
    path.write_bytes(b"changed")


def make_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "x").write_text("")


@pytest.mark.parametrize(
    "damage", [change, Path.unlink, make_link, make_folder, lambda path: path.chmod(0o600)]
)
def test_what_somebody_changed_is_put_right(place: Place, damage: object) -> None:
    entries = {"d": Folder({"a": place.file(b"a"), "b": place.file(b"b")})}
    place.put(entries)
    assert callable(damage)
    damage(place.root / FOLDER / "d/a")
    place.put(entries)
    assert place.content() == {"d/a": b"a", "d/b": b"b"}
    assert (place.root / FOLDER / "d/a").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("path", ["new", "d/new", "d/new/deeper"])
def test_what_somebody_added_goes(place: Place, path: str) -> None:
    entries = {"d": Folder({"a": place.file(b"a")})}
    place.put(entries)
    (place.root / FOLDER / path).parent.mkdir(parents=True, exist_ok=True)
    (place.root / FOLDER / path).write_text("")
    place.put(entries)
    assert place.content() == {"d/a": b"a"}


def test_a_link_in_the_place_of_the_folder_is_replaced_and_not_followed(
    place: Place, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("")
    (place.root / FOLDER).parent.mkdir(parents=True)
    (place.root / FOLDER).symlink_to(elsewhere)
    place.put({"a": place.file(b"a")})
    assert [path.name for path in elsewhere.iterdir()] == ["precious"]
    assert not (place.root / FOLDER).is_symlink()


def test_a_small_output_is_a_file_of_its_own(place: Place) -> None:
    file = place.file(b"small")
    place.put({"a": file})
    change(place.root / FOLDER / "a")
    assert place.cache.read(file.digest) == b"small"


def test_a_large_output_takes_no_space_of_its_own(place: Place) -> None:
    file = place.file(LARGE)
    place.put({"a": file})
    kept = place.cache.find(file.digest)
    assert kept is not None
    shared = kept.samefile(place.root / FOLDER / "a")
    cloned = not shared and (place.root / FOLDER / "a").read_bytes() == LARGE
    assert shared or cloned


def test_a_large_source_is_placed_without_the_cache(place: Place) -> None:
    (place.root / "weights").write_bytes(LARGE)
    entry = place.sources.entry("weights")
    place.put({"weights": entry})
    assert place.content() == {"weights": LARGE}
    assert place.sources.moved(["weights"], Folder({"weights": entry})) == []
    assert not list((place.cache.root / "blobs").glob("??/*"))


def test_content_that_is_nowhere_fails(place: Place) -> None:
    with pytest.raises(Missing):
        place.put({"a": File(Digest.of_bytes(b"never put"))})
    assert os.listdir(place.root / FOLDER) == []


def test_two_outputs_in_one_place_fail(place: Place) -> None:
    with pytest.raises(ActionError, match="two different things at 'a'"):
        place.put({"a": place.file(b"a"), "a/b": place.file(b"b")})


def test_an_output_tree_that_cannot_be_written_is_told(place: Place) -> None:
    (place.root / OUTPUTS).write_text("a file")
    with pytest.raises(ActionError) as caught:
        place.put({"a": place.file(b"a")})
    assert caught.value.problems[0].found.startswith(f"{FOLDER} cannot be written: ")


def test_every_placed_path_is_known_with_its_look(place: Place) -> None:
    assert place.outputs.placed(LABEL) == {}
    place.put({"d": Folder({"a": place.file(b"a")})})
    assert set(place.outputs.placed(LABEL)) == {FOLDER, f"{FOLDER}/d", f"{FOLDER}/d/a"}


def test_one_build_at_a_time_holds_the_outputs(tmp_path: Path) -> None:
    with locked(tmp_path, wait=False):
        with pytest.raises(OutputsLocked) as caught, locked(tmp_path, wait=False):
            pass
        assert "another build" in caught.value.problems[0].found
    with locked(tmp_path, wait=False):
        pass


def test_outputs_that_cannot_be_locked_are_a_fault_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / OUTPUTS).write_text("")
    with pytest.raises(EnvironmentFailure), locked(tmp_path, wait=True):
        pass


def test_clearing_removes_all_but_the_lock(place: Place) -> None:
    place.put({"a": place.file(b"a")})
    with locked(place.root, wait=True):
        clear(place.root)
        assert os.listdir(place.root / OUTPUTS) == [".lock"]
    place.put({"a": place.file(b"a")})
    assert place.content() == {"a": b"a"}


def test_a_name_of_any_length_is_placed(place: Place) -> None:
    name = "n" * 255
    place.put({name: place.file(b"x"), "d": Folder({name: place.file(b"y")})})
    assert place.content() == {name: b"x", f"d/{name}": b"y"}


def test_names_that_look_temporary_are_placed(place: Place) -> None:
    place.put({".a.tmp": place.file(b"b"), "a": place.file(b"a"), ".tmp-": place.file(b"c")})
    assert place.content() == {".a.tmp": b"b", "a": b"a", ".tmp-": b"c"}
    assert os.listdir(place.root / OUTPUTS) == ["p"]


def test_what_a_killed_build_did_not_finish_is_cleared(place: Place) -> None:
    left = place.root / OUTPUTS / ".tmp-left"
    left.mkdir(parents=True)
    (left / "entry").write_text("x")
    place.put({"a": place.file(b"a")})
    with locked(place.root, wait=True):
        assert not left.exists()
    assert place.content() == {"a": b"a"}


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_large_source_of_another_mode_is_not_shared(place: Place, mode: int) -> None:
    source = place.root / "weights"
    source.write_bytes(LARGE)
    source.chmod(mode)
    place.put({"weights": place.sources.entry("weights")})
    placed = place.root / FOLDER / "weights"
    assert not placed.samefile(source)
    assert placed.stat().st_mode & 0o777 == 0o644
    assert source.stat().st_mode & 0o777 == mode


def test_a_large_source_that_is_a_link_is_placed_as_a_file(place: Place) -> None:
    (place.root / "real").mkdir()
    (place.root / "real/weights").write_bytes(LARGE)
    (place.root / "weights").symlink_to("real/weights")
    place.put({"weights": place.sources.entry("weights")})
    assert not (place.root / FOLDER / "weights").is_symlink()
    assert place.content() == {"weights": LARGE}
