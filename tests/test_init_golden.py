"""`tritonbuild init --golden`: cases of what a running server answers, and that they pass."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tomli
from conftest import COMMAND, ROOT, Outcome, WorkspaceFolder
from parts import repositories
from parts.ports import free_port, server
from parts.repositories import PYTHON, model, onnx

SAID = repositories.served()
CHOICE = ("a plain model", "two versions, all of them", "a decoupled model", "an initial state")
DICE = """\
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        y = np.random.rand(1, 3).astype("f4")
        return [pb_utils.InferenceResponse([pb_utils.Tensor("y", y)]) for _ in requests]
"""
REFUSES = """\
class TritonPythonModel:
    def execute(self, requests):
        raise ValueError("surely not these")
"""
TYPES = """\
backend: "python"
max_batch_size: 0
input [
  { name: "x" data_type: TYPE_FP32 dims: [ -1, 3 ] },
  { name: "half" data_type: TYPE_FP16 dims: [ 2 ] },
  { name: "brain" data_type: TYPE_BF16 dims: [ 2 ] },
  { name: "text" data_type: TYPE_STRING dims: [ -1 ] },
  { name: "flag" data_type: TYPE_BOOL dims: [ 1 ] },
  { name: "byte" data_type: TYPE_UINT8 dims: [ 4 ] }
]
output [ { name: "y" data_type: TYPE_FP32 dims: [ -1, 3 ] } ]
"""
SHAPES = {
    **{name: SAID[name] for name in CHOICE},
    "an answer by chance": {"dice/config.pbtxt": PYTHON, "dice/1/model.py": DICE},
    "no answer": {"refuses/config.pbtxt": PYTHON, "refuses/1/model.py": REFUSES},
    "inputs of all types": {"types/config.pbtxt": TYPES, "types/1/model.py": model()},
    "ONNX": {"add/1/model.onnx": onnx()},
}


@dataclass
class Asked:
    workspace: WorkspaceFolder
    outcome: Outcome

    def case(self, name: str) -> dict[str, Any]:
        file = self.workspace.root / "models" / name / "golden" / "random.json"
        document: dict[str, Any] = json.loads(file.read_text())
        return document

    @property
    def manifest(self) -> dict[str, Any]:
        return tomli.loads((self.workspace.root / "models" / "triton.toml").read_text())


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> Asked:
    """A repository that was brought over while a server ran what was built of it before."""
    folder = tmp_path_factory.mktemp("golden")
    for name in ("served", "asked"):
        repositories.write(folder / name / "models", SHAPES)
        shutil.copytree(ROOT / "examples/quickstart/backends", folder / name / "backends")
        shutil.copy(ROOT / "examples/quickstart/triton.lock", folder / name)
    served = WorkspaceFolder(folder / "served", shared_cache)
    assert served.run("init", "models").exit_code == 0
    served.build()
    ports = {name: free_port() for name in ("http", "grpc", "metrics")}
    settings = [f"--set={name}_port={port}" for name, port in ports.items()]
    argv = ["sh", "-c", 'cd "$0" && exec "$@"', str(served.root), *COMMAND, "run"]
    log = folder / "log"
    with server([*argv, "//models", *settings], ports["http"], log, served.env):
        workspace = WorkspaceFolder(folder / "asked", shared_cache)
        address = f"127.0.0.1:{ports['grpc']}"
        outcome = workspace.run("init", "models", "--golden", address)
    assert outcome.exit_code == 0, outcome.text
    return Asked(workspace, outcome)


def test_cases_are_what_the_server_answered(asked: Asked) -> None:
    case = asked.case("plain")
    (x,), (y,) = case["inputs"], case["outputs"]
    assert (case["model"], x["shape"]) == ("plain", [1, 3])
    assert y["data"] == [pytest.approx([2 * value for value in x["data"][0]])]


def test_a_decoupled_model_is_recorded_with_all_responses(asked: Asked) -> None:
    assert len(asked.case("repeats")["responses"]) == 3


def test_a_stateful_model_is_recorded_as_a_sequence(asked: Asked) -> None:
    assert len(asked.case("stateful")["sequence"]) == 3


def test_all_types_are_asked(asked: Asked) -> None:
    said = [(tensor["datatype"], tensor["shape"]) for tensor in asked.case("types")["inputs"]]
    assert said == [
        ("FP32", [2, 3]),
        ("FP16", [2]),
        ("BF16", [2]),
        ("BYTES", [2]),
        ("BOOL", [1]),
        ("UINT8", [4]),
    ]


@pytest.mark.parametrize(
    ("name", "why"), [("dice", "asked twice, it answers differently"), ("refuses", "surely not")]
)
def test_a_model_that_gives_no_case_is_told(asked: Asked, name: str, why: str) -> None:
    found = [e for e in asked.outcome.events if e.get("subject") == f"models/{name}"]
    assert why in found[-1]["text"]
    assert f"{name}_answers" not in asked.manifest["verifications"]


def test_recorded_answers_are_verified_without_an_edit(asked: Asked) -> None:
    outcome = asked.workspace.run("test", "//...", "--kind", "golden", timeout=550)
    assert outcome.exit_code == 0, outcome.text
    passed = {label for label, status in outcome.targets.items() if status == "passed"}
    names = ("add", "both", "plain", "repeats", "stateful", "types")
    assert passed == {f"//models:{name}_answers" for name in names}


def test_cases_are_no_part_of_the_model(asked: Asked) -> None:
    asked.workspace.build("//models:plain")
    built = asked.workspace.output("models/_/plain/plain")
    assert sorted(path.name for path in built.iterdir()) == ["1", "config.pbtxt"]


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("127.0.0.1:1", "no server answers at 127.0.0.1:1"),
        ("http://127.0.0.1:8000", "is not the address of a gRPC service"),
        ("localhost", "is not the address of a gRPC service"),
        ("localhost:", "is not the address of a gRPC service"),
    ],
)
def test_a_server_that_is_not_there_stops_it(
    tmp_path: Path, shared_cache: Path, address: str, found: str
) -> None:
    folder = WorkspaceFolder(tmp_path, shared_cache)
    repositories.write(tmp_path, {"plain": SAID["a plain model"]})
    outcome = folder.run("init", "--golden", address)
    assert outcome.exit_code == 2
    assert found in outcome.error["found"]
    assert not (tmp_path / "triton.toml").exists()
