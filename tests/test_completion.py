"""Completion of verbs, flags and labels, in the shells themselves."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import COMMAND, WorkspaceFolder
from parts import store
from parts.leftovers import eventually

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]
PATIENCE = 60
"""Seconds until a test gives up waiting for a shell."""
PROMPT = "ready> "
START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
SET_UP = {
    "bash": "source <(tritonbuild completion bash)\n",
    "zsh": "autoload -Uz compinit && compinit -u -D && source <(tritonbuild completion zsh)\n",
}
TARGET = '[commands.{}]\nargv = ["true"]\noutputs = ["x"]\n'


@pytest.fixture
def folder(workspace: MakeWorkspace, tmp_path: Path) -> WorkspaceFolder:
    """A workspace to complete labels of, with `tritonbuild` on PATH."""
    made = workspace(
        {
            "models/triton.toml": TARGET.format("normalize") + TARGET.format("digits"),
            "models/vision/triton.toml": TARGET.format("resnet"),
            "data/triton.toml": TARGET.format("mnist"),
            "plans/triton.toml": TARGET.format("plan") + 'matrix = { gpu = ["L4", "H100"] }\n',
        }
    )
    program = tmp_path / "bin/tritonbuild"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m tritonbuild "$@"\n')
    program.chmod(0o755)
    made.environment.update(
        PATH=f"{program.parent}:{os.environ['PATH']}",
        HOME=str(tmp_path),
        XDG_CONFIG_HOME=str(tmp_path / "config"),
        TERM="xterm",
        PS1=PROMPT,
        PROMPT=PROMPT,
    )
    return made


class Terminal:
    """The far side of a shell's terminal."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._unread = b""

    def type(self, text: str) -> None:
        os.write(self._handle, text.encode())

    def until(self, shown: str) -> None:
        """Returns when the shell has shown this since the last time."""
        while shown.encode() not in self._unread:
            self._unread += os.read(self._handle, 10_000)
        self._unread = self._unread.partition(shown.encode())[2]


def typed(folder: WorkspaceFolder, shell: str, text: str) -> str:
    """The arguments that a command ends up with when one types it in a shell, tabs included."""
    store.program(shell)
    told = folder.root / "typed"
    master, slave = pty.openpty()
    with subprocess.Popen(
        START[shell], cwd=folder.root, env=folder.env, stdin=slave, stdout=slave, stderr=slave,
        start_new_session=True,
    ) as process:  # fmt: skip
        os.close(slave)
        try:
            terminal = Terminal(master)
            terminal.until(PROMPT)
            terminal.type(SET_UP[shell])
            terminal.until(PROMPT)
            # Completion starts the program; the command that is typed calls this function.
            terminal.type(f'function tritonbuild {{ echo "$*" > new; mv new {told}; }}\n')
            terminal.until(PROMPT)
            terminal.type(f"tritonbuild {text}\n")
            assert eventually(told.exists, PATIENCE)
            return told.read_text().rstrip("\n")
        finally:
            process.kill()
            os.close(master)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("bui\t", "build"),
        ("build --keep\t", "build --keep-going"),
        ("build //models:nor\t", "build //models:normalize"),
        ("build '//plans:plan[gpu=L\t", "build //plans:plan[gpu=L4]"),
        ("build //plans:plan[gpu=L4]", "build //plans:plan[gpu=L4]"),
    ],
)
def test_what_is_typed_is_completed(
    folder: WorkspaceFolder, shell: str, text: str, arguments: str
) -> None:
    assert typed(folder, shell, text).split() == arguments.split()


def test_bash_completes_a_variant_without_quotes(folder: WorkspaceFolder) -> None:
    arguments = typed(folder, "bash", "build //plans:plan[gp\tL\t")
    assert arguments.strip() == "build //plans:plan[gpu=L4]"


def test_after_a_package_bash_waits_for_the_target(folder: WorkspaceFolder) -> None:
    arguments = typed(folder, "bash", "build //models/vi\tres\t")
    assert arguments == "build //models/vision:resnet"


def fish(folder: WorkspaceFolder, text: str) -> list[str]:
    """What fish offers for a command."""
    store.program("fish")
    script = f"tritonbuild completion fish | source; complete -C 'tritonbuild {text}'"
    done = subprocess.run(
        ["fish", "-c", script], cwd=folder.root, env=folder.env, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("bui", ["build"]),
        ("build --keep", ["--keep-going"]),
        ("build //models:nor", ["//models:normalize"]),
        ("why //d", ["//data:"]),
        ("build //plans:plan[gpu=L", ["//plans:plan[gpu=L4]"]),
    ],
)
def test_fish_completes(folder: WorkspaceFolder, text: str, offered: list[str]) -> None:
    assert fish(folder, text) == offered


def offered(folder: WorkspaceFolder, *words: str) -> list[str]:
    """What any shell is offered after these words; the last one may be unfinished."""
    done = subprocess.run(
        COMMAND, cwd=folder.root, capture_output=True, text=True,
        env={**folder.env, "_TRITONBUILD_COMPLETE": "bash_complete",
             "COMP_WORDS": " ".join(("tritonbuild", *words)), "COMP_CWORD": str(len(words))},
    )  # fmt: skip
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "labels"),
    [
        (("build", "//"), ["//:", "//data:", "//models:", "//models/vision:", "//plans:"]),
        (("build", "//models"), ["//models:", "//models/vision:"]),
        (("build", "//models:"), ["//models:normalize", "//models:digits", "//models:all"]),
        (("test", "//data:m"), ["//data:mnist"]),
        (
            ("build", "//plans:p"),
            ["//plans:plan[gpu=L4]", "//plans:plan[gpu=H100]", "//plans:plan"],
        ),
        (("why", "//plans:plan[gpu=H"), ["//plans:plan[gpu=H100]"]),
        (("run", "//models/vision:r"), ["//models/vision:resnet"]),
        (("config", "//models/vision:r"), ["//models/vision:resnet"]),
        (("build", "//none:"), []),
        (("build", ":"), [":all"]),
    ],
)
def test_labels_are_offered(
    folder: WorkspaceFolder, words: tuple[str, ...], labels: list[str]
) -> None:
    assert offered(folder, *words) == labels


def test_labels_of_the_package_one_stands_in_are_offered(folder: WorkspaceFolder) -> None:
    folder.root = folder.root / "models"
    assert offered(folder, "build", ":d") == [":digits"]


def test_a_broken_manifest_offers_nothing(folder: WorkspaceFolder) -> None:
    folder.write({"models/triton.toml": "broken"})
    assert offered(folder, "build", "//models:") == []


def test_outside_a_workspace_nothing_is_offered(folder: WorkspaceFolder, tmp_path: Path) -> None:
    folder.root = tmp_path
    assert offered(folder, "build", "//") == []


def test_every_verb_is_offered(folder: WorkspaceFolder) -> None:
    assert {"build", "test", "run", "why"} <= set(offered(folder, ""))
    assert "tool" not in offered(folder, "")
