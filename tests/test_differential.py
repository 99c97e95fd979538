"""Our verdict on model configs against that of a real server, of two releases.

Every model of tests/parts/configs is judged by both. What a server loads we must not refuse, what
it refuses we must, and the config that it then tells must be the one that we completed.
"""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from parts.configs import ALONE, CASES, DEADLY, STAND_INS, TOGETHER
from parts.judge import Verdict, judged
from parts.ours import Judge, Ours
from tritonbuild.rules.model_config import message

from tritonbuild.cancel import Cancellation
from tritonbuild.label import Label
from tritonbuild.rule import ToolContext, tool
from tritonbuild.serve import serve
from tritonbuild.session import Session

RELEASES = {"2.51.0": "with_r24_10", "2.44.0": "with_r24_03"}
"""Release → a model of tests/workspaces/differential that is served with it."""

DIFFERENT: Mapping[str, str] = {
    "agent_absent": "what a server has is its distribution's matter",
    "backend_absent": "what a server has is its distribution's matter",
    "runtime_absent": "what a server has is its distribution's matter",
    "auto_group_with_gpus": "the server here has no GPU; another may",
    "gpu": "the server here has no GPU; another may",
    "gpu_by_id": "the server here has no GPU; another may",
}
"""Models that we and the server judge differently, and why that is right."""
OTHER_CONFIG: Mapping[str, str] = {}
"""Models whose completed config differs, and why that is right."""


def verdicts(release: str, root: Path, patch: pytest.MonkeyPatch) -> dict[str, Verdict]:
    """What a Triton of that release makes of all models; it is started a few times for it."""
    found: dict[str, Verdict] = {}

    def body(ctx: ToolContext) -> None:
        found.update(judged(ctx, TOGETHER, ALONE, STAND_INS))

    module = import_module("tritonbuild.rules.server.serve")
    patch.setattr(module, "serve", tool("serve", version=1)(body))
    with Session(root, lambda event: None, Cancellation()) as session:
        report = serve(session, Label("", RELEASES[release]), {})
    assert not report.exit_code, report.problems
    return found


@pytest.fixture
def root(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(shared_cache))
    shutil.copytree(ROOT / "tests" / "workspaces" / "differential", tmp_path / "workspace")
    return tmp_path / "workspace"


# The first and the last test of this file, so that two workers can share them.
def test_models_are_judged_and_completed_as_triton_2_51_does(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agree("2.51.0", root, monkeypatch)


def test_there_are_enough_models_of_either_kind() -> None:
    ours = Judge(CASES, STAND_INS, "2.51.0")
    refused = sum(bool(ours.verdict(name).refused) for name in CASES)
    assert min(refused, len(CASES) - refused) > 120


def agree(release: str, root: Path, patch: pytest.MonkeyPatch) -> None:
    """Fails where we and a server of that release do not."""
    theirs = verdicts(release, root, patch)
    ours = Judge(CASES, STAND_INS, release)
    assert not unexpected(
        {name: judged_otherwise(ours.verdict(name), theirs[name]) for name in CASES}, DIFFERENT
    )
    assert not unexpected(
        {name: completed_otherwise(ours.verdict(name), theirs[name]) for name in CASES},
        OTHER_CONFIG,
    )


def unexpected(found: Mapping[str, str], listed: Mapping[str, str]) -> str:
    """Differences that are not listed, and listed ones that are none."""
    lines = [f"{name}: {said}" for name, said in found.items() if said and name not in listed]
    lines += [f"{name}: listed, but there is no difference" for name in listed if not found[name]]
    return "\n".join(lines)


def judged_otherwise(ours: Ours, theirs: Verdict) -> str:
    if bool(ours.refused) != theirs.is_loaded:
        return ""
    return f"we: {ours.refused or 'it loads'}; Triton: {theirs.reason or 'it loads'}"


def completed_otherwise(ours: Ours, theirs: Verdict) -> str:
    return _changed(ours.config, theirs.config) if theirs.is_loaded else ""


def _changed(ours: Any, theirs: dict[str, Any]) -> str:
    """What the server's config (as JSON) has otherwise; empty when it is ours."""
    from google.protobuf import json_format

    told = json_format.ParseDict(theirs, message.empty())
    if told == ours:
        return ""
    lines = difflib.unified_diff(
        str(ours).splitlines(), str(told).splitlines(), "ours", "Triton's", n=1, lineterm=""
    )
    return "\n  ".join(lines)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("name", DEADLY)
def test_what_would_end_or_hang_a_server_is_refused(name: str, release: str) -> None:
    assert Judge({**CASES, **DEADLY}, STAND_INS, release).verdict(name).refused


def test_models_are_judged_and_completed_as_triton_2_44_does(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agree("2.44.0", root, monkeypatch)
