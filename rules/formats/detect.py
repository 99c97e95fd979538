"""Whose a file or folder is: by its content where that tells, else by its name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from tritonbuild.rule import Problem

from . import onnx, python_model, savedmodel, tensorrt, torch, trees
from .kinds import kinds
from .pointer import HEAD, refuse_stand_in
from .signature import FormatError
from .wire import Corrupt, Reader


@dataclass(frozen=True)
class Detected:
    """What serves a file or folder, and under which name its backend looks for it."""

    backend: str
    platform: str
    """Empty where the backend has no platforms."""
    file_name: str
    """In the version's folder."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What the config must say for it, by key path (`parameters.model_type` of fil), and the
    major version of TensorRT that built a plan (`tensorrt`)."""


def _served_by(backend: str, platform: str = "", model_type: str | None = None) -> Detected:
    kind = kinds(backend, platform, model_type)[0]
    return Detected(kind.backend, kind.platform, kind.files[0])


ONNX = _served_by("onnxruntime")
SAVEDMODEL = _served_by("tensorflow", "tensorflow_savedmodel")
GRAPHDEF = _served_by("tensorflow", "tensorflow_graphdef")
PLAN = _served_by("tensorrt")
TORCHSCRIPT = _served_by("pytorch", "pytorch_libtorch")
COMPILED = _served_by("pytorch", "torch_aoti")
OPENVINO = _served_by("openvino")
PADDLE = Detected("openvino", "", "model.pdmodel", {"default_model_filename": "model.pdmodel"})
PYTHON = _served_by("python")
DALI = _served_by("dali")
VLLM = _served_by("vllm")
_BY_NAME = {
    ".onnx": ONNX,
    ".plan": PLAN,
    ".engine": PLAN,
    ".graphdef": GRAPHDEF,
    ".dali": DALI,
    ".pdmodel": PADDLE,
}
_PROTOBUF = ("", ".pb", ".model")
"""Endings under which a model may be hidden; others are looked into for marks only."""
_ENOUGH = 100
"""Fields of an ONNX model."""
_LIBRARY = "libtriton_"


def detect(path: Path) -> Detected | None:
    """Whose a file or folder is; None when nothing tells, or when it is part of a model only.
    Raises FormatError for what stands in the place of a model: a pointer, an empty file, weights
    without a program."""
    if path.is_dir():
        if (path / savedmodel.FILE_NAME).is_file():
            return SAVEDMODEL
        if (path / onnx.FILE_NAME).is_file():
            return ONNX
        return None
    with open(path, "rb") as file:
        head = file.read(HEAD)
        suffix = path.suffix.lower()
        if suffix in _BY_NAME or suffix in _TORCH or path.name.endswith(".dvc"):
            refuse_stand_in(head, path.name, f"a {suffix} model")
        return _by_content(Reader(file.fileno()), head, path) or _by_name(path)


_TORCH = (".pt", ".pth", ".pt2")


def _by_content(reader: Reader, head: bytes, path: Path) -> Detected | None:
    if tensorrt.is_plan(head):
        version = tensorrt.major_version(head)
        return replace(PLAN, facts={"tensorrt": version} if version else {})
    if forest := trees.model_type(head, path.name):
        facts = {"parameters.model_type": forest}
        return replace(_served_by("fil", model_type=forest), facts=facts)
    if path.suffix == ".xml":
        return OPENVINO if b"<net " in head else None
    if path.suffix == ".py":
        return _python(path)
    if path.name == VLLM.file_name:
        return _vllm(path)
    if path.suffix.lower() in _TORCH:
        return _torch(path)
    return _protobuf(reader, path)


def _torch(path: Path) -> Detected | None:
    kind = torch.kind(path)
    if kind == torch.TORCHSCRIPT:
        return TORCHSCRIPT
    if kind == torch.COMPILED:
        return COMPILED
    if kind:
        torch.check(path, "torch_aoti" if kind == torch.EXPORTED else "pytorch_libtorch")
    return None


def _python(path: Path) -> Detected | None:
    text = path.read_bytes()
    if python_model.is_model(text):
        return PYTHON
    if b"autoserialize" in text and b"pipeline_def" in text:
        return replace(DALI, file_name="dali.py")
    return None


def _vllm(path: Path) -> Detected | None:
    try:
        said = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    return VLLM if isinstance(said, dict) and "model" in said else None


def _protobuf(reader: Reader, path: Path) -> Detected | None:
    """An ONNX model or a GraphDef under whatever name: by the fields of the outermost message."""
    if path.name == savedmodel.FILE_NAME:
        expected = "the folder that it stands in"
        raise FormatError(Problem(f"{path.name} is a part of a SavedModel", expected))
    if path.suffix.lower() not in _PROTOBUF:
        return None
    first, numbers = None, set()
    try:
        for part in islice(reader.fields(0, reader.size), _ENOUGH):
            first = first or part
            numbers.add(part.number)
    except Corrupt:
        return None
    if first is None:
        return None
    # A GraphDef begins with a node, an ONNX model with a number: its IR version.
    if first.number == 1 and first.end > first.start and path.suffix == ".pb":
        return GRAPHDEF
    return ONNX if {1, 7, 8} <= numbers else None


def _by_name(path: Path) -> Detected | None:
    if path.name.startswith(_LIBRARY) and path.suffix == ".so":
        return Detected(path.stem.removeprefix(_LIBRARY), "", path.name)
    return _BY_NAME.get(path.suffix.lower())
