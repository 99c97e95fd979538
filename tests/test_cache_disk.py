"""The cache as a folder."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts.folders import files, flat, folders
from parts.ordinary import ordinary

from tritonbuild import reapi
from tritonbuild.cache import FirstOf, Result
from tritonbuild.cache.disk import DiskCache
from tritonbuild.digest import EMPTY, Digest
from tritonbuild.errors import EnvironmentFailure
from tritonbuild.merkle import Entry, File, Folder
from tritonbuild.places import FIXED_MTIME

__all__ = ["ordinary"]

KEY = Digest.of_bytes(b"an action")


class Watched(DiskCache):
    """A cache that keeps what it says of damage."""

    def __init__(self, root: Path) -> None:
        self.told: list[str] = []
        super().__init__(root, self.told.append)


@pytest.fixture
def cache(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "cache")


def place(cache: DiskCache, digest: Digest) -> Path:
    path = cache.find(digest)
    assert path is not None
    return path


def rewrite(path: Path, content: bytes) -> None:
    """What careless hands do: they change a file of the cache in place."""
    path.chmod(0o644)
    path.write_bytes(content)


def test_content_is_found_by_its_digest(cache: Watched) -> None:
    digest = cache.put(b"content")
    assert digest == Digest.of_bytes(b"content")
    assert place(cache, digest).read_bytes() == b"content"
    assert cache.read(digest) == b"content"


def test_what_was_never_put_is_not_found(cache: Watched) -> None:
    assert cache.find(KEY) is None
    with pytest.raises(KeyError):
        cache.read(KEY)
    assert cache.told == []


def test_content_is_read_only_and_carries_the_fixed_moment(cache: Watched) -> None:
    path = place(cache, cache.put(b"content"))
    assert path.stat().st_mode & 0o777 == 0o444
    assert path.stat().st_mtime == FIXED_MTIME


@pytest.mark.parametrize("mask", [0o000, 0o077, 0o777])
def test_the_umask_leaves_no_trace_on_content(cache: Watched, mask: int) -> None:
    before = os.umask(mask)
    try:
        file = cache.tmp / "file"
        file.write_bytes(b"adopted")
        digests = [cache.put(b"content"), cache.adopt(file)]
    finally:
        os.umask(before)
    assert [place(cache, digest).stat().st_mode & 0o777 for digest in digests] == [0o444, 0o444]


def test_the_same_content_is_kept_once(cache: Watched) -> None:
    first = place(cache, cache.put(b"content")).stat()
    file = cache.tmp / "file"
    file.write_bytes(b"content")
    cache.adopt(file)
    cache.put(b"content")
    assert place(cache, Digest.of_bytes(b"content")).stat().st_ino == first.st_ino
    assert not file.exists()


def test_a_file_is_adopted_without_a_copy(cache: Watched) -> None:
    file = cache.tmp / "file"
    file.write_bytes(b"content")
    number = file.stat().st_ino
    digest = cache.adopt(file)
    assert place(cache, digest).stat().st_ino == number
    assert not file.exists()


def test_a_file_of_another_file_system_is_adopted(cache: Watched) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as elsewhere:
        file = Path(elsewhere) / "file"
        file.write_bytes(b"content")
        assert file.stat().st_dev != cache.root.stat().st_dev
        digest = cache.adopt(file)
        assert not file.exists()
    assert cache.read(digest) == b"content"
    assert place(cache, digest).stat().st_mtime == FIXED_MTIME


def test_nothing_unfinished_is_left(cache: Watched) -> None:
    cache.put(b"content")
    cache.put_result(KEY, b"result")
    assert list(cache.tmp.iterdir()) == []


@pytest.mark.parametrize("content", [b"CONTENT", b"", b"longer content"])
def test_damaged_content_is_found_said_and_removed(cache: Watched, content: bytes) -> None:
    digest = cache.put(b"content")
    path = place(cache, digest)
    rewrite(path, content)
    assert cache.find(digest) is None
    assert not path.exists()
    assert cache.told == [f"blob {digest} in the cache was damaged; it is removed and made again"]


def test_damaged_content_can_be_put_again(cache: Watched) -> None:
    digest = cache.put(b"content")
    rewrite(place(cache, digest), b"CONTENT")
    cache.put(b"content")
    assert cache.read(digest) == b"content"


def test_content_that_was_only_touched_is_whole(cache: Watched) -> None:
    digest = cache.put(b"content")
    path = place(cache, digest)
    os.utime(path, (1, 1))
    assert cache.find(digest) == path
    assert path.stat().st_mtime == FIXED_MTIME
    assert cache.told == []


def test_reading_notices_damage_that_hides(cache: Watched) -> None:
    digest = cache.put(b"content")
    path = place(cache, digest)
    rewrite(path, b"CONTENT")
    os.utime(path, (FIXED_MTIME, FIXED_MTIME))
    assert cache.find(digest) == path
    with pytest.raises(KeyError):
        cache.read(digest)
    assert len(cache.told) == 1
    assert cache.find(digest) is None


def test_a_result_is_kept_under_its_key(cache: Watched) -> None:
    assert cache.get_result(KEY) is None
    cache.put_result(KEY, b"one")
    cache.put_result(Digest.of_bytes(b"another"), b"two")
    assert cache.get_result(KEY) == b"one"
    cache.put_result(KEY, b"replaced")
    assert cache.get_result(KEY) == b"replaced"


@pytest.mark.parametrize("kept", [0, 10, 32, 34])
def test_a_cut_result_is_found_said_and_removed(cache: Watched, kept: int) -> None:
    cache.put_result(KEY, b"result")
    (path,) = (cache.root / "actions").glob("??/*")
    path.write_bytes(path.read_bytes()[:kept])
    assert cache.get_result(KEY) is None
    assert not path.exists()
    assert cache.told == [
        f"result of action {KEY.hash} in the cache was damaged; it is removed and made again"
    ]


def test_a_changed_result_is_found(cache: Watched) -> None:
    cache.put_result(KEY, b"result")
    (path,) = (cache.root / "actions").glob("??/*")
    path.write_bytes(path.read_bytes()[:-1] + b"T")
    assert cache.get_result(KEY) is None
    assert len(cache.told) == 1


def test_looking_at_a_result_renews_it(cache: Watched) -> None:
    cache.put_result(KEY, b"result")
    (path,) = (cache.root / "actions").glob("??/*")
    os.utime(path, (1, 1))
    cache.get_result(KEY)
    assert path.stat().st_mtime > 1


def test_a_cache_that_cannot_be_made_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFailure) as caught:
        DiskCache(tmp_path / "file" / "cache")
    (problem,) = caught.value.problems
    assert str(tmp_path) in problem.found
    assert "--cache-dir" in problem.remedy


def test_a_build_keeps_garbage_collection_away_and_other_builds_not(cache: Watched) -> None:
    with (cache.root / "lock").open("a") as lock:
        with cache.in_use(), cache.in_use(), pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_threads_that_put_the_same_at_once_agree(cache: Watched) -> None:
    contents = [bytes([number]) * 10_000 for number in range(8)] * 8
    with ThreadPoolExecutor(8) as pool:
        digests = list(pool.map(cache.put, contents))
    assert [cache.read(digest) for digest in digests] == contents
    assert len(list((cache.root / "blobs").glob("??/*"))) == 8
    assert cache.told == []


WORKER = """
import sys
from pathlib import Path
from tritonbuild.cache.disk import DiskCache
cache = DiskCache(Path(sys.argv[1]), print)
for number in range(200):
    file = cache.tmp / f"{sys.argv[2]}-{number}"
    file.write_bytes(b"%d" % number * 100)
    digest = cache.adopt(file)
    assert cache.read(digest) == b"%d" % number * 100
    cache.put_result(digest, b"result")
    assert cache.get_result(digest) == b"result"
