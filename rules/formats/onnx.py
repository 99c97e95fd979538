"""An ONNX model's signature: https://github.com/onnx/onnx/blob/main/docs/IR.md."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tritonbuild.rule import Problem

from .onnx_file import Model
from .pointer import HEAD, refuse_archive, refuse_stand_in
from .signature import FormatError, Signature, TensorInfo
from .wire import Corrupt, CutShort, Reader

KIND = "an ONNX model"
FILE_NAME = "model.onnx"
"""Of a model that is a folder, the file that is opened."""
DATATYPES = {  # TensorProto.DataType → ModelConfig's DataType
    1: "TYPE_FP32",
    2: "TYPE_UINT8",
    3: "TYPE_INT8",
    4: "TYPE_UINT16",
    5: "TYPE_INT16",
    6: "TYPE_INT32",
    7: "TYPE_INT64",
    8: "TYPE_STRING",
    9: "TYPE_BOOL",
    10: "TYPE_FP16",
    11: "TYPE_FP64",
    12: "TYPE_UINT32",
    13: "TYPE_UINT64",
    16: "TYPE_BF16",
}
_KINDS = {
    "sequence_type": "sequence",
    "map_type": "map",
    "opaque_type": "opaque value",
    "sparse_tensor_type": "sparse tensor",
    "optional_type": "optional",
}
_REPLACEABLE = 4
LARGEST = 2**31 - 1
"""Bytes of the largest message that protobuf parses, and so of a file that a runtime opens."""


def read(path: Path, name: str = "", beside: Mapping[str, int] | None = None) -> Signature:
    """What a model's file says. A folder stands for its `model.onnx`.

    `name` and `beside` are told of a file that does not lie where it will: see `read_signature`.
    Raises FormatError, also when a file is missing that holds data of it.
    """
    file = path / FILE_NAME if path.is_dir() else path
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        found = f"the folder {path.name} holds no {FILE_NAME}"
        raise FormatError(Problem(found, KIND)) from None
    try:
        model = _read(Reader(descriptor), name or file.name)
    finally:
        os.close(descriptor)
    _check_external(model, file, name or file.name, beside)
    return _signature(model)


def _read(reader: Reader, name: str) -> Model:
    head = reader.read(0, min(reader.size, HEAD))
    refuse_stand_in(head, name, KIND)
    try:
        model = Model(reader)
    except CutShort as error:
        refuse_archive(head, KIND)
        found = f"the file is cut short or no ONNX model: {error}"
        raise FormatError(Problem(found, KIND, "fetch or export it again")) from None
    except Corrupt as error:
        refuse_archive(head, KIND)
        raise FormatError(Problem(f"the file is no ONNX model: {error}", KIND)) from None
    # What onnxruntime itself demands of a model.
    for is_there, what in (
        (model.has_graph, "graph"),
        (model.ir_version, "IR version"),
        (model.opsets, "opset"),
    ):
        if not is_there:
            raise FormatError(Problem(f"the file is no ONNX model: it has no {what}", KIND))
    if reader.size > LARGEST:
        found = f"the file has {reader.size:,} bytes, more than any runtime can parse"
        remedy = (
            "keep its weights in a file beside it (onnx.save with save_as_external_data=True), and "
            "declare their folder as the version"
        )
        raise FormatError(Problem(found, f"{KIND} of at most {LARGEST:,} bytes", remedy))
    return model


def _signature(model: Model) -> Signature:
    # An initializer that is an input too is the input's default, which since IR version 4 a
    # request may replace.
    inputs = [info for info in model.inputs if info.name not in model.initializers]
    defaults = [
        info for info in model.inputs if info.name in model.initializers and info.HasField("type")
    ]
    if model.ir_version < _REPLACEABLE:
        defaults = []
    symbols = {
        dimension.dim_param
        for info in inputs
        for dimension in info.type.tensor_type.shape.dim
        if dimension.WhichOneof("value") == "dim_param"
    }
    given = {info.name for info in inputs}
    return Signature(
        (
            *map(_tensor, inputs),
            *(replace(_tensor(info), optional=True) for info in defaults),
        ),
        tuple(_tensor(info, None if info.name in given else symbols) for info in model.outputs),
        _facts(model),
    )


def _facts(model: Model) -> dict[str, str]:
    facts = {"ir_version": str(model.ir_version)}
    for domain, version in sorted(model.opsets.items()):
        facts[f"opset.{domain}" if domain else "opset"] = str(version)
    if model.producer:
        facts["producer"] = model.producer
    if model.external:
        facts["external_data"] = "\n".join(sorted(model.external))
    return facts


def _tensor(info: Any, symbols: set[bytes] | None = None) -> TensorInfo:
    """An input, or an output: then `symbols` are the inputs' names of dimensions."""
    name = info.name.decode(errors="replace")
    kind = info.type.WhichOneof("value")
    if kind is None:
        if symbols is None:
            raise FormatError(Problem(f"input {name!r} has no type", KIND))
        return TensorInfo(name, "", None, is_inferred=True)
    if kind != "tensor_type":
        return TensorInfo(name, "", None, kind=_KINDS[kind])
    tensor = info.type.tensor_type
    datatype = DATATYPES.get(tensor.elem_type, "TYPE_INVALID") if tensor.elem_type else ""
    if not tensor.HasField("shape"):
        return TensorInfo(name, datatype, None, is_inferred=symbols is not None)
    # onnxruntime takes a dimension below 0 for one that varies.
    shape = tuple(
        max(dimension.dim_value, -1) if dimension.WhichOneof("value") == "dim_value" else -1
        for dimension in tensor.shape.dim
    )
    # onnxruntime infers the shapes of outputs and keeps what is the more precise. A name that an
    # input has as well is taken to be meant.
    is_inferred = symbols is not None and any(
        size == -1 and dimension.dim_param not in symbols
        for size, dimension in zip(shape, tensor.shape.dim, strict=True)
    )
    return TensorInfo(name, datatype, shape, is_inferred=is_inferred)


def _check_external(model: Model, file: Path, name: str, beside: Mapping[str, int] | None) -> None:
    """Raises FormatError when a file that tensors refer to is not there."""
    for location, external in sorted(model.external.items()):
        of = f"of tensor {external.tensor!r}"
        normal = posixpath.normpath(location)
        if not location or normal.startswith(("/", "..")) or {"\\", "\0"} & set(location):
            found = f"the data {of} lies in {location!r}, outside the model's folder"
            expected = "a path below the folder of the model's file"
            raise FormatError(Problem(found, expected, "export the model again"))
        size = _size(file.parent / normal) if beside is None else beside.get(normal)
        if size is None:
            raise FormatError(
                Problem(
                    f"the data {of} lies in {location!r}, which is not beside the model's file",
                    "all files of the model",
                    f"put both into one folder and declare the folder as the version, with "
                    f"{name} called {FILE_NAME}",
                )
            )
        if size < external.end:
            found = f"{location!r} has {size:,} bytes; the data {of} reaches to {external.end:,}"
            remedy = "fetch or export it again"
            raise FormatError(Problem(found, "the file that belongs to this model", remedy))


def _size(file: Path) -> int | None:
    try:
        return os.stat(file).st_size
    except OSError:
        return None
