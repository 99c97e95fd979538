"""Folders made real."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from parts.folders import flat, folders

from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.trees import Missing, Place, Trees, copy, link, materialise, point
from tritonbuild.digest import CHUNK, Digest
from tritonbuild.merkle import Entry, File, Folder, Symlink

LARGE = b"x" * CHUNK


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "cache")


def file(cache: DiskCache, content: bytes, *, executable: bool = False) -> File:
    return File(cache.put(content), executable)


def sample(cache: DiskCache) -> Folder:
    below = Folder({"link": Symlink("../plain"), "script": file(cache, b"#!", executable=True)})
    return Folder({"plain": file(cache, b"plain"), "below": below, "empty": Folder()})


def read(path: Path) -> Folder:
    """A folder on disk as a value."""
    entries: dict[str, Entry] = {}
    for below in path.iterdir():
        if below.is_symlink():
            entries[below.name] = Symlink(os.readlink(below))
        elif below.is_dir():
            entries[below.name] = read(below)
        else:
            executable = bool(below.stat().st_mode & 0o100)
            entries[below.name] = File(Digest.of_file(below), executable)
    return Folder(entries)


@pytest.mark.parametrize("place", [copy, link, point])
def test_a_folder_is_made_real(cache: DiskCache, tmp_path: Path, place: Place) -> None:
    folder = sample(cache)
    materialise(folder, tmp_path / "made", cache, place)
    assert flat(read(tmp_path / "made")) == flat(folder)


def test_a_file_and_a_link_are_made_real(cache: DiskCache, tmp_path: Path) -> None:
    materialise(file(cache, b"x"), tmp_path / "file", cache, copy)
    materialise(Symlink("file"), tmp_path / "link", cache, copy)
    assert (tmp_path / "link").read_bytes() == b"x"


@pytest.mark.parametrize("content", [b"small", LARGE])
def test_a_copy_is_a_file_of_its_own(cache: DiskCache, tmp_path: Path, content: bytes) -> None:
    plain, script = file(cache, content), file(cache, content, executable=True)
    materialise(Folder({"plain": plain, "script": script}), tmp_path / "made", cache, copy)
    modes = [(tmp_path / "made" / name).stat().st_mode & 0o777 for name in ("plain", "script")]
    assert modes == [0o644, 0o755]
    (tmp_path / "made/plain").write_bytes(b"changed")
    assert cache.read(plain.digest) == content


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_the_umask_leaves_no_trace(cache: DiskCache, tmp_path: Path, mask: int) -> None:
    folder = sample(cache)
    before = os.umask(mask)
    try:
        materialise(folder, tmp_path / "made", cache, copy)
    finally:
        os.umask(before)
    modes = {
        path.relative_to(tmp_path).as_posix(): oct(path.stat().st_mode & 0o777)
        for path in sorted((tmp_path / "made").rglob("*"))
    }
    assert modes == {
        "made/below": "0o755",
        "made/below/link": "0o644",
        "made/below/script": "0o755",
        "made/empty": "0o755",
        "made/plain": "0o644",
    }


def test_a_linked_file_takes_no_space_of_its_own(cache: DiskCache, tmp_path: Path) -> None:
    plain, script = file(cache, b"plain"), file(cache, b"script", executable=True)
    materialise(plain, tmp_path / "plain", cache, link)
    materialise(script, tmp_path / "script", cache, link)
    kept = cache.find(plain.digest)
    assert kept is not None
    assert kept.samefile(tmp_path / "plain")
    assert (tmp_path / "script").stat().st_nlink == 1
    assert kept.stat().st_mode & 0o777 == 0o444


def test_large_files_are_pointed_at_and_small_ones_copied(cache: DiskCache, tmp_path: Path) -> None:
    folder = Folder({"large": file(cache, LARGE), "small": file(cache, b"small")})
    materialise(folder, tmp_path / "made", cache, point)
    assert (tmp_path / "made/large").is_symlink()
    assert not (tmp_path / "made/small").is_symlink()
    assert (tmp_path / "made/large").read_bytes() == LARGE


@pytest.mark.parametrize("place", [copy, link, point])
def test_content_that_is_nowhere_is_told(cache: DiskCache, tmp_path: Path, place: Place) -> None:
    digest = Digest.of_bytes(b"never put")
    with pytest.raises(Missing) as caught:
        materialise(Folder({"x": File(digest)}), tmp_path / "made", cache, place)
    assert str(digest) in caught.value.problems[0].found
    assert caught.value.problems[0].remedy


@given(folder=folders)
def test_any_folder_is_what_was_asked_for(
    tmp_path_factory: pytest.TempPathFactory, folder: Folder
) -> None:
    tmp = tmp_path_factory.mktemp("any")
    cache = DiskCache(tmp / "cache")
    for content in (b"", b"a", b"b", b"c" * 300):
        cache.put(content)
    materialise(folder, tmp / "made", cache, copy)
    assert flat(read(tmp / "made")) == flat(folder)
    assert flat(read(Trees(cache).path(folder))) == flat(folder)


def test_a_tree_is_made_once_and_shared(cache: DiskCache) -> None:
    path = Trees(cache).path(sample(cache))
    again = Trees(cache).path(sample(cache))
    assert path == again
    assert flat(read(path)) == flat(sample(cache))
    assert [each.name for each in (cache.root / "trees").iterdir()] == [path.name]
    assert list(cache.tmp.iterdir()) == []


def test_a_tree_shares_its_plain_files_with_the_cache(cache: DiskCache) -> None:
    path = Trees(cache).path(sample(cache))
    kept = cache.find(Digest.of_bytes(b"plain"))
    assert kept is not None
    assert kept.samefile(path / "plain")


def test_nothing_in_a_tree_can_be_written(cache: DiskCache) -> None:
    path = Trees(cache).path(sample(cache))
    written = [
        below.name
        for below in path.rglob("*")
        if not below.is_symlink() and below.stat().st_mode & 0o222
    ]
    assert written == []


def test_a_tree_with_content_that_is_nowhere_is_not_begun(cache: DiskCache) -> None:
    with pytest.raises(Missing):
        Trees(cache).path(Folder({"x": File(Digest.of_bytes(b"never put"))}))
    assert list((cache.root / "trees").iterdir()) == []
    assert list(cache.tmp.iterdir()) == []


def rewrite(path: Path) -> None:
    path.chmod(0o755)
    path.write_bytes(b"other content")


def remove(path: Path) -> None:
    path.parent.chmod(0o755)
    path.unlink()


def add(path: Path) -> None:
    path.parent.chmod(0o755)
    (path.parent / "extra").write_text("x")


def lead_elsewhere(path: Path) -> None:
    remove(path.parent / "link")
    (path.parent / "link").symlink_to("elsewhere")


def take_its_x(path: Path) -> None:
    path.chmod(0o444)


def become_a_link(path: Path) -> None:
    content = path.read_bytes()
    remove(path)
    (path.parent.parent.parent / "copy").write_bytes(content)
    path.symlink_to("../../copy")


@pytest.mark.parametrize(
    "damage", [rewrite, remove, add, lead_elsewhere, take_its_x, become_a_link]
)
def test_a_tree_that_somebody_changed_is_made_again(cache: DiskCache, damage: object) -> None:
    told: list[str] = []
    cache.on_corruption = told.append
    folder = sample(cache)
    assert callable(damage)
    damage(Trees(cache).path(folder) / "below/script")
    assert flat(read(Trees(cache).path(folder))) == flat(folder)
    (text,) = told
    assert folder.digest.hash in text


def test_threads_that_want_one_tree_get_the_same(cache: DiskCache) -> None:
    folder = Folder({str(n): file(cache, b"%d" % n, executable=True) for n in range(50)})
    with ThreadPoolExecutor(8) as pool:
        paths = set(pool.map(lambda _: Trees(cache).path(folder), range(16)))
    (path,) = paths
    assert flat(read(path)) == flat(folder)
    assert list(cache.tmp.iterdir()) == []


def test_an_extra_file_on_top_is_found(cache: DiskCache) -> None:
    (Trees(cache).path(sample(cache)) / "extra").mkdir()
    assert flat(read(Trees(cache).path(sample(cache)))) == flat(sample(cache))


def test_a_plain_file_that_was_made_executable_through_a_hard_link_is_set_right(
    cache: DiskCache, tmp_path: Path
) -> None:
    plain = file(cache, b"plain")
    materialise(plain, tmp_path / "output", cache, link)
    (tmp_path / "output").chmod(0o777)
    assert flat(read(Trees(cache).path(Folder({"plain": plain})))) == {"plain": plain}
    assert (tmp_path / "output").stat().st_mode & 0o777 == 0o444
