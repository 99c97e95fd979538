"""Two builds at the same time: on one cache they share, on one output tree they take turns."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest
from conftest import MINIMAL, ROOT, WorkspaceFolder
from parts.gate import Gate, gate
from parts.leftovers import content, eventually, waits_for_a_lock

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]

MANIFEST = f"""{MINIMAL}
[commands.numbers]
argv = ["sh", "-c", "seq 500000 > numbers"]
outputs = ["numbers"]

[commands.many]
argv = ["sh", "-c", "mkdir many; for i in $(seq 200); do echo $i > many/$i; done"]
outputs = ["many"]

[commands.both]
argv = ["sh", "-c", "cat numbers many/* > both"]
inputs = [":numbers", ":many"]
outputs = ["both"]

[backends.square]
[models.m]
backend = "square"
versions = {{ 1 = "weights.onnx", 2 = ":both/both" }}
"""
WAITS = """
[commands.waits]
argv = ["sh", "-c", "{wait}; echo made > made"]
outputs = ["made"]
network = true
"""


@pytest.fixture
def door() -> Iterator[Gate]:
    with gate() as made:
        yield made


@pytest.fixture
def waiting(workspace: MakeWorkspace, door: Gate) -> WorkspaceFolder:
    """A build of it waits at the door."""
    return workspace({"triton.toml": MINIMAL + WAITS.format(wait=door.wait)})


def ended(process: Popen[bytes]) -> tuple[int, list[dict[str, Any]]]:
    """Its exit code and events."""
    out, text = process.communicate(timeout=120)
    assert b"Traceback" not in text, text.decode()
    return process.returncode, [json.loads(line) for line in out.splitlines()]


def digests(events: list[dict[str, Any]]) -> dict[str, str]:
    return {o["path"]: o["digest"] for e in events if "outputs" in e for o in e["outputs"]}


def test_builds_of_two_workspaces_share_a_cache(workspace: MakeWorkspace, tmp_path: Path) -> None:
    first = workspace({"triton.toml": MANIFEST, "weights.onnx": b"w" * 3000000})
    for round in range(3):
        cache = tmp_path / f"cache-{round}"
        copies = [
            WorkspaceFolder(shutil.copytree(first.root, tmp_path / f"copy-{round}-{number}"), cache)
            for number in range(3)
        ]
        ends = [ended(p) for p in [copy.start("build", "--json", "//...") for copy in copies]]
        assert [code for code, _ in ends] == [0, 0, 0]
        assert digests(ends[0][1]) == digests(ends[1][1]) == digests(ends[2][1])
        results = [content(copy.output("")) for copy in copies]
        assert results[0] == results[1] == results[2]
        assert copies[0].build().executed == 0


def test_builds_of_one_workspace_from_nothing_take_turns(workspace: MakeWorkspace) -> None:
    folder = workspace({"triton.toml": MANIFEST, "weights.onnx": b"w" * 3000000})
    for _ in range(3):
        shutil.rmtree(folder.cache, ignore_errors=True)
        shutil.rmtree(folder.output(""), ignore_errors=True)
        builds = [folder.start("build", "--json", "//...") for _ in range(3)]
        ends = [ended(build) for build in builds]
        assert [code for code, _ in ends] == [0, 0, 0]
        executed = [events[-1]["metrics"]["executed"] for _, events in ends]
        assert sorted(executed)[:2] == [0, 0]
        assert max(executed) > 0


def test_a_second_build_waits_for_the_output_tree(waiting: WorkspaceFolder, door: Gate) -> None:
    with waiting.start("build", "--json", "//...") as first:
        door.reached()
        with waiting.start("build", "--json", "//...") as second:
            assert eventually(lambda: waits_for_a_lock(second.pid))
            assert second.poll() is None
            door.open()
            assert ended(first)[0] == 0
            code, events = ended(second)
    assert code == 0
    assert "waiting for it" in events[0]["text"]
    assert events[1]["status"] == "cached"
    assert events[-1]["metrics"]["executed"] == 0


def test_a_second_build_that_must_not_wait_is_exit_9(waiting: WorkspaceFolder, door: Gate) -> None:
    with waiting.start("build", "--json", "//...") as first:
        door.reached()
        outcome = waiting.run("build", "--no-wait", "//...")
        door.open()
        assert ended(first)[0] == 0
    assert outcome.exit_code == outcome.finished["exit_code"] == 9
    assert outcome.error["found"] == "another build holds tritonbuild-out"
    assert "--no-wait" in outcome.error["remedy"]
    assert outcome.targets == {}


@pytest.mark.parametrize("verb", [("clean", "--no-wait"), ("test", "--no-wait", "//...")])
def test_other_verbs_heed_the_output_tree_too(
    waiting: WorkspaceFolder, door: Gate, verb: tuple[str, ...]
) -> None:
    with waiting.start("build", "--json", "//...") as first:
        door.reached()
        assert waiting.run(*verb).exit_code == 9
        door.open()
        assert ended(first)[0] == 0
    assert waiting.output("_/waits/made").read_bytes() == b"made\n"


def test_a_killed_build_holds_nothing(waiting: WorkspaceFolder, door: Gate) -> None:
    with waiting.start("build", "--json", "//...") as first:
        door.reached()
        os.kill(first.pid, signal.SIGKILL)
    door.open()
    with waiting.start("build", "--json", "--no-wait", "//...") as second:
        door.reached()
        door.open()
        assert ended(second)[0] == 0


def test_two_tests_of_one_quick_start_pass_at_the_same_time(
    tmp_path: Path, shared_cache: Path
) -> None:
    copies = [
        WorkspaceFolder(
            shutil.copytree(
                ROOT / "examples" / "quickstart",
                tmp_path / name,
                ignore=shutil.ignore_patterns("tritonbuild-out"),
            ),
            shared_cache,
        )
        for name in ("one", "two")
    ]
    command = ("test", "--json", "--no-cached-results", "//models:all")
    ends = [ended(process) for process in [copy.start(*command) for copy in copies]]
    assert [code for code, _ in ends] == [0, 0]
    for _, events in ends:
        assert [event.get("status") for event in events].count("passed") == 3


def test_garbage_is_not_collected_under_a_build(waiting: WorkspaceFolder, door: Gate) -> None:
    with waiting.start("build", "--json", "//...") as first:
        door.reached()
        with waiting.start("cache", "gc", "--max-age", "0") as collector:
            assert eventually(lambda: waits_for_a_lock(collector.pid))
            door.open()
            assert ended(first)[0] == 0
            assert ended(collector)[0] == 0
    assert waiting.output("_/waits/made").read_bytes() == b"made\n"
