"""The signature of a model, by the backend that opens it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from .pointer import HEAD, refuse_stand_in
from .signature import Signature


def read_signature(
    backend: str,
    platform: str,
    path: Path,
    *,
    name: str = "",
    beside: Mapping[str, int] | None = None,
    parameters: Mapping[str, str] | None = None,
    own_backend: bool = False,
) -> Signature | None:
    """What the model takes and gives; None where no file of this kind tells it.

    `path` is the file or folder that the backend opens. For a file that does not lie in its
    version's folder yet, `name` is what it will be called there, and `beside` gives the files in
    its folder and their sizes, by their paths from there. `parameters` are the config's.
    `own_backend`: it is the user's, and only one of Triton's bears its name.
    Reads no weights. Raises FormatError, also for a file that is only a pointer to a model of
    whatever kind.
    """
    if backend == "onnxruntime":
        from . import onnx

        return onnx.read(path, name, beside)
    if backend == "openvino":
        return _openvino(path, name, beside)
    if backend == "tensorflow" and (platform == "tensorflow_savedmodel" or path.is_dir()):
        from . import savedmodel

        return savedmodel.read(path, parameters)
    if backend == "pytorch" and path.is_file() and not own_backend:
        from . import torch

        torch.check(path, platform)
    elif path.is_file():
        with open(path, "rb") as file:
            refuse_stand_in(file.read(HEAD), name or path.name, f"a model of the {backend} backend")
    return None


def _openvino(path: Path, name: str, beside: Mapping[str, int] | None) -> Signature | None:
    """OpenVINO opens other formats too, by their names."""
    ending = PurePosixPath(name or path).suffix
    if ending == ".onnx":
        from . import onnx

        return onnx.read(path, name, beside)
    if ending in (".xml", ""):
        from . import openvino

        return openvino.read(path, name, beside)
    return None
