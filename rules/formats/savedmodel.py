"""A TensorFlow SavedModel's signature: https://www.tensorflow.org/guide/saved_model.

Which signature is served is as in the source of Triton's backend; none of the servers that this is
tested with has it: the config's, else `serving_default`, else any that is not for TensorFlow's own
use. Of several such the backend takes whichever its hash table gives first; here it is the first by
name, so that there a server may tell others.
https://github.com/triton-inference-server/tensorflow_backend/blob/r24.10/mirror/tensorflow_backend_tf.cc
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tritonbuild.rule import Problem

from .pointer import HEAD, refuse_archive, refuse_stand_in
from .signature import FormatError, Signature, TensorInfo
from .wire import Corrupt, Reader

KIND = "a TensorFlow SavedModel"
FILE_NAME = "saved_model.pb"
TAG, SIGNATURE = "serve", "serving_default"
"""What is served when the config's parameters TF_GRAPH_TAG and TF_SIGNATURE_DEF say nothing."""
_NOT_SERVED = ("__saved_model_init_op", "__saved_model_train_op")
_TYPES = {  # tensorflow.DataType → ModelConfig's
    1: "TYPE_FP32",
    2: "TYPE_FP64",
    3: "TYPE_INT32",
    4: "TYPE_UINT8",
    5: "TYPE_INT16",
    6: "TYPE_INT8",
    7: "TYPE_STRING",
    9: "TYPE_INT64",
    10: "TYPE_BOOL",
    17: "TYPE_UINT16",
    19: "TYPE_FP16",
    22: "TYPE_UINT32",
    23: "TYPE_UINT64",
}


def read(path: Path, parameters: Mapping[str, str] | None = None) -> Signature:
    """What the signature says that is served. `path` is the folder, `parameters` the config's.
    Variables are not read, nor the graph. Raises FormatError."""
    said = parameters or {}
    tag, wanted = said.get("TF_GRAPH_TAG") or TAG, said.get("TF_SIGNATURE_DEF") or ""
    if not (path / FILE_NAME).is_file():
        found = f"{path.name} holds no {FILE_NAME}" if path.is_dir() else f"{path.name} is a file"
        raise FormatError(Problem(found, f"{KIND}: a folder with {FILE_NAME}"))
    with open(path / FILE_NAME, "rb") as file:
        reader = Reader(file.fileno())
        head = reader.read(0, min(reader.size, HEAD))
        refuse_stand_in(head, FILE_NAME, KIND)
        try:
            graphs = list(_graphs(reader))
        except Corrupt as error:
            refuse_archive(head, KIND)
            found = f"{FILE_NAME} is damaged or none: {error}"
            raise FormatError(Problem(found, KIND, "fetch or export it again")) from None
    if not graphs:
        raise FormatError(Problem(f"{FILE_NAME} holds no graph", KIND))
    graph = next((graph for graph in graphs if tag in graph.meta_info_def.tags), None)
    if graph is None:
        tags = ", ".join(sorted({tag for graph in graphs for tag in graph.meta_info_def.tags}))
        raise FormatError(Problem(f"no graph has the tag {tag!r}", f"one of: {tags or 'none'}"))
    name = _signature_name(graph, wanted)
    signature = graph.signature_def[name]
    facts = {"signature": name}
    if graph.meta_info_def.tensorflow_version:
        facts["tensorflow"] = graph.meta_info_def.tensorflow_version
    return Signature(_tensors(signature.inputs), _tensors(signature.outputs), facts)


def _graphs(reader: Reader) -> list[Any]:
    """The MetaGraphDefs, without their graphs."""
    from google.protobuf.message import DecodeError

    from . import savedmodel_pb2

    graphs = []
    for part in reader.fields(0, reader.size):
        if part.number != 2:
            continue
        graph = savedmodel_pb2.MetaGraphDef()
        for inner in reader.fields(part.start, part.end):
            if inner.number in (1, 5):
                try:
                    graph.MergeFromString(reader.read(inner.begin, inner.end))
                except DecodeError:
                    raise Corrupt("a broken MetaGraphDef") from None
        graphs.append(graph)
    return graphs


def _signature_name(graph: Any, wanted: str) -> str:
    names: list[str] = sorted(name for name in graph.signature_def if name not in _NOT_SERVED)
    if wanted or SIGNATURE not in names:
        if wanted in names:
            return wanted
        if not wanted and names:
            return names[0]
        expected = f"one of: {', '.join(names)}" if names else "one; export it with signatures"
        found = f"the model has no signature {wanted or SIGNATURE!r}"
        raise FormatError(Problem(found, expected))
    return SIGNATURE


def _tensors(infos: Mapping[str, Any]) -> tuple[TensorInfo, ...]:
    return tuple(_tensor(name, infos[name]) for name in sorted(infos))


def _tensor(name: str, info: Any) -> TensorInfo:
    kinds = {"coo_sparse": "sparse tensor", "composite_tensor": "composite tensor"}
    kind = kinds.get(info.WhichOneof("encoding") or "", "tensor")
    shape = None if info.tensor_shape.unknown_rank else tuple(d.size for d in info.tensor_shape.dim)
    return TensorInfo(name, _TYPES.get(info.dtype, "TYPE_INVALID"), shape, kind=kind)
