"""What a server is asked, and when none is started."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, WorkspaceFolder
from google.protobuf import text_format
from parts import nvml
from parts.bench import Bench
from parts.nvml import FakeGpu
from tritonbuild.rules.component import BackendInfo
from tritonbuild.rules.model_config.completion import Full
from tritonbuild.rules.model_config.gpu import wants_gpu
from tritonbuild.rules.model_config.message import empty
from tritonbuild.rules.model_config.sources import all_from
from tritonbuild.rules.servable import ModelInfo
from tritonbuild.rules.server.ask import NO_GPU, ask, may_know_more

from tritonbuild.label import Label
from tritonbuild.rule import Literal

NOTHING = Literal(b"", "given by the test")


def config(text: str) -> Any:
    return text_format.Parse(text, empty())


def model(backend: str | None, *, own: bool = False) -> ModelInfo:
    kind = None
    if backend is not None:
        kind = BackendInfo("backends", backend, NOTHING if own else None, own, ())
    return ModelInfo(Label("", "m"), "m", NOTHING, NOTHING, kind, ())


@pytest.fixture
def configured(tmp_path: Path, shared_cache: Path) -> WorkspaceFolder:
    shutil.copytree(ROOT / "tests" / "workspaces" / "configured", tmp_path / "configured")
    shutil.copy(ROOT / "examples" / "quickstart" / "triton.lock", tmp_path / "configured")
    return WorkspaceFolder(tmp_path / "configured", shared_cache)


def test_no_server_is_started_where_nothing_is_unknown(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    said = config('name: "m" backend: "python"')
    known = Full(said, all_from(said, "file")).to_json()
    made = bench.run(
        ask,
        parameters={"name": "m", "environments": {}},  # and no distribution
        inputs={"offline.json": bench.file(known)},
        outputs=["config.json"],
    )
    assert bench.path(made.outputs["config.json"]).read_bytes() == known


def test_its_environment_here_is_no_part_of_the_config(configured: WorkspaceFolder) -> None:
    outcome = configured.run("config", ":grows")
    (event,) = [event for event in outcome.events if event["event"] == "config"]
    assert event["config"]["parameters"] == {"a": {"string_value": "b"}}
    assert event["sources"]["input[0].name"] == "server"
    assert event["sources"]["parameters.a.string_value"] == "manifest"
    assert event["unknown"] == []


@pytest.mark.parametrize(
    ("of", "may"),
    [
        (model(None), False),
        (model("python"), True),
        (model("onnxruntime"), False),
        (model("onnxruntime", own=True), False),
        (model("identity"), False),
        (model("identity", own=True), True),
        (model("tensorrt"), True),
        (model("mine"), True),
    ],
)
def test_only_some_backends_know_more_than_their_files(of: ModelInfo, may: bool) -> None:
    assert may_know_more(of) is may


@pytest.mark.parametrize(
    ("text", "wants"),
    [
        ('backend: "python"', False),
        ('backend: "python" instance_group { kind: KIND_GPU }', True),
        ('backend: "tensorrt"', True),
        ('backend: "vllm"', True),
    ],
)
def test_a_model_wants_a_gpu_by_its_backend_or_its_instances(text: str, wants: bool) -> None:
    assert wants_gpu(config(text)) is wants


TELLS = """\
import os

class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        shown = os.environ["CUDA_VISIBLE_DEVICES"] or "none"
        config.add_input({"name": shown, "data_type": "TYPE_FP32", "dims": [1]})
        config.add_output({"name": "y", "data_type": "TYPE_FP32", "dims": [1]})
        return config

    def execute(self, requests):
        return []
"""


def declare(folder: WorkspaceFolder, backend: str, *lines: str) -> None:
    """A model `m` and an ensemble of it, so that what only a server knows of it is needed."""
    manifest = (folder.root / "triton.toml").read_text()
    if backend != "python":
        manifest += f'[backends.{backend}]\npath = "tells"\n'
    model = [f'[models.m]\nbackend = "{backend}"', 'versions = { 1 = "tells" }', *lines]
    ensemble = '[models.e]\nsteps = [{ model = ":m", inputs = { x = "x" }, outputs = { y = "y" } }]'
    folder.write(
        {
            "triton.toml": "\n".join([manifest, *model, ensemble]),
            "tells/model.py": TELLS,
            "gpu.pbtxt": "instance_group { kind: KIND_GPU }",
        }
    )


@pytest.mark.parametrize(("backend", "shown"), [("tensorrtllm", "GPU-h100"), ("mine", "none")])
def test_a_server_sees_the_gpu_that_its_model_wants_and_no_other(
    configured: WorkspaceFolder, tmp_path: Path, backend: str, shown: str
) -> None:
    nvml.make_library(tmp_path / "nvml")
    gpus = [FakeGpu("GPU-h100"), FakeGpu("GPU-other")]
    configured.environment |= nvml.environment(tmp_path / "nvml", gpus)
    declare(configured, backend)
    outcome = configured.run("config", ":m")
    assert outcome.exit_code == 0, outcome.text
    (event,) = [event for event in outcome.events if event["event"] == "config"]
    assert event["config"]["input"][0]["name"] == shown


def test_a_model_on_a_gpu_is_asked_only_where_there_is_one(
    configured: WorkspaceFolder, tmp_path: Path
) -> None:
    nvml.make_library(tmp_path / "nvml")
    configured.environment |= nvml.environment(tmp_path / "nvml", [])
    declare(configured, "python", 'config.instance_group = [{ kind = "KIND_GPU" }]')
    outcome = configured.run("build", ":e")
    assert outcome.exit_code == 36
    assert outcome.error["expected"] == "1 GPU"


def test_a_gpu_that_only_a_config_file_wants_is_not_shown(configured: WorkspaceFolder) -> None:
    declare(configured, "python", 'config_file = "gpu.pbtxt"')
    outcome = configured.run("config", ":m")
    assert outcome.exit_code == 1
    assert "has kind KIND_GPU but no GPUs are available" in outcome.error["found"]
    assert outcome.error["remedy"] == NO_GPU
