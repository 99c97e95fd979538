"""Triton's ModelConfig: the protobuf message behind config.pbtxt.

https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, MutableMapping, MutableSequence
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
        problem = Problem(found, *_expected(reason), file=file, line=line)
        return config, [problem]
    return config, []


def _expected(reason: str) -> tuple[str, str]:
    """What a text should have been, and the remedy: the nearest name, where text_format found one
    that it does not know."""
    pool = _schema().DESCRIPTOR.pool
    if unknown := re.search(r'Message type "([\w.]+)" has no field named "(\w+)"', reason):
        fields = pool.FindMessageTypeByName(unknown[1]).fields_by_name
        return f"a field that {installed_schema()} knows", did_you_mean(unknown[2], fields)
    if unknown := re.search(r'Enum type "([\w.]+)" has no value named (\w+)', reason):
        values = pool.FindEnumTypeByName(unknown[1]).values_by_name
        return f"a value that {installed_schema()} knows", did_you_mean(unknown[2], values)
    return "a ModelConfig as protobuf text", ""


def installed_schema() -> str:
    """Which ModelConfig is known here, for messages: that of the tritonclient that is installed,
    whatever release the model is for."""
    from importlib.metadata import version

    return f"the ModelConfig of tritonclient {version('tritonclient')}"


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


def as_dict(config: Message) -> dict[str, Any]:
    """The config as JSON, as Triton gives it: names as in the schema, every number a number. What
    is not set is left out."""
    return {field.name: _as_json(field, value) for field, value in config.ListFields()}


def _as_json(field: Any, value: Any) -> Any:
    if isinstance(value, MutableMapping):
        held = field.message_type.fields_by_name["value"]
        return {str(key): _as_json(held, value[key]) for key in sorted(value)}
    if isinstance(value, MutableSequence):
        return [_as_json(field, item) for item in value]
    if field.message_type is not None:
        return as_dict(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return known.name if known else value
    return value