"""


def test_processes_that_fill_one_cache_at_once_agree(cache: Watched) -> None:
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, cache.root, name], stdout=subprocess.PIPE, text=True
        )
        for name in ("one", "two")
    ]
    assert [worker.communicate()[0] for worker in workers] == ["", ""]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert len(list((cache.root / "blobs").glob("??/*"))) == 200
    assert list(cache.tmp.iterdir()) == []


def test_content_is_taken_from_the_first_place_that_has_it(tmp_path: Path) -> None:
    one, two = DiskCache(tmp_path / "1"), DiskCache(tmp_path / "2")
    digest = two.put(b"x")
    both = FirstOf(one, two)
    assert both.find(digest) == two.find(digest)
    one.put(b"x")
    assert both.find(digest) == one.find(digest)
    assert both.find(EMPTY) is None


results = st.builds(
    Result,
    st.dictionaries(st.sampled_from(["a", "b/c", "d"]), files | folders),
    st.sampled_from([0, 1, 255]),
    st.sampled_from([EMPTY, Digest.of_bytes(b"log")]),
    st.booleans(),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DiskCache:
    return DiskCache(tmp_path_factory.mktemp("store"))


def plain(outputs: dict[str, Entry]) -> dict[str, object]:
    """Outputs as what can be compared."""
    return {
        path: flat(entry) if isinstance(entry, Folder) else entry for path, entry in outputs.items()
    }


@given(result=results)
def test_a_result_is_what_it_was_encoded_from(store: DiskCache, result: Result) -> None:
    back = Result.decode(result.encode(store), store)
    assert plain(dict(back.outputs)) == plain(dict(result.outputs))
    assert (back.exit_code, back.log, back.hermetic) == (
        result.exit_code,
        result.log,
        result.hermetic,
    )


def test_a_result_is_the_remote_execution_apis_message(cache: Watched) -> None:
    folder = Folder({"x": File(EMPTY)})
    result = Result({"b": folder, "a": File(KEY, executable=True)}, 3, EMPTY, hermetic=False)
    message = reapi.ActionResult.FromString(result.encode(cache))
    assert [(file.path, file.is_executable) for file in message.output_files] == [("a", True)]
    (directory,) = message.output_directories
    tree = Digest(directory.tree_digest.hash, directory.tree_digest.size_bytes)
    assert (directory.path, tree) == ("b", folder.tree_digest)
    assert cache.read(tree) == folder.tree
    assert message.exit_code == 3


def test_a_result_whose_tree_is_gone_is_none(cache: Watched) -> None:
    folder = Folder({"x": File(EMPTY)})
    encoded = Result({"b": folder}).encode(cache)
    place(cache, folder.tree_digest).unlink()
    with pytest.raises(KeyError):
        Result.decode(encoded, cache)


def test_a_blob_whose_mode_changed_is_set_right(cache: Watched) -> None:
    digest = cache.put(b"content")
    place(cache, digest).chmod(0o777)
    assert place(cache, digest).stat().st_mode & 0o7777 == 0o444
    assert cache.told == []


@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_a_result_is_for_everyone_to_read(cache: Watched, mask: int) -> None:
    before = os.umask(mask)
    try:
        cache.put_result(KEY, b"result")
    finally:
        os.umask(before)
    (path,) = (cache.root / "actions").glob("??/*")
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_result_that_may_not_be_read_is_none(ordinary: Path) -> None:
    cache = Watched(ordinary / "cache")
    cache.put_result(KEY, b"result")
    (path,) = (cache.root / "actions").glob("??/*")
    path.chmod(0o000)
    assert cache.get_result(KEY) is None
    assert cache.told == []


def test_a_leftover_that_cannot_be_removed_stops_no_build(ordinary: Path) -> None:
    cache = Watched(ordinary / "cache")
    (cache.tmp / "left/below").mkdir(parents=True)
    (cache.tmp / "left/below").chmod(0o000)
    with cache.in_use():
        assert list(cache.tmp.iterdir()) == []
    (cache.tmp / "left").mkdir()
    cache.tmp.chmod(0o555)
    with cache.in_use():
        assert (cache.tmp / "left").exists()


def test_results_share_a_tree_that_they_both_hold(cache: Watched) -> None:
    folder = Folder({"a": Folder({"b": File(cache.put(b"b"))})})
    encoded = Result({"folder": folder}).encode(cache)
    one, two = Result.decode(encoded, cache), Result.decode(encoded, cache)
    assert one.outputs["folder"] is two.outputs["folder"]


def test_a_tree_that_is_held_and_gone_from_the_cache_is_missing(cache: Watched) -> None:
    folder = Folder({"gone": Folder()})
    encoded = Result({"folder": folder}).encode(cache)
    held = Result.decode(encoded, cache)
    place(cache, folder.tree_digest).unlink()
    with pytest.raises(KeyError):
        Result.decode(encoded, cache)
    assert held.outputs
