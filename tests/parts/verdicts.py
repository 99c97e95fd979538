"""How verifications end."""

from __future__ import annotations

import json
from typing import Any

from conftest import Outcome, WorkspaceFolder


def verified(workspace: WorkspaceFolder, name: str, *flags: str) -> tuple[Outcome, dict[str, Any]]:
    """How `test` of one verification ends, and its result.json."""
    outcome = workspace.run("test", *flags, f"//:{name}")
    return outcome, json.loads(workspace.output(f"_/{name}/result.json").read_bytes())


def errors(workspace: WorkspaceFolder, name: str) -> list[dict[str, Any]]:
    """What `test` says of a verification that fails."""
    outcome, result = verified(workspace, name)
    assert outcome.exit_code == 3, outcome.text
    assert outcome.targets[f"//:{name}"] == "failed"
    assert result["verdict"] == "failed"
    assert workspace.output(f"_/{name}/server.log").stat().st_size > 0
    assert {error["label"] for error in outcome.errors} == {f"//:{name}"}
    return outcome.errors


def fails(workspace: WorkspaceFolder, name: str) -> str:
    """The one thing that `test` says of a verification that fails."""
    (error,) = errors(workspace, name)
    found: str = error["found"]
    return found
