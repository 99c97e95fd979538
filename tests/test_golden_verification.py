"""Golden verifications from their manifest to their verdict, on a real server."""

from __future__ import annotations

import json
import secrets
import shutil
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest
from conftest import WorkspaceFolder
from parts.verdicts import errors, fails, verified

CONFIG_SAYS = "as the model's config says"


def said(error: dict[str, Any]) -> tuple[str, str, str, str]:
    return error["key"], error["found"], error["expected"], error["remedy"]


def declare(workspace: WorkspaceFolder, **attributes: object) -> None:
    """Adds a golden verification `v` of //:doubles."""
    told: dict[str, object] = {
        "kind": "golden",
        "target": ":doubles",
        "cases": "cases/doubles.json",
    }
    lines = [f"{key} = {value}" for key, value in attributes.items()]
    lines += [
        f"{key} = {json.dumps(value)}" for key, value in told.items() if key not in attributes
    ]
    manifest = (workspace.root / "triton.toml").read_text()
    workspace.write({"triton.toml": "\n".join([manifest, "[verifications.v]", *lines])})


def tensor(name: str, *data: float, datatype: str = "FP32") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": list(data)}


def test_right_answers_pass(faulty: WorkspaceFolder) -> None:
    outcome, result = verified(faulty, "doubles_right", "--no-cached-results")
    assert outcome.exit_code == 0, outcome.text
    (only,) = result["outcomes"]
    assert (only["name"], only["model"]) == ("cases/doubles.json", "doubles")
    assert (only["status"], only["problems"], result["problems"]) == ("passed", [], [])


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
    (error,) = errors(faulty, "doubles_wrong")
    assert error["file"] == "cases/wrong.json"
    assert said(error) == (
        "outputs.y",
        "4.0 at [1]; 2 of 4 values differ; the worst at [3]: expected 9.0, got 8.0",
        "4.5 (rtol 0.001, atol 1e-08)",
        "",
    )
    result = json.loads(faulty.output("_/doubles_wrong/result.json").read_bytes())
    (mismatch,) = result["outcomes"][0]["mismatches"]
    assert (mismatch["key"], mismatch["output"], mismatch["index"]) == ("outputs.y", "y", [1])
    assert (mismatch["differing"], mismatch["total"]) == (2, 4)


def test_every_case_is_tried_and_told(faulty: WorkspaceFolder) -> None:
    for name, expected in {"a": 2.002, "b": 2, "c": 3}.items():
        case = {"inputs": [tensor("x", 1)], "outputs": [tensor("y", expected)]}
        faulty.write({f"several/{name}.json": json.dumps(case)})
    declare(faulty, cases='"several"')
    assert [(error["file"], *said(error)) for error in errors(faulty, "v")] == [
        (
            "several/a.json",
            "outputs.y",
            "2.0 at [0]",
            "2.002 (rtol 1e-05, atol 1e-08)",
            "if that is near enough: rtol = 0.001",
        ),
        ("several/c.json", "outputs.y", "2.0 at [0]", "3.0 (rtol 1e-05, atol 1e-08)", ""),
    ]
    (suite,) = ET.parse(faulty.output("_/v/junit.xml")).getroot()
    assert suite.attrib["failures"] == "2"
    passed = [case.attrib["name"] for case in suite if case.find("failure") is None]
    assert passed == ["server", "several/b.json"]


def test_an_exception_at_inference_is_named_with_its_line(faulty: WorkspaceFolder) -> None:
    assert fails(faulty, "raises_at_inference_fails") == (
        "RuntimeError: cannot serve 1 requests (raises_at_inference/model.py, line 3, in execute)"
    )


def test_a_wrong_shape_is_found(faulty: WorkspaceFolder) -> None:
    (error,) = errors(faulty, "answers_wrong_shape_fails")
    assert said(error) == ("outputs.y", "shape [6]", "shape [3]", "")


def test_a_shape_that_the_config_rules_out_too_is_said_to_be(faulty: WorkspaceFolder) -> None:
    config = (faulty.root / "vector.pbtxt").read_text()
    faulty.write({"vector.pbtxt": config.replace("dims: [ -1 ]", "dims: [ 3 ]")})
    (error,) = errors(faulty, "answers_wrong_shape_fails")
    assert error["expected"] == "shape [3], as the config says too"


def test_a_model_that_never_answers_is_given_up(faulty: WorkspaceFolder) -> None:
    assert fails(faulty, "never_answers_fails") == "no answer within 15 s"


@pytest.mark.parametrize("verb", ["build", "test"])
def test_cases_that_cannot_be_asked_fail_the_build_before_a_server_starts(
    faulty: WorkspaceFolder, verb: str
) -> None:
    outcome = faulty.run(verb, "//:doubles_unasked")
    assert outcome.exit_code == 1, outcome.text
    assert outcome.targets == {"//:doubles_unasked": "failed"}
    assert not faulty.output("_/doubles_unasked").exists()
    assert [(error["file"], *said(error)) for error in outcome.errors] == [
        ("cases/wrong_json.json", "outputs", "no list of tensors", "[tensor, …]", ""),
        (
            "cases/wrong_name.json",
            "outputs.z",
            "model 'doubles' has no output 'z'",
            "",
            "one of: y",
        ),
        ("cases/wrong_type.json", "inputs.x", "INT32 is given", f"FP32, {CONFIG_SAYS}", ""),
    ]
    assert {error["label"] for error in outcome.errors} == {"//:doubles_unasked"}


