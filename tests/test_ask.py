"""What a server is asked, and when none is started."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, WorkspaceFolder
from google.protobuf import text_format
from parts.bench import Bench
from tritonbuild.rules.component import BackendInfo
from tritonbuild.rules.model_config.completion import Full
from tritonbuild.rules.model_config.message import empty
from tritonbuild.rules.model_config.sources import all_from
from tritonbuild.rules.servable import ModelInfo
from tritonbuild.rules.server.ask import ask, is_on_gpu, may_know_more, wants_gpu

from tritonbuild.label import Label
from tritonbuild.rule import Literal

NOTHING = Literal(b"", "given by the test")


def config(text: str) -> Any:
    return text_format.Parse(text, empty())


def model(backend: str | None, *, python_based: bool = False) -> ModelInfo:
    kind = None
    if backend is not None:
        kind = BackendInfo("backends", backend, None, python_based, ())
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
        (model("onnxruntime", python_based=True), False),
        (model("identity"), False),
        (model("identity", python_based=True), True),
        (model("tensorrt"), True),
        (model("mine"), True),
    ],
)
def test_only_some_backends_know_more_than_their_files(of: ModelInfo, may: bool) -> None:
    assert may_know_more(of) is may


@pytest.mark.parametrize(
    ("of", "on_gpu"),
    [(model("tensorrt"), True), (model("vllm"), True), (model("python"), False)],
)
def test_some_backends_can_be_asked_only_where_there_is_a_gpu(of: ModelInfo, on_gpu: bool) -> None:
    assert is_on_gpu(of) is on_gpu


@pytest.mark.parametrize(
    ("text", "wants"),
    [
        ('backend: "python"', False),
        ('backend: "python" instance_group { kind: KIND_GPU }', True),
        ('backend: "tensorrt"', True),
    ],
)
def test_a_gpu_is_used_only_where_the_model_needs_one(text: str, wants: bool) -> None:
    assert wants_gpu(config(text)) is wants
