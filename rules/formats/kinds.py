"""The kinds of model that Triton's backends run, and the names that they know their files by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelKind:
    """One kind of model that a backend runs."""

    backend: str
    platform: str
    """Empty where the backend has no platforms, or any will do."""
    files: tuple[str, ...]
    """What is opened in a version's folder when the config names no file: one of them, the first
    for choice. Empty: the backend looks for nothing of a fixed name."""
    model_type: str = ""
    """fil's `parameters.model_type`, which its file name follows."""


KINDS = (
    ModelKind("tensorrt", "tensorrt_plan", ("model.plan",)),
    ModelKind("onnxruntime", "onnxruntime_onnx", ("model.onnx",)),  # or a folder with one in it
    ModelKind("pytorch", "pytorch_libtorch", ("model.pt",)),
    ModelKind("pytorch", "torch_aoti", ("model.pt2",)),  # from 26.03 on
    ModelKind("openvino", "", ("model.xml",)),
    ModelKind("python", "", ("model.py",)),
    ModelKind("dali", "", ("model.dali", "dali.py")),
    # A folder; TensorFlow's backend is part of Triton up to 25.02.
    ModelKind("tensorflow", "tensorflow_savedmodel", ("model.savedmodel",)),
    ModelKind("tensorflow", "tensorflow_graphdef", ("model.graphdef",)),
    ModelKind("fil", "", ("xgboost.model",), model_type="xgboost"),
    ModelKind("fil", "", ("xgboost.json",), model_type="xgboost_json"),
    ModelKind("fil", "", ("xgboost.ubj",), model_type="xgboost_ubj"),
    ModelKind("fil", "", ("model.txt",), model_type="lightgbm"),
    ModelKind("fil", "", ("checkpoint.tl",), model_type="treelite_checkpoint"),
    ModelKind("vllm", "", ("model.json",)),
    ModelKind("tensorrtllm", "", ()),
    ModelKind("identity", "", ()),
    ModelKind("repeat", "", ()),
    ModelKind("square", "", ()),
)
"""All that Triton's own backends run. A backend of one's own is a `libtriton_NAME.so` or a
model.py beside the model or among the server's backends, and opens what it likes."""
FIL_DEFAULT = "xgboost"
"""fil's `model_type` when the config gives none."""


def kinds(backend: str, platform: str = "", model_type: str | None = None) -> tuple[ModelKind, ...]:
    """What the backend may be meant to run, the likeliest first. `model_type`: see `file_names`."""
    found = tuple(kind for kind in KINDS if kind.backend == backend)
    if backend == "fil" and model_type is not None:
        return tuple(kind for kind in found if kind.model_type == (model_type or FIL_DEFAULT))
    if backend == "tensorflow" and not platform:
        return found
    # Where the config says no platform, the backend's first is filled in.
    return tuple(kind for kind in found if kind.platform == platform) or found[:1]


def file_names(
    backend: str, platform: str, configured: str, model_type: str | None = None
) -> tuple[str, ...]:
    """What a version folder has to hold one of, the first for choice; empty when not known.

    `configured` is the config's default_model_filename, `model_type` its
    `parameters.model_type`, which only fil looks at: empty for none, None when not known.
    """
    if configured:
        return (configured,)
    return tuple(name for kind in kinds(backend, platform, model_type) for name in kind.files)
