"""What people see of a build: on a terminal, and in lines."""

from __future__ import annotations

import os
import pty
import queue
import re
import subprocess
from collections.abc import Callable, Mapping

import pytest
from conftest import COMMAND, WorkspaceFolder

from tritonbuild.cli.display import Lines, Terminal
from tritonbuild.errors import ExitCode
from tritonbuild.events import ActionEnded, ActionStarted, Finished, Started, Status

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]
DEADLINE = 60.0
"""Seconds until what must come has not come."""
DEEP = "/".join(["a-folder-with-a-long-name"] * 8)
LONG = f"{DEEP}/out"
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")
MANIFEST = f"""
[commands.good]
argv = ["sh", "-c", "mkdir -p {DEEP} && touch {LONG}"]
outputs = ["{LONG}"]

[commands.bad]
argv = ["sh", "-c", "echo {"word " * 40}>&2; exit 3"]
outputs = ["never"]
"""


def on_a_terminal(folder: WorkspaceFolder, *arguments: str) -> tuple[int, list[str], str]:
    """A verb on a terminal of 80 columns: its exit code, its lines, and all that was sent."""
    ours, theirs = pty.openpty()
    environment = {**folder.env, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=folder.root,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    sent = b""
    try:
        while part := os.read(ours, 1 << 16):
            sent += part
    except OSError:  # what Linux says when nobody holds the other end any more
        pass
    finally:
        os.close(ours)
    text = sent.decode()
    return process.wait(DEADLINE), CONTROL.sub("", text).split("\n"), text


@pytest.fixture
def folder(workspace: MakeWorkspace) -> WorkspaceFolder:
    return workspace({"p/triton.toml": MANIFEST})


def test_on_a_terminal_a_build_ends_with_its_lines(folder: WorkspaceFolder) -> None:
    exit_code, lines, _ = on_a_terminal(folder, "build", "//p:good")
    assert exit_code == 0
    assert any(
        line.endswith(f"built       //p:good  tritonbuild-out/p/_/good/{LONG}") for line in lines
    )
    assert any(line.startswith("1 actions: 1 executed, 0 cached; ") for line in lines)


def test_on_a_terminal_long_errors_are_not_wrapped(folder: WorkspaceFolder) -> None:
    exit_code, lines, _ = on_a_terminal(folder, "build", "//p:bad")
    assert exit_code == 1
    assert any("word " * 39 in line for line in lines)


def test_the_terminal_gets_its_cursor_back(folder: WorkspaceFolder) -> None:
    for target in ("good", "bad"):
        _, _, sent = on_a_terminal(folder, "build", f"//p:{target}")
        assert sent.rfind("\x1b[?25h") > sent.rfind("\x1b[?25l") >= 0


def test_lines_tell_of_what_takes_long() -> None:
    said: queue.Queue[str] = queue.Queue()
    lines = Lines(echo=said.put, patience=0.01)
    lines(ActionStarted("//p:a (train)"))
    first, second = (said.get(timeout=DEADLINE) for _ in range(2))
    assert first.startswith("running     //p:a (train), ")
    assert second.startswith("running     //p:a (train), ")
    lines(Finished(ExitCode.OK))


def test_the_bar_is_gone_while_nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    bar = Terminal()
    bar(Started(1, 1))
    bar(ActionStarted("//p:a (run)"))
    assert bar._progress.live.is_started
    bar(ActionEnded("//p:a (run)", Status.BUILT))
    assert not bar._progress.live.is_started
    bar(ActionStarted("//p:a (run)"))
    assert bar._progress.live.is_started
    bar(Finished(ExitCode.OK))
    assert not bar._progress.live.is_started
