"""Of `tritonbuild doctor`: what it looks at, and how it ends."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import COMMAND, WorkspaceFolder
from parts.around import around, ordinary, with_disk

from tritonbuild.doctor import Finding, examine

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]

SUBJECTS = {"Python", "C library", "cache", "outputs", "shared memory", "sandbox", "GPU", "Docker"}


def test_a_machine_that_has_all_is_well(workspace: MakeWorkspace) -> None:
    outcome = workspace({}).run("doctor")
    assert outcome.exit_code == 0, outcome.text
    *findings, finished = outcome.events
    assert {finding["subject"] for finding in findings} == SUBJECTS
    assert all(finding["event"] == "finding" and finding["text"] for finding in findings)
    assert all(finding["ok"] is not False for finding in findings)
    assert finished["errors"] == []


def test_people_get_a_line_a_finding(workspace: MakeWorkspace) -> None:
    folder = workspace({})
    done = subprocess.run(
        [*COMMAND, "doctor"], cwd=folder.root, env=folder.env, capture_output=True, text=True
    )
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == len(SUBJECTS)
    assert all(line.startswith(("ok     ", "note   ")) for line in lines)
    assert f"ok     cache: {folder.cache}, " in done.stdout or "note   cache: " in done.stdout


def test_a_machine_is_looked_at_without_a_workspace(tmp_path: Path) -> None:
    outcome = WorkspaceFolder(tmp_path, tmp_path / "cache").run("doctor")
    assert outcome.exit_code == 0, outcome.text
    assert {e["subject"] for e in outcome.events if e["event"] == "finding"} == SUBJECTS


def test_a_cache_that_cannot_be_written_ends_with_36(workspace: MakeWorkspace) -> None:
    folder = workspace({})
    folder.cache.mkdir()
    folder.cache.chmod(0o555)
    outcome = around(folder, ordinary(), "doctor")
    folder.cache.chmod(0o755)
    assert outcome.exit_code == 36, outcome.text
    assert outcome.error["found"] == f"cache: {folder.cache} cannot be written: Permission denied"
    assert "--cache-dir" in outcome.error["remedy"]
    assert "Traceback" not in outcome.text


def test_little_room_is_a_note(workspace: MakeWorkspace) -> None:
    folder = workspace({})
    outcome = around(folder, with_disk(folder.cache, 1000), "doctor")
    assert outcome.exit_code == 0, outcome.text
    told = {e["subject"]: e for e in outcome.events if e["event"] == "finding"}
    assert told["cache"]["ok"] is None
    assert told["outputs"]["ok"] is None
    assert told["outputs"]["remedy"] == "put the cache beside the workspace"


def test_a_finding_is_written_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(tmp_path / "cache"))
    (first, *_) = examine(tmp_path)
    assert isinstance(first, Finding)
    assert json.loads(json.dumps(first.to_json())) == {
        "subject": first.subject,
        "ok": True,
        "text": first.text,
        "remedy": "",
    }
