"""Warm-up: files of one's own, and requests made of golden cases."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parts.models import Asked, ask, io, tree_of_models
from parts.tree import Tree

from tritonbuild.errors import ExitCode, Problem

MODEL = '[models.m]\nbackend = "python"\nversions = { 1 = "code" }\n'
FROM_CASES = f'{MODEL}warmup = {{ cases = "golden/*" }}\n[models.m.config]\n'
TELLS = """\
import sys
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            seen = [tensor.as_numpy() for tensor in request.inputs()]
            for values in seen:
                print(f"seen {len(requests)} {values.tolist()}", file=sys.stderr, flush=True)
            y = pb_utils.Tensor("y", np.zeros(1, np.float32))
            answers.append(pb_utils.InferenceResponse([y]))
        return answers
"""
"""A model.py: says in the log what it is given."""
TEXT = """
input = [{ name = "x", data_type = "STRING", dims = [-1] }]
output = [{ name = "y", data_type = "FP32", dims = [1] }]
"""


@pytest.fixture
def tree(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    files: dict[str, str | bytes] = {"p/code/model.py": TELLS}
    return tree_of_models(tmp_path / "workspace", shared_cache, monkeypatch, files)


def case(shape: list[int], data: list[Any], datatype: str = "FP32", **more: Any) -> str:
    x = {"name": "x", "shape": shape, "datatype": datatype, "data": data}
    y = {"name": "y", "shape": [1], "datatype": "FP32", "data": [0]}
    return json.dumps({"inputs": [x], "outputs": [y], **more})


def wrong(tree: Tree, text: str) -> list[Problem]:
    tree.write({"p/triton.toml": text})
    code, problems = tree.problems("//p:m")
    assert code == ExitCode.BUILD_FAILED
    return problems


def seen(tree: Tree, patch: pytest.MonkeyPatch) -> list[str]:
    """What the model was given before it was ready."""
    found: list[str] = []

    def body(server: Asked) -> None:
        lines = server.log.splitlines()
        found.extend(line.partition("seen ")[2] for line in lines if "seen " in line)

    ask(tree, "//p:m", patch, body)
    return found


def test_a_folder_of_files_warms_a_model_up(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = '{ data_type = "FP32", dims = [3], input_data_file = "x.raw" }'
    sample = f'[{{ name = "one", batch_size = 1, inputs = {{ x = {entry} }} }}]'
    tree.write(
        {
            "p/warm/x.raw": np.array([1, 2, 3], "<f4").tobytes(),
            "p/triton.toml": f'{MODEL}warmup = "warm"\n[models.m.config]\n{io(3)}'
            f"model_warmup = {sample}",
        }
    )
    assert seen(tree, monkeypatch) == ["1 [1.0, 2.0, 3.0]"]
    assert tree.build("//p:m")
    assert len(tree.made("//p:m")["m/warmup/x.raw"]) == 12


def test_a_file_as_warmup_is_refused(tree: Tree) -> None:
    (problem,) = wrong(tree, f'{MODEL}warmup = "code/model.py"\n[models.m.config]\n{io(3)}')
    assert (problem.key, problem.found) == ("models.m.warmup", "warmup is a file")


def test_golden_cases_become_requests(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.write(
        {
            "p/golden/a.json": case([3], [1, 2, 3]),
            "p/golden/b.json": case([3], [4, 5, 6]),
            "p/triton.toml": FROM_CASES + io(3),
        }
    )
    assert seen(tree, monkeypatch) == ["1 [1.0, 2.0, 3.0]", "1 [4.0, 5.0, 6.0]"]


def test_each_is_run_as_often_as_it_is_said(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    counted = FROM_CASES.replace('"golden/*"', '"golden/*", count = 3')
    tree.write({"p/golden/a.json": case([1], [7]), "p/triton.toml": counted + io(1)})
    assert seen(tree, monkeypatch) == ["1 [7.0]"] * 3


def test_strings_are_written_with_their_lengths(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = ["a", "", "Käse"]
    tree.write({"p/golden/a.json": case([3], texts, "BYTES"), "p/triton.toml": FROM_CASES + TEXT})
    assert seen(tree, monkeypatch) == [f"1 {[text.encode() for text in texts]}"]


def test_a_batch_is_as_many_requests_of_its_first_item(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.write(
        {
            "p/golden/a.json": case([2, 3], [1, 2, 3, 4, 5, 6]),
            "p/triton.toml": f"{FROM_CASES}max_batch_size = 4\n{io(3)}",
        }
    )
    assert seen(tree, monkeypatch) == ["2 [[1.0, 2.0, 3.0]]"] * 2


def test_an_edit_of_the_config_makes_no_cases_again(tree: Tree) -> None:
    tree.write({"p/golden/a.json": case([3], [1, 2, 3]), "p/triton.toml": FROM_CASES + io(3)})
    tree.build("//p:m")
    tree.write({"p/triton.toml": f'{FROM_CASES}parameters = {{ a = "{tree.root}" }}\n{io(3)}'})
    assert tree.build("//p:m").metrics.executed == 1


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (case([3], [1, 2, 3], model="other"), "it is for model 'other'"),
        (case([2], [1, 2]), "input 'x' has shape [2]"),
        (case([3], [1, 2, 3], "INT32"), "input 'x' is INT32"),
        (case([3], [1, 2, 3]).replace('"x"', '"xx"'), "the model has no input 'xx'"),
    ],
)
def test_a_case_that_is_no_request_to_the_model_is_refused(
    tree: Tree, content: str, found: str
) -> None:
    tree.write({"p/golden/a.json": content})
    problems = wrong(tree, FROM_CASES + io(3))
    assert f"golden/a.json: {found}" in [problem.found for problem in problems]
    assert {problem.key for problem in problems} == {"models.m.warmup.cases"}


@pytest.mark.parametrize(
    ("shape", "found"),
    [([9, 1], "a batch of 9"), ([0, 1], "batches of [0]")],
)
def test_a_batch_that_the_model_does_not_take_is_refused(
    tree: Tree, shape: list[int], found: str
) -> None:
    tree.write({"p/golden/a.json": case(shape, [1] * shape[0])})
    (problem,) = wrong(tree, f"{FROM_CASES}max_batch_size = 8\n{io(1)}")
    assert problem.found == f"golden/a.json: {found}"


def test_a_file_that_is_no_case_is_told(tree: Tree) -> None:
    tree.write({"p/golden/a.json": "{"})
    (problem,) = wrong(tree, FROM_CASES + io(3))
    assert problem.file == "p/golden/a.json"


def test_cases_for_a_model_of_sequences_are_refused(tree: Tree) -> None:
    tree.write({"p/golden/a.json": case([3], [1, 2, 3])})
    (problem,) = wrong(tree, f"{FROM_CASES}sequence_batching = {{}}\n{io(3)}")
    assert problem.found == "warm-up of golden cases for a model with sequence batching"


def test_a_case_warms_up_a_model_whose_name_and_file_are_unusual(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.write(
        {
            "p/golden/größe 1.json": case([1], [7]),
            "p/triton.toml": FROM_CASES.replace("[models.m]", '[models.m]\nname = "a..b"') + io(1),
        }
    )
    tree.build("//p:m")
    assert "a..b/warmup/golden-gr--e-1.json.0" in tree.made("//p:m")
    assert seen(tree, monkeypatch) == ["1 [7.0]"]
