"""Triton's ModelConfig: the protobuf message behind config.pbtxt.

https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import Problem, did_you_mean

from ..paths import EXPECTED, is_relative

if TYPE_CHECKING:
    from google.protobuf.message import Message

PLATFORMS = {
    "onnxruntime": ("onnxruntime_onnx",),
    "pytorch": ("pytorch_libtorch", "torch_aoti"),
    "tensorflow": ("tensorflow_graphdef", "tensorflow_savedmodel"),
    "tensorrt": ("tensorrt_plan",),
}
"""Backends that Triton's core pairs with these platforms only; others take any or none."""


@cache
def _schema() -> Any:
    """tritonclient's compiled model_config.proto, without the rest of tritonclient.grpc, whose
    import brings in gRPC and takes ten times as long."""
    from importlib.util import find_spec, module_from_spec, spec_from_file_location

    package = find_spec("tritonclient")
    assert package is not None
    assert package.submodule_search_locations is not None
    path = os.path.join(package.submodule_search_locations[0], "grpc", "model_config_pb2.py")
    spec = spec_from_file_location("model_config_pb2", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def empty() -> Message:
    """A config that says nothing."""
    message: Message = _schema().ModelConfig()
    return message


def parse(content: bytes, file: str) -> tuple[Message, list[Problem]]:
    """Reads a config.pbtxt. `file` is its name for messages."""
    from google.protobuf import text_format

    config = empty()
    try:
        text_format.Parse(content.decode(), config)
    except UnicodeDecodeError:
        return config, [Problem("it is not text", "a ModelConfig as protobuf text", file=file)]
    except text_format.ParseError as error:
        line, column = error.GetLine(), error.GetColumn()
        reason = re.sub(r"^\d+:\d+ : ", "", str(error))
        found = f"column {column}: {reason}" if column else reason
        problem = Problem(
            found, "a ModelConfig as protobuf text", _remedy(reason), file=file, line=line
        )
        return config, [problem]
    return config, []


def _remedy(reason: str) -> str:
    """The nearest name, where text_format found one that it does not know."""
    if unknown := re.search(r'Message type "([\w.]+)" has no field named "(\w+)"', reason):
        descriptor = _schema().DESCRIPTOR.pool.FindMessageTypeByName(unknown[1])
        return did_you_mean(unknown[2], descriptor.fields_by_name)
    if unknown := re.search(r'Enum type "([\w.]+)" has no value named (\w+)', reason):
        descriptor = _schema().DESCRIPTOR.pool.FindEnumTypeByName(unknown[1])
        return did_you_mean(unknown[2], descriptor.values_by_name)
    return ""


def to_text(config: Message) -> bytes:
    """The config.pbtxt: fields in the schema's order, map entries by key; UTF-8."""
    from google.protobuf import text_format

    return text_format.MessageToString(config, as_utf8=True).encode()


def complete(config: Message, name: str, backend: str) -> Iterator[Problem]:
    """Fills in the model's name and backend, and yields what the config says against them; the
    keys of these problems are the config's fields."""
    said: Any = config
    if said.name not in ("", name):
        remedy = "leave it out; the build fills in the target's `name`"
        yield Problem(f"name {said.name!r}", repr(name), remedy, key="name")
    if said.backend not in ("", backend):
        remedy = "leave it out; the build fills in the target's `backend`"
        yield Problem(f"backend {said.backend!r}", repr(backend), remedy, key="backend")
    platforms = PLATFORMS.get(backend, ())
    is_checked = bool(platforms) or said.platform == "ensemble"
    if said.platform and is_checked and said.platform not in platforms:
        found = f"platform {said.platform!r} with backend {backend!r}"
        expected = " or ".join(map(repr, platforms)) or "no platform, or one of the backend's"
        remedy = "leave it out; Triton finds it from the backend"
        yield Problem(found, expected, remedy, key="platform")
    if said.default_model_filename and not is_relative(said.default_model_filename):
        found = f"default_model_filename {said.default_model_filename!r}"
        yield Problem(found, EXPECTED, key="default_model_filename")
    said.name, said.backend = name, backend