def test_a_line_of_a_case_that_is_no_json_is_told(faulty: WorkspaceFolder) -> None:
    faulty.write({"cases/doubles.json": '{\n  "inputs": [],\n  "outputs" []\n}'})
    error = faulty.run("test", "//:doubles_right").error
    assert (error["file"], error["line"]) == ("cases/doubles.json", 3)


def test_a_case_says_which_of_several_models_it_is_for(faulty: WorkspaceFolder) -> None:
    assert verified(faulty, "two_answer")[0].exit_code == 0
    outcome = faulty.run("test", "//:two_unasked")
    assert outcome.exit_code == 1
    found = {error["file"]: said(error) for error in outcome.errors}
    assert found == {
        "cases/named/none.json": (
            "",
            "the case does not say which model it is for",
            '"model": one of doubles, echoes',
            "",
        ),
        "cases/named/unknown.json": (
            "model",
            "the target has no model 'double'",
            "",
            "did you mean 'doubles'?",
        ),
    }


def test_a_model_that_only_the_server_completes_is_checked_there(faulty: WorkspaceFolder) -> None:
    model = (faulty.root / "doubles" / "model.py").read_text()
    completes = """
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "x", "data_type": "TYPE_FP32", "dims": [2]})
        config.add_output({"name": "y", "data_type": "TYPE_FP32", "dims": [2]})
        return config
"""
    manifest = (faulty.root / "triton.toml").read_text()
    declared = '\n[models.c]\nbackend = "python"\nversions = { 1 = "completes" }'
    faulty.write(
        {
            "completes/model.py": model + completes,
            "triton.toml": manifest + declared,
            "c/right.json": json.dumps(
                {"inputs": [tensor("x", 1, 2)], "outputs": [tensor("y", 2, 4)]}
            ),
            "c/wrong.json": json.dumps({"inputs": [tensor("x", 1)], "outputs": [tensor("yy", 2)]}),
        }
    )
    declare(faulty, target='":c"', cases='"c"')
    assert [(error["file"], *said(error)) for error in errors(faulty, "v")] == [
        ("c/wrong.json", "inputs.x", "shape [1] is given", f"[2], {CONFIG_SAYS}", ""),
        ("c/wrong.json", "outputs.yy", "model 'c' has no output 'yy'", "", "did you mean 'y'?"),
    ]


def test_what_means_nothing_in_a_case_starts_no_server_again(faulty: WorkspaceFolder) -> None:
    x = 1 + secrets.randbelow(1 << 20)  # in no cache: other runs may share this one
    case = {"inputs": [tensor("x", x)], "outputs": [tensor("y", 2 * x)]}
    faulty.write({"cases/doubles.json": json.dumps(case)})
    verified(faulty, "doubles_right")
    faulty.write({"cases/doubles.json": json.dumps(dict(reversed(case.items())), indent=7)})
    outcome = faulty.run("test", "//:doubles_right")
    assert outcome.targets["//:doubles_right"] == "passed"
    assert outcome.executed == 1  # the one that reads the cases
    case["outputs"][0]["data"][0] = 2.000001 * x
    faulty.write({"cases/doubles.json": json.dumps(case)})
    assert faulty.run("test", "//:doubles_right").executed == 2


def test_a_tolerance_may_be_of_one_output(faulty: WorkspaceFolder) -> None:
    case = {"inputs": [tensor("x", 1)], "outputs": [tensor("y", 2.1)]}
    faulty.write({"cases/doubles.json": json.dumps(case)})
    declare(faulty, rtol="{ y = 0.1 }")
    outcome = faulty.run("test", "//:v")
    assert outcome.exit_code == 0, outcome.text


def test_a_tolerance_of_an_output_that_is_not_there_is_refused(faulty: WorkspaceFolder) -> None:
    declare(faulty, rtol="{ yy = 0.1 }")
    outcome = faulty.run("test", "//:v")
    assert outcome.exit_code == 1
    assert outcome.error["key"] == "verifications.v.rtol.yy"
    assert outcome.error["file"] == "triton.toml"
    assert outcome.error["found"] == "no model of the target has an output 'yy'"
    assert outcome.error["remedy"] == "did you mean 'y'?"


@pytest.mark.parametrize("value", ["-1", '"much"', "nan", "{ y = -1 }", "[1]"])
def test_a_tolerance_that_is_none_is_refused(faulty: WorkspaceFolder, value: str) -> None:
    declare(faulty, atol=value)
    outcome = faulty.run("test", "//:v")
    assert outcome.exit_code == 2
    assert {error["key"].removesuffix(".y") for error in outcome.errors} == {"verifications.v.atol"}


def test_cases_may_be_what_a_command_makes(faulty: WorkspaceFolder) -> None:
    manifest = (faulty.root / "triton.toml").read_text()
    command = """
[commands.made]
argv = ["sh", "-c", "mkdir out && cp cases/doubles.json out/"]
inputs = ["cases/doubles.json"]
outputs = ["out"]
"""
    faulty.write({"triton.toml": manifest + command})
    declare(faulty, cases='":made/out"')
    outcome, result = verified(faulty, "v")
    assert outcome.exit_code == 0, outcome.text
    assert len(result["outcomes"]) == 1


def test_a_folder_without_cases_is_refused(faulty: WorkspaceFolder) -> None:
    shutil.copytree(faulty.root / "doubles", faulty.root / "notes")
    declare(faulty, cases='"notes"')
    outcome = faulty.run("test", "//:v")
    assert outcome.exit_code == 1
    assert outcome.error["file"] == "notes/model.py"
    assert outcome.error["expected"] == "a file that ends in .json or .npz"
