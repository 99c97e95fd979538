"""kill -9 of builds and tests at 50 random moments: nothing runs on, and the next build is right.

TRITONBUILD_TEST_SEED repeats the moments of an earlier run, which a failure shows.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from conftest import ROOT, WorkspaceFolder
from parts.leftovers import Trace, content, eventually, free_ports, traced

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]

COMMANDS = '''
[commands.numbers]
argv = ["sh", "-c", "sleep 1000 & sleep 0.2; seq 300000 > numbers"]
outputs = ["numbers"]
env = {{ TEST_MARK = "{mark}" }}

[commands.many]
argv = ["sh", "-c", """(setsid sleep 1000 &)
mkdir many; for i in $(seq 300); do echo $i > many/$i; done"""]
outputs = ["many"]
env = {{ TEST_MARK = "{mark}" }}

[commands.sum]
argv = ["sh", "-c", "trap '' TERM; cat numbers many/* | sort -n > sum"]
inputs = [":numbers", ":many"]
outputs = ["sum"]
env = {{ TEST_MARK = "{mark}" }}
'''
WEIGHTS = """
[backends.square]

[models.m]
backend = "square"
versions = { 1 = "weights", 2 = ":reversed/sthgiew" }

[commands.reversed]
argv = ["sh", "-c", "tr a-m n-z < weights > sthgiew"]
inputs = ["weights"]
outputs = ["sthgiew"]
"""


@pytest.fixture
def rng() -> random.Random:
    seed = int(os.environ.get("TRITONBUILD_TEST_SEED") or random.randrange(10**9))
    print(f"TRITONBUILD_TEST_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def commands(workspace: MakeWorkspace) -> Iterator[Trace]:
    with traced(workspace({})) as trace:
        manifest = (trace.workspace.root / "triton.toml").read_text()
        trace.workspace.write({"triton.toml": manifest + COMMANDS.format(mark=trace.mark)})
        yield trace


@pytest.fixture
def weights(workspace: MakeWorkspace) -> Iterator[Trace]:
    made = workspace({"weights": random.Random(0).randbytes(1 << 20) * 100})
    made.write({"triton.toml": (made.root / "triton.toml").read_text() + WEIGHTS})
    with traced(made) as trace:
        yield trace


@pytest.fixture
def slow(tmp_path: Path, shared_cache: Path) -> Iterator[Trace]:
    """A model that takes its time, and a verification of it."""
    folder = shutil.copytree(ROOT / "tests" / "workspaces" / "slow", tmp_path / "slow")
    shutil.copy(ROOT / "examples" / "quickstart" / "triton.lock", folder)
    with traced(WorkspaceFolder(folder, shared_cache)) as trace:
        yield trace


def forget_everything(workspace: WorkspaceFolder) -> None:
    shutil.rmtree(workspace.root / "tritonbuild-out")
    for path in workspace.cache.iterdir():
        subprocess.run(["rm", "-rf", path], check=True)


def kill(trace: Trace, after: float, *arguments: str) -> None:
    """Kills a verb, and only its own process, after so many seconds."""
    print(f"killed after {after:.3f} s")
    with trace.workspace.start(*arguments, start_new_session=True) as process:
        time.sleep(after)
        process.kill()
    assert trace.left() == []


@pytest.mark.parametrize("fixture", ["commands", "weights"])
def test_after_a_killed_cold_build_nothing_runs_and_the_next_build_is_right(
    fixture: str, request: pytest.FixtureRequest, rng: random.Random
) -> None:
    trace: Trace = request.getfixturevalue(fixture)
    began = time.monotonic()
    expected = trace.workspace.build()
    takes = time.monotonic() - began
    files = content(trace.workspace.output(""))
    for _ in range(18):
        forget_everything(trace.workspace)
        kill(trace, rng.uniform(0, takes), "build", "//...")
        outcome = trace.workspace.build()
        assert outcome.outputs == expected.outputs
        assert content(trace.workspace.output("")) == files


def test_after_a_killed_test_no_server_runs_and_the_next_build_is_right(
    slow: Trace, rng: random.Random
) -> None:
    expected = slow.workspace.run("test", "//...")
    assert expected.exit_code == 0, expected.text
    began = time.monotonic()
    assert slow.workspace.run("test", "--no-cached-results", "//...").exit_code == 0
    takes = time.monotonic() - began
    for _ in range(14):
        kill(slow, rng.uniform(0, takes), "test", "--no-cached-results", "//...")
        outcome = slow.workspace.run("test", "//...")
        assert outcome.exit_code == 0, outcome.text
        assert outcome.outputs == expected.outputs
    assert slow.workspace.run("test", "--no-cached-results", "//...").exit_code == 0


def test_after_a_killed_run_no_server_runs(slow: Trace) -> None:
    flags = [f"--set={name}_port={port}" for name, port in free_ports().items()]
    with slow.workspace.start("run", *flags, "//:slow") as process:
        assert eventually(lambda: any("stub" in line for line in slow.processes().values()))
        process.kill()
    assert slow.left() == []
