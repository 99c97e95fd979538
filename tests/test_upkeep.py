"""Looking after the cache."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tritonbuild.cache import Result
from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.state import State
from tritonbuild.cache.trees import Trees
from tritonbuild.cache.upkeep import Usage, collect, usage, verify, verify_sources
from tritonbuild.digest import Digest
from tritonbuild.merkle import File, Folder
from tritonbuild.places import FIXED_MTIME
from tritonbuild.workspace import Signature

DAY = 24 * 3600.0


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "cache")


def blobs(cache: DiskCache) -> set[str]:
    return {path.name for path in (cache.root / "blobs").glob("??/*")}


def keep(cache: DiskCache, name: str, *, days: float = 0) -> Result:
    """The result of an action, last used so many days ago: a file, a folder and a log."""
    file = File(cache.put(f"{name} file".encode()))
    folder = Folder({"a": File(cache.put(f"{name} a".encode())), "b": Folder({"c": file})})
    result = Result({"file": file, "folder": folder}, log=cache.put(f"{name} log".encode()))
    key = Digest.of_bytes(name.encode())
    cache.put_result(key, result.encode(cache))
    path = cache.root / "actions" / key.hash[:2] / key.hash
    then = path.stat().st_mtime - days * DAY
    os.utime(path, (then, then))
    return result


def damage(cache: DiskCache, digest: Digest, content: bytes) -> None:
    """Where no `stat` shows it."""
    path = cache.find(digest)
    assert path is not None
    path.chmod(0o644)
    path.write_bytes(content)
    os.utime(path, (FIXED_MTIME, FIXED_MTIME))


def test_an_empty_cache_holds_nothing(cache: DiskCache) -> None:
    assert usage(cache) == {"blobs": Usage(), "actions": Usage(), "trees": Usage()}


def test_usage_counts_files_and_bytes(cache: DiskCache) -> None:
    cache.put(b"12345")
    cache.put(b"123")
    Trees(cache).path(Folder({"x": File(cache.put(b"12345"))}))
    cache.put_result(Digest.of_bytes(b""), b"result")
    found = usage(cache)
    assert found["blobs"] == Usage(2, 8)
    assert found["actions"] == Usage(1, 32 + len(b"result"))
    assert found["trees"].count == 1


def test_a_whole_cache_verifies(cache: DiskCache) -> None:
    keep(cache, "one")
    assert verify(cache) == []


def test_verifying_names_damage_that_no_stat_shows(cache: DiskCache) -> None:
    digest = cache.put(b"content")
    cache.put(b"other")
    damage(cache, digest, b"CONTENT")
    (text,) = verify(cache)
    assert digest.hash in text
    assert cache.find(digest) is None
    assert verify(cache) == []


def test_verifying_names_damaged_results(cache: DiskCache) -> None:
    keep(cache, "one")
    (path,) = (cache.root / "actions").glob("??/*")
    path.write_bytes(path.read_bytes() + b"x")
    (text,) = verify(cache)
    assert path.name in text
    assert not path.exists()


def test_verifying_names_everything_that_is_damaged(cache: DiskCache) -> None:
    digests = [cache.put(bytes([number])) for number in range(5)]
    for digest in digests[:3]:
        damage(cache, digest, b"?")
    assert len(verify(cache)) == 3


def test_verifying_sources_names_a_change_that_no_stat_shows(tmp_path: Path) -> None:
    state = State(tmp_path / "state")
    for name in ("same", "changed", "touched", "gone"):
        file = tmp_path / name
        file.write_text(name)
        signature, digest = Signature.of(file.stat()), Digest.of_file(file)
        if name == "changed":
            digest = Digest.of_bytes(b"what it held before")
        state.remember_digests([(name, signature, digest)])
    os.utime(tmp_path / "touched", (1, 1))
    (tmp_path / "gone").unlink()
    (text,) = verify_sources(tmp_path, state)
    assert text.startswith("changed changed without")
    assert [path for path, _, _ in state.digests()] == ["gone", "same", "touched"]
    assert verify_sources(tmp_path, state) == []
    state.close()


def test_collecting_keeps_what_results_need(cache: DiskCache) -> None:
    result = keep(cache, "one")
    before = blobs(cache)
    assert collect(cache, DAY) == Usage()
    assert blobs(cache) == before
    encoded = cache.get_result(Digest.of_bytes(b"one"))
    assert encoded is not None
    assert set(Result.decode(encoded, cache).outputs) == set(result.outputs)


def test_collecting_removes_results_that_nobody_used_and_what_only_they_need(
    cache: DiskCache,
) -> None:
    keep(cache, "new", days=1)
    kept = blobs(cache)
    keep(cache, "old", days=31)
    removed = collect(cache, 30 * DAY)
    assert blobs(cache) == kept
    assert removed.count == 4
    assert removed.size > 0
    assert cache.get_result(Digest.of_bytes(b"old")) is None
    assert cache.get_result(Digest.of_bytes(b"new")) is not None


def test_collecting_keeps_what_an_old_and_a_new_result_share(cache: DiskCache) -> None:
    shared = File(cache.put(b"shared"))
    for name, days in {"old": 31, "new": 1}.items():
        key = Digest.of_bytes(name.encode())
        cache.put_result(key, Result({"x": shared}).encode(cache))
        path = cache.root / "actions" / key.hash[:2] / key.hash
        then = path.stat().st_mtime - days * DAY
        os.utime(path, (then, then))
    collect(cache, 30 * DAY)
    assert cache.read(shared.digest) == b"shared"


def test_collecting_removes_content_that_no_result_speaks_of(cache: DiskCache) -> None:
    digest = cache.put(b"orphan")
    assert collect(cache, DAY) == Usage(1, len(b"orphan"))
    assert cache.find(digest) is None


def test_collecting_removes_kept_folders_that_nobody_used(cache: DiskCache) -> None:
    trees = Trees(cache)
    old, new = (trees.kept(name, Path.mkdir) for name in ("old", "new"))
    os.utime(old, (0, 0))
    collect(cache, DAY)
    assert (old.exists(), new.exists()) == (False, True)


def test_using_a_kept_folder_keeps_it(cache: DiskCache) -> None:
    for _ in range(2):
        os.utime(Trees(cache).kept("x", Path.mkdir), (0, 0))
    assert Trees(cache).kept("x", Path.mkdir).exists()
    collect(cache, DAY)
    assert (cache.root / "kept/x").exists()


def test_collecting_removes_trees_that_no_result_needs(cache: DiskCache) -> None:
    result = keep(cache, "one")
    needed, trees = result.outputs["folder"], Trees(cache)
    assert isinstance(needed, Folder)
    path = trees.path(needed)
    orphan = trees.path(Folder({"x": File(cache.put(b"x"), executable=True), "y": Folder()}))
    collect(cache, DAY)
    assert path.exists()
    assert not orphan.exists()


def test_collecting_removes_what_killed_builds_left(cache: DiskCache) -> None:
    (cache.tmp / "folder/below").mkdir(parents=True)
    (cache.tmp / "folder/below").chmod(0o555)
    (cache.tmp / "file").write_text("")
    collect(cache, DAY)
    assert list(cache.tmp.iterdir()) == []


def test_collecting_everything_empties_the_cache(cache: DiskCache) -> None:
    keep(cache, "one")
    collect(cache, 0)
    assert blobs(cache) == set()
    assert usage(cache)["actions"].count == 0


def test_a_damaged_result_is_collected(cache: DiskCache) -> None:
    keep(cache, "one")
    (path,) = (cache.root / "actions").glob("??/*")
    path.write_bytes(b"damaged")
    collect(cache, DAY)
    assert blobs(cache) == set()


def test_looking_after_the_cache_is_no_use_of_a_result(cache: DiskCache) -> None:
    keep(cache, "a", days=5)
    (path,) = (cache.root / "actions").glob("??/*")
    before = path.stat().st_mtime
    verify(cache)
    collect(cache, 10 * DAY)
    assert path.stat().st_mtime == before
    collect(cache, 4 * DAY)
    assert not path.exists()
