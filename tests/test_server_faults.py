"""Whatever a model or a port does to a real server: one clear error, and nothing left behind.

What each verdict says stands in test_verification.py.
"""

from __future__ import annotations

import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, WorkspaceFolder
from parts.leftovers import Trace, traced

FAULTS = {
    "raises_at_load_fails": "ValueError: the weights are not there",
    "misses_import_fails": "No module named 'surely_not_installed'",
    "raises_at_inference_fails": "RuntimeError: cannot serve 1 requests",
    "answers_wrong_shape_fails": "shape [6]",
    "never_ready_fails": "not ready after 4 s",
    "never_answers_fails": "15 s",
    "exits_fails": "exit code 3",
    "doubles_wrong": "4.0 at [1]; 2 of 4 values differ",
}
CASES = {
    "raises_at_inference_fails": "cases/doubles.json",
    "answers_wrong_shape_fails": "cases/doubles.json",
    "never_answers_fails": "cases/doubles.json",
    "doubles_wrong": "cases/wrong.json",
}
"""Where what is wrong shows in an answer to a case."""


@pytest.fixture
def faulty(tmp_path: Path, shared_cache: Path) -> Iterator[Trace]:
    folder = shutil.copytree(ROOT / "tests" / "workspaces" / "faulty", tmp_path / "faulty")
    shutil.copy(ROOT / "examples" / "quickstart" / "triton.lock", folder)
    with traced(WorkspaceFolder(folder, shared_cache)) as trace:
        extra = '\n[verifications.misses_import_fails]\ntarget = ":misses_import"\n'
        manifest = (folder / "triton.toml").read_text()
        trace.workspace.write({"triton.toml": manifest + extra})
        yield trace


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_each_faulty_model_gives_one_clear_error_and_leaves_nothing(faulty: Trace) -> None:
    labels = [f"//:{name}" for name in ("doubles_right", *FAULTS)]
    outcome = faulty.workspace.run("test", "--keep-going", "--no-cached-results", *labels)
    assert faulty.left() == []
    assert outcome.exit_code == 3
    assert "Traceback" not in outcome.text
    assert outcome.targets["//:doubles_right"] == "passed"
    errors = {error["label"]: error for error in outcome.errors}
    assert len(errors) == len(outcome.errors) == len(FAULTS)
    manifest = (faulty.workspace.root / "triton.toml").read_text().splitlines()
    for name, found in FAULTS.items():
        error = errors[f"//:{name}"]
        assert outcome.targets[f"//:{name}"] == "failed"
        assert found in error["found"]
        if name in CASES:
            assert error["file"] == CASES[name]
        else:
            assert (error["file"], error["key"]) == ("triton.toml", f"verifications.{name}")
            assert manifest[error["line"] - 1] == f"[verifications.{name}]"


def test_a_failed_verification_is_run_again(faulty: Trace) -> None:
    faulty.workspace.run("test", "//:misses_import_fails")
    outcome = faulty.workspace.run("test", "//:misses_import_fails")
    assert outcome.exit_code == 3
    assert outcome.executed == 1


@pytest.mark.parametrize("service", ["http", "grpc", "metrics"])
def test_a_taken_port_is_told_before_anything_is_served(
    faulty: Trace, taken: int, service: str
) -> None:
    outcome = faulty.workspace.run("run", f"--set={service}_port={taken}", "//:doubles")
    assert (outcome.exit_code, outcome.error["file"]) == (36, "")
    assert outcome.error["found"].startswith(f"port {taken} ({service}) cannot be used")
    assert outcome.error["expected"] == "a free port"
    assert f"--set {service}_port=" in outcome.error["remedy"]
    assert "Traceback" not in outcome.text
    assert faulty.left() == []
