"""What `tritonbuild init` wrote and said."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tomli
from conftest import Outcome, WorkspaceFolder

from parts.repositories import PYTHON, model

Contents = Mapping[str, str | bytes]
Here = Callable[[Contents], WorkspaceFolder]

PLAIN = {"plain/config.pbtxt": PYTHON, "plain/1/model.py": model()}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
CIRCLE = "it is a member of itself: one → two → one"


def brought(folder: WorkspaceFolder, *arguments: str) -> Outcome:
    outcome = folder.run("init", *arguments)
    assert outcome.exit_code == 0, outcome.text
    return outcome


def manifest(folder: WorkspaceFolder, package: str = "") -> dict[str, Any]:
    return tomli.loads((folder.root / package / "triton.toml").read_text())


def findings(outcome: Outcome) -> dict[str, str]:
    """Subject → what is said of it, the remedy after it; of several the last."""
    found = (event for event in outcome.events if event["event"] == "finding")
    return {event["subject"]: f"{event['text']}; {event['remedy']}" for event in found}


def uncommented(folder: WorkspaceFolder, package: str = "") -> dict[str, Any]:
    """The manifest with all that waits in it."""
    text = (folder.root / package / "triton.toml").read_text()
    return tomli.loads(re.sub(r"^#(?! \S)", "", text, flags=re.MULTILINE))


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def refused(folder: WorkspaceFolder, *arguments: str) -> list[str]:
    """The problems of a call that writes nothing."""
    before = snapshot(folder.root)
    outcome = folder.run("init", *arguments)
    assert outcome.exit_code == 2, outcome.text
    assert snapshot(folder.root) == before
    assert "Traceback" not in outcome.text
    return [
        f"{error['file']}:{error['line']}: {error['found']}; {error['remedy']}"
        for error in outcome.errors
    ]
