"""Ctrl-C and signals like it: exit 8, told in the events, nothing left running."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import MINIMAL, ROOT, WorkspaceFolder
from parts.gate import Gate, gate
from parts.leftovers import Trace, eventually, free_ports, traced, waits_for_a_lock

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]

STUBBORN = """
[commands.before]
argv = ["sh", "-c", "echo made > before"]
outputs = ["before"]

[commands.long]
argv = ["sh", "-c", "trap '' TERM; (setsid sleep 1000 &); sleep 2000 & {wait}; sleep 3000"]
inputs = [":before"]
outputs = ["never"]
network = true
env = {{ TEST_MARK = "{mark}" }}
"""


@pytest.fixture
def door() -> Iterator[Gate]:
    with gate() as made:
        yield made


@pytest.fixture
def long(workspace: MakeWorkspace, door: Gate) -> Iterator[Trace]:
    """A command that ignores SIGTERM, with children in sessions of their own."""
    with traced(workspace({})) as trace:
        text = MINIMAL + STUBBORN.format(wait=door.wait, mark=trace.mark)
        trace.workspace.write({"triton.toml": text})
        yield trace


@pytest.fixture
def slow(tmp_path: Path, shared_cache: Path) -> Iterator[Trace]:
    folder = shutil.copytree(ROOT / "tests" / "workspaces" / "slow", tmp_path / "slow")
    shutil.copy(ROOT / "examples" / "quickstart" / "triton.lock", folder)
    with traced(WorkspaceFolder(folder, shared_cache)) as trace:
        yield trace


def start(trace: Trace, *arguments: str) -> subprocess.Popen[bytes]:
    """In a process group of its own, as a terminal gives it to what it starts."""
    return trace.workspace.start(*arguments, process_group=0)


def press_ctrl_c(process: subprocess.Popen[bytes]) -> None:
    os.killpg(process.pid, signal.SIGINT)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, list[dict[str, Any]]]:
    """Its exit code and events."""
    out, text = process.communicate(timeout=60)
    assert b"Traceback" not in text, text.decode()
    return process.returncode, [json.loads(line) for line in out.splitlines()]


def is_interrupted(trace: Trace, process: subprocess.Popen[bytes]) -> list[dict[str, Any]]:
    """Its events but the last."""
    code, events = ended(process)
    assert code == 8
    assert events[-1]["event"] == "finished"
    assert events[-1]["exit_code"] == 8
    assert [error["found"] for error in events[-1]["errors"]] == ["interrupted"]
    assert trace.left() == []
    return events[:-1]


def server_starts(trace: Trace) -> bool:
    return eventually(lambda: any("--id=tritonbuild-" in p for p in trace.processes().values()))


def test_ctrl_c_in_a_long_command_ends_it_and_all_that_it_started(long: Trace, door: Gate) -> None:
    with start(long, "build", "--json", "//...") as process:
        door.reached()
        press_ctrl_c(process)
        events = is_interrupted(long, process)
    assert [(e["label"], e["status"]) for e in events] == [("//:before", "built")]
    assert not long.workspace.output("_/long").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_signals_that_end_programs_do_the_same(
    long: Trace, door: Gate, number: signal.Signals
) -> None:
    with start(long, "build", "--json", "//...") as process:
        door.reached()
        process.send_signal(number)
        is_interrupted(long, process)


def test_a_second_ctrl_c_does_not_wait(long: Trace, door: Gate) -> None:
    with start(long, "build", "--json", "//...") as process:
        door.reached()
        press_ctrl_c(process)
        press_ctrl_c(process)
        assert process.wait(60) == 8
        assert long.left() == []


def test_what_was_made_before_ctrl_c_is_not_made_again(long: Trace, door: Gate) -> None:
    with start(long, "build", "--json", "//...") as process:
        door.reached()
        press_ctrl_c(process)
        is_interrupted(long, process)
    assert long.workspace.build("//:before").executed == 0


@pytest.mark.parametrize("delay", [0.0, 0.3, 1.0])
def test_ctrl_c_while_a_server_starts_stops_it(slow: Trace, delay: float) -> None:
    with start(slow, "test", "--json", "--no-cached-results", "//...") as process:
        assert server_starts(slow)
        time.sleep(delay)
        press_ctrl_c(process)
        events = is_interrupted(slow, process)
    assert "//:slow_answers" not in [event.get("label") for event in events]


def test_ctrl_c_while_a_model_answers_stops_the_server(slow: Trace, door: Gate) -> None:
    port = door.server.getsockname()[1]
    model = (slow.workspace.root / "model" / "model.py").read_text()
    waits = f"__import__('socket').create_connection(('127.0.0.1', {port})).recv(1)"
    slow.workspace.write({"model/model.py": model.replace("time.sleep(0.5)", waits)})
    with start(slow, "test", "--json", "//...") as process:
        door.reached()
        press_ctrl_c(process)
        is_interrupted(slow, process)


def test_ctrl_c_ends_run_in_order(slow: Trace) -> None:
    ports = free_ports()
    flags = [f"--set={name}_port={port}" for name, port in ports.items()]
    with start(slow, "run", "--json", *flags, "//:slow") as process:
        assert eventually(lambda: answers(ports["http"]), 60)
        press_ctrl_c(process)
        code, events = ended(process)
    assert (code, events[-1]["exit_code"]) == (0, 0)
    assert slow.left() == []


def test_ctrl_c_while_waiting_for_another_build_ends_the_wait(long: Trace, door: Gate) -> None:
    with start(long, "build", "--json", "//...") as first:
        door.reached()
        with start(long, "build", "--json", "//...") as second:
            assert eventually(lambda: waits_for_a_lock(second.pid))
            press_ctrl_c(second)
            code, events = ended(second)
        assert (code, events[-1]["exit_code"]) == (8, 8)
        press_ctrl_c(first)
        is_interrupted(long, first)


def test_ctrl_c_at_any_early_moment_shows_no_traceback(long: Trace) -> None:
    for milliseconds in range(0, 600, 50):
        with start(long, "build", "--json", "//...") as process:
            time.sleep(milliseconds / 1000)
            press_ctrl_c(process)
            out, text = process.communicate(timeout=60)
        if process.returncode == -signal.SIGINT or b"Fatal Python error: init" in text:
            continue  # Python itself was starting
        assert process.returncode == 8, text.decode()
        assert b"Traceback" not in text
        assert json.loads(out.splitlines()[-1])["exit_code"] == 8
        assert long.left() == []


def answers(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0
