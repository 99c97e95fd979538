"""The `verifications` rule: what it finds in models that fail in every way, on a real server."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, Outcome, WorkspaceFolder

FAULTY = ROOT / "tests" / "workspaces" / "faulty"
PACKAGE = """\
[models.m]
backend = "python"
versions = { 1 = "doubles" }
config_file = "vector.pbtxt"
[verifications.v]
target = ":m"
"""


@pytest.fixture
def faulty(tmp_path: Path, shared_cache: Path) -> WorkspaceFolder:
    shutil.copytree(FAULTY, tmp_path / "faulty")
    shutil.copy(ROOT / "examples" / "quickstart" / "triton.lock", tmp_path / "faulty")
    return WorkspaceFolder(tmp_path / "faulty", shared_cache)


def verified(workspace: WorkspaceFolder, name: str, *flags: str) -> tuple[Outcome, dict[str, Any]]:
    """How `test` of one verification ends, and its result.json."""
    outcome = workspace.run("test", *flags, f"//:{name}")
    return outcome, json.loads(workspace.output(f"_/{name}/result.json").read_bytes())


def fails(workspace: WorkspaceFolder, name: str) -> str:
    """What `test` says of a verification that fails."""
    outcome, result = verified(workspace, name)
    assert outcome.exit_code == 3
    assert outcome.targets[f"//:{name}"] == "failed"
    assert result["verdict"] == "failed"
    assert workspace.output(f"_/{name}/server.log").stat().st_size > 0
    found: str = outcome.error["found"]
    return found


def test_a_model_that_loads_passes_smoke(faulty: WorkspaceFolder) -> None:
    outcome, result = verified(faulty, "doubles_load", "--no-cached-results")
    assert outcome.exit_code == 0
    assert (result["verdict"], result["kind"]) == ("passed", "smoke")
    assert [(each["name"], each["status"]) for each in result["outcomes"]] == [
        ("doubles", "passed")
    ]
    assert b"READY" in faulty.output("_/doubles_load/server.log").read_bytes()


def test_right_answers_pass_golden(faulty: WorkspaceFolder) -> None:
    outcome, result = verified(faulty, "doubles_right", "--no-cached-results")
    assert outcome.exit_code == 0
    assert [each["name"] for each in result["outcomes"]] == ["cases/doubles.json"]


def test_strings_halves_and_empty_tensors_are_compared(faulty: WorkspaceFolder) -> None:
    arrays = {
        "strings": np.array([[b"\xff\xfe", b"x"]]),
        "halves": np.array([0.1, np.inf, np.nan], np.float16),
        "flags": np.array([True, False]),
    }
    sides = {f"{side}/{name}": v for side in ("inputs", "outputs") for name, v in arrays.items()}
    np.savez(faulty.root / "cases" / "echoes.npz", **sides)  # type: ignore[arg-type]  # by name
    outcome, result = verified(faulty, "echoes_answer", "--no-cached-results")
    assert outcome.exit_code == 0, outcome.text
    assert len(result["outcomes"]) == 2


def test_a_wrong_value_is_shown_with_its_place_and_tolerance(faulty: WorkspaceFolder) -> None:
    found = fails(faulty, "doubles_wrong").splitlines()
    assert found[0] == (
        "cases/wrong.json: output 'y' at [1]: expected 4.5, got 4.0 (rtol 0.001, atol 1e-08); "
        "2 of 4 values differ; the worst at [3]: expected 9.0, got 8.0"
    )
    result = json.loads(faulty.output("_/doubles_wrong/result.json").read_bytes())
    (mismatch,) = result["outcomes"][0]["mismatches"]
    assert mismatch["output"] == "y"
    assert mismatch["index"] == [1]
    assert (mismatch["differing"], mismatch["total"]) == (2, 4)


def test_every_case_is_tried_and_each_says_what_is_wrong(faulty: WorkspaceFolder) -> None:
    found = fails(faulty, "doubles_wrong").splitlines()
    assert found[1:] == [
        "cases/wrong_json.json: no list of tensors under 'outputs'",
        "cases/wrong_name.json: unexpected inference output 'z' for model 'doubles'",
        "cases/wrong_type.json: inference input 'x' data-type is 'INT32', but model 'doubles' "
        "expects 'FP32'",
    ]
    (suite,) = ET.parse(faulty.output("_/doubles_wrong/junit.xml")).getroot()
    assert suite.attrib["failures"] == "4"
    assert [case.attrib["name"] for case in suite if case.find("failure") is None] == ["server"]


def test_a_case_says_which_of_several_models_it_is_for(faulty: WorkspaceFolder) -> None:
    found = fails(faulty, "two_answer").splitlines()
    assert found == [
        'cases/named/none.json: the case must say "model", one of: doubles, echoes',
        "cases/named/unknown.json: the target has no model 'double': did you mean 'doubles'?",
    ]
    result = json.loads(faulty.output("_/two_answer/result.json").read_bytes())
    statuses = {each["name"]: each["status"] for each in result["outcomes"]}
    assert statuses["cases/named/right.json"] == "passed"


def test_an_exception_while_loading_is_named_with_its_line(faulty: WorkspaceFolder) -> None:
    assert fails(faulty, "raises_at_load_fails") == (
        "model 'raises_at_load' version 1: ValueError: the weights are not there "
        "(raises_at_load/1/model.py, line 3, in initialize)"
    )


def test_every_model_that_does_not_load_is_named(faulty: WorkspaceFolder) -> None:
    found = sorted(fails(faulty, "both_broken_fail").splitlines())
    assert [line.partition(":")[0] for line in found] == [
        "model 'misses_import' version 1",
        "model 'raises_at_load' version 1",
    ]
    assert "No module named 'surely_not_installed'" in found[0]


def test_an_exception_at_inference_is_named_with_its_line(faulty: WorkspaceFolder) -> None:
    assert fails(faulty, "raises_at_inference_fails") == (
        "cases/doubles.json: RuntimeError: cannot serve 1 requests "
        "(raises_at_inference/1/model.py, line 3, in execute)"
    )


def test_a_wrong_shape_is_found(faulty: WorkspaceFolder) -> None:
    assert fails(faulty, "answers_wrong_shape_fails") == (
        "cases/doubles.json: output 'y': expected shape [3], got [6]"
    )


def test_a_server_that_never_gets_ready_is_given_up(faulty: WorkspaceFolder) -> None:
    found = fails(faulty, "never_ready_fails")
    assert found.startswith("the server was not ready after 4 s; still loading: never_ready")


def test_a_model_that_never_answers_is_given_up(faulty: WorkspaceFolder) -> None:
    assert fails(faulty, "never_answers_fails") == "cases/doubles.json: no answer within 4 s"


def test_a_python_process_that_ends_is_not_waited_for(faulty: WorkspaceFolder) -> None:
    assert fails(faulty, "exits_fails") == (
        "the Python process of a model ended while the model was loading (exit code 3); "
        "still loading: exits"
    )


def test_a_passed_verification_is_not_run_again(faulty: WorkspaceFolder) -> None:
    verified(faulty, "doubles_load")
    outcome = faulty.run("test", "//:doubles_load")
    assert outcome.targets["//:doubles_load"] == "passed"
    assert outcome.executed == 0


def test_what_a_verification_needs_is_built_without_running_it(faulty: WorkspaceFolder) -> None:
    faulty.build("//:exits_fails")
    assert not faulty.output("_/exits_fails").exists()


@pytest.mark.parametrize(
    ("declared", "found"),
    [
        ('kind = "golden"', "a golden verification without cases"),
        ('kind = "smoke"\ncases = "cases/*"', "cases in a verification of kind 'smoke'"),
        ("rtol = 0.1", "rtol in a verification of kind 'smoke'"),
        ('kind = "golden"\ncases = "nothing/*.json"', "no file matches 'nothing/*.json'"),
        ('kind = "golden"\ncases = "nothing.json"', "there is no p/nothing.json"),
    ],
)
def test_what_does_not_fit_its_kind_is_refused(
    faulty: WorkspaceFolder, declared: str, found: str
) -> None:
    assert refused(faulty, PACKAGE + declared)["found"] == found


def test_a_verification_needs_a_distribution(faulty: WorkspaceFolder) -> None:
    manifest = (faulty.root / "triton.toml").read_text()
    faulty.write({"triton.toml": manifest.replace('distribution = "//:pypi"', "")})
    error = refused(faulty, PACKAGE)
    assert error["found"] == "no distribution to serve from"
    assert "[workspace]" in error["remedy"]


def test_a_backend_that_the_distribution_lacks_is_found_before_anything_runs(
    faulty: WorkspaceFolder,
) -> None:
    error = refused(faulty, PACKAGE.replace("python", "square") + "[backends.square]")
    assert error["found"] == "//:pypi has no 'square' among its backends"
    assert "python" in error["expected"]


def test_two_backends_of_one_name_are_not_served_together(faulty: WorkspaceFolder) -> None:
    models = """\
    [backends.shim]
    path = "shim"
    [models.{0}]
    backend = ":shim"
    versions = {{ 1 = "doubles" }}
    """
    repository = """\
    [repositories.r]
    models = ["//:one", ":two"]
    [verifications.v]
    target = ":r"
    """
    root = (faulty.root / "triton.toml").read_text()
    faulty.write(
        {
            "triton.toml": root + models.format("one"),
            "shim/model.py": "# one\n",
            "p/shim/model.py": "# two\n",
        }
    )
    error = refused(faulty, models.format("two") + repository)
    assert error["found"].startswith("two backends are called 'shim'")


def refused(workspace: WorkspaceFolder, package: str) -> dict[str, Any]:
    """The error of the target `v` of a package."""
    shutil.copytree(workspace.root / "doubles", workspace.root / "p" / "doubles")
    shutil.copytree(workspace.root / "cases", workspace.root / "p" / "cases")
    shutil.copy(workspace.root / "vector.pbtxt", workspace.root / "p")
    workspace.write({"p/triton.toml": package})
    outcome = workspace.run("test", "//p:v")
    assert outcome.exit_code == 7, outcome.text
    assert outcome.error["label"] == "//p:v"
    return outcome.error
