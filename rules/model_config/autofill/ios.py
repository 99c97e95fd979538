"""Inputs and outputs in a config, beside those of a model: what the backends' rules share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tritonbuild.rule import Problem, did_you_mean

from ...formats import TensorInfo
from ..words import enum

TYPE_INVALID = "TYPE_INVALID"
_FLAGS = ("CONTROL_SEQUENCE_START", "CONTROL_SEQUENCE_END", "CONTROL_SEQUENCE_READY")


def add_io(ios: Any, info: TensorInfo, dims: Sequence[int]) -> Any:
    """Appends an input or output to a config's list."""
    message = ios.add(name=info.name)
    values = message.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_name
    known = values.get(info.datatype)
    message.data_type = known.number if known is not None else 0
    message.dims.extend(dims)
    return message


def wanted_shape(io: Any) -> tuple[str, tuple[int, ...]]:
    """The field that says what the model itself gets or gives, and what it says."""
    if io.HasField("reshape"):
        return "reshape.shape", tuple(io.reshape.shape)
    return "dims", tuple(io.dims)


def shown(shape: Iterable[int] | None) -> str:
    """A shape for people."""
    return "unknown" if shape is None else f"[{','.join(map(str, shape))}]"


def matches(model: Sequence[int], config: Sequence[int], *, exact: bool) -> bool:
    """Whether a config's shape may stand for the model's. Where the model's varies, the config's
    may be fixed unless they are compared exactly."""
    return len(model) == len(config) and all(
        of_model == of_config or (of_model == -1 and not exact)
        for of_model, of_config in zip(model, config, strict=True)
    )


def of_wrong_shape(
    key: str, what: str, model: Sequence[int], config: Sequence[int], *, batched: bool
) -> Problem:
    """A config whose shape is not the model's; both are whole shapes."""
    found = f"{what} has shape {shown(config)}"
    if batched:
        found += ", the first for the batch since max_batch_size is above 0"
    dims = model[1:] if batched else model
    remedy = f"say dims = {shown(dims)}" if dims else "say dims = [1], reshape = { shape = [] }"
    if batched and len(model) == len(config) - 1:
        remedy += ", or max_batch_size = 0 if they hold the batch already"
    return Problem(found, f"{shown(model)}, as in the model's file", remedy, key=key)


def unknown_name(key: str, kind: str, name: str, known: Iterable[str]) -> Problem:
    """An input or output that the model does not have."""
    names = sorted(known)
    expected = f"one of {', '.join(names)}" if names else f"no {kind}: the model has none"
    found = f"the model has no {kind} {name!r}"
    return Problem(found, expected, did_you_mean(name, names) if names else "", key=key)


def controls(config: Any) -> Iterator[tuple[str, str, str]]:
    """A sequence batcher's control tensors that are the model's inputs: key, name, data type."""
    if not config.HasField("sequence_batching"):
        return
    for index, item in enumerate(config.sequence_batching.control_input):
        for place, control in enumerate(item.control):
            kind = enum(control, "kind")
            key = f"sequence_batching.control_input[{index}].control[{place}]"
            if kind in _FLAGS:
                yield key, item.name, _flag_datatype(control)
            elif kind == "CONTROL_SEQUENCE_CORRID":
                yield key, item.name, enum(control, "data_type")


def _flag_datatype(control: Any) -> str:
    for field in ("int32", "fp32", "bool"):
        if getattr(control, f"{field}_false_true"):
            return f"TYPE_{field.upper()}"
    return ""
