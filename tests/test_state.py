"""What a workspace remembers between builds."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonbuild.cache.state import BATCH, State
from tritonbuild.digest import Digest
from tritonbuild.errors import EnvironmentFailure
from tritonbuild.workspace import Signature

SIGNATURE = Signature(0o100644, 1, 2, 3, 4_000_000_000_123_456_789, 5)
DIGEST = Digest.of_bytes(b"x")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State(tmp_path / "state")
    yield state
    state.close()


def test_a_digest_is_known_while_the_file_looks_the_same(state: State) -> None:
    assert state.digest("a", SIGNATURE) is None
    state.remember_digests([("a", SIGNATURE, DIGEST)])
    assert state.digest("a", SIGNATURE) == DIGEST


@pytest.mark.parametrize("field", Signature._fields)
def test_every_part_of_a_signature_counts(state: State, field: str) -> None:
    state.remember_digests([("a", SIGNATURE, DIGEST)])
    other = SIGNATURE._replace(**{field: getattr(SIGNATURE, field) + 1})
    assert state.digest("a", other) is None
    assert state.digest("b", SIGNATURE) is None


def test_a_new_digest_replaces_the_old(state: State) -> None:
    later = SIGNATURE._replace(mtime_ns=9)
    state.remember_digests([("a", SIGNATURE, DIGEST), ("b", SIGNATURE, DIGEST)])
    state.remember_digests([("a", later, Digest.of_bytes(b"y"))])
    assert state.digest("a", SIGNATURE) is None
    assert state.digests() == [
        ("a", later, Digest.of_bytes(b"y")),
        ("b", SIGNATURE, DIGEST),
    ]


def test_digests_are_written_many_at_once(tmp_path: Path) -> None:
    state, other = State(tmp_path / "state"), State(tmp_path / "state")
    for number in range(BATCH - 1):
        state.remember_digests([(str(number), SIGNATURE, DIGEST)])
    assert state.digest("0", SIGNATURE) == DIGEST
    assert other.digests() == []
    state.remember_digests([("last", SIGNATURE, DIGEST)])
    assert len(other.digests()) == BATCH
    state.remember_digests([("0", SIGNATURE._replace(mtime_ns=9), DIGEST)])
    assert state.digest("0", SIGNATURE) is None
    state.close()
    assert other.digest("0", SIGNATURE) is None
    other.close()


def test_a_digest_can_be_forgotten(state: State) -> None:
    state.remember_digests([("a", SIGNATURE, DIGEST), ("b", SIGNATURE, DIGEST)])
    state.forget_digest("a")
    assert [path for path, _, _ in state.digests()] == ["b"]


def test_records_are_kept_by_kind_and_name(state: State) -> None:
    state.keep("why", "a", {"x": [1, None, "ü"]})
    state.keep("placed", "a", 2)
    state.keep("why", "a2", 3)
    assert state.record("why", "a") == {"x": [1, None, "ü"]}
    assert state.record("placed", "a") == 2
    assert state.record("why", "b") is None
    state.keep("why", "a", "new")
    assert state.record("why", "a") == "new"


def test_records_are_found_by_a_prefix_in_order(state: State) -> None:
    for name in ("//a:y (b)", "//a:x (b)", "//a:x (a)", "//a:xx (a)", "//A:x (a)", "//a:x% (a)"):
        state.keep("why", name, 1)
    assert list(state.records("why", "//a:x (")) == ["//a:x (a)", "//a:x (b)"]


def test_it_outlives_the_build(tmp_path: Path) -> None:
    first = State(tmp_path)
    first.keep("why", "a", 1)
    first.remember_digests([("a", SIGNATURE, DIGEST)])
    first.close()
    second = State(tmp_path)
    assert second.record("why", "a") == 1
    assert second.digest("a", SIGNATURE) == DIGEST
    second.close()


@pytest.mark.parametrize("garbage", [b"", b"garbage", b"SQLite format 3\0" + bytes(100)])
def test_a_damaged_file_is_thrown_away(tmp_path: Path, garbage: bytes) -> None:
    first = State(tmp_path)
    first.keep("why", "a", 1)
    first.close()
    (tmp_path / "state.db").write_bytes(garbage)
    second = State(tmp_path)
    assert second.record("why", "a") is None
    second.keep("why", "b", 2)
    assert second.record("why", "b") == 2
    second.close()


@pytest.mark.parametrize("part", [0.3, 0.5, 0.9])
def test_a_file_with_a_hole_is_thrown_away(tmp_path: Path, part: float) -> None:
    first = State(tmp_path)
    for number in range(200):
        first.keep("why", str(number), "x" * 100)
    first.close()
    path = tmp_path / "state.db"
    with path.open("r+b") as file:
        file.seek(int(path.stat().st_size * part) // 4096 * 4096)
        file.write(os.urandom(8192))
    second = State(tmp_path)
    for number in range(200):
        assert second.record("why", str(number)) in (None, "x" * 100)
        second.keep("why", str(number), 1)
    assert {second.record("why", str(number)) for number in range(200)} == {1}
    second.close()


def test_a_file_that_cannot_be_opened_is_a_fault_of_the_machine(tmp_path: Path) -> None:
    (tmp_path / "state.db").mkdir()
    state = State(tmp_path)
    with pytest.raises(EnvironmentFailure, match=r"state\.db"):
        state.record("why", "a")
    assert (tmp_path / "state.db").is_dir()


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_READONLY_DBMOVED])
def test_a_fault_of_the_disk_costs_nothing_that_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(*_: object) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = code
        raise error

    state = State(tmp_path)
    state.keep("why", "a", 1)
    with monkeypatch.context() as broken:
        broken.setattr(State, "_transact", fail)
        with pytest.raises(EnvironmentFailure):
            state.record("why", "a")
    assert state.record("why", "a") == 1
    state.close()


def test_two_builds_may_have_it_open(tmp_path: Path) -> None:
    one, two = State(tmp_path), State(tmp_path)
    one.keep("why", "a", 1)
    two.keep("why", "b", 2)
    assert (one.record("why", "b"), two.record("why", "a")) == (2, 1)
    one.close()
    two.close()


def test_threads_share_it(state: State) -> None:
    def work(number: int) -> None:
        state.keep("why", str(number), number)
        state.remember_digests([(str(number), SIGNATURE, DIGEST)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(100)))
    assert len(state.digests()) == 100
    assert state.records("why", "") == {str(number): number for number in range(100)}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda below: st.lists(below) | st.dictionaries(st.text(), below),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[State]:
    state = State(tmp_path_factory.mktemp("state"))
    yield state
    state.close()


@given(value=json_values)
def test_any_json_is_kept_as_it_is(one: State, value: object) -> None:
    one.keep("any", "value", value)
    assert one.record("any", "value") == json.loads(json.dumps(value))
