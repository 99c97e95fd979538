"""The kinds of models that Triton's backends run, and their files' names."""

from __future__ import annotations

import pytest
from tritonbuild.rules.formats.kinds import KINDS, file_names
from tritonbuild.rules.model_config.message import PLATFORMS


@pytest.mark.parametrize(
    ("backend", "platform", "names"),
    [
        ("tensorrt", "tensorrt_plan", ("model.plan",)),
        ("tensorrt", "", ("model.plan",)),
        ("onnxruntime", "onnxruntime_onnx", ("model.onnx",)),
        ("pytorch", "pytorch_libtorch", ("model.pt",)),
        ("pytorch", "torch_aoti", ("model.pt2",)),
        ("pytorch", "", ("model.pt",)),
        ("openvino", "", ("model.xml",)),
        ("python", "", ("model.py",)),
        ("dali", "", ("model.dali", "dali.py")),
        ("tensorflow", "tensorflow_savedmodel", ("model.savedmodel",)),
        ("tensorflow", "tensorflow_graphdef", ("model.graphdef",)),
        ("tensorflow", "", ("model.savedmodel", "model.graphdef")),
        ("vllm", "", ("model.json",)),
        ("tensorrtllm", "", ()),
        ("identity", "", ()),
        ("of_ones_own", "any", ()),
    ],
)
def test_the_names_that_a_backend_looks_for(
    backend: str, platform: str, names: tuple[str, ...]
) -> None:
    assert file_names(backend, platform, "") == names


def test_a_configured_name_wins() -> None:
    assert file_names("onnxruntime", "", "resnet.onnx") == ("resnet.onnx",)


def test_fils_name_follows_its_model_type() -> None:
    assert file_names("fil", "", "", "lightgbm") == ("model.txt",)
    assert file_names("fil", "", "", "") == ("xgboost.model",)
    for kind in (kind for kind in KINDS if kind.backend == "fil"):
        assert file_names("fil", "", "", kind.model_type) == kind.files
        assert set(kind.files) < set(file_names("fil", "", ""))
    assert file_names("fil", "", "", "sklearn") == ()


def test_the_platforms_are_those_that_the_core_pairs_with_backends() -> None:
    for backend, platforms in PLATFORMS.items():
        assert {kind.platform for kind in KINDS if kind.backend == backend} == set(platforms)
