"""What the tensorflow backend completes and refuses of a SavedModel (a GraphDef tells nothing):
https://github.com/triton-inference-server/tensorflow_backend/blob/r24.10/src/tensorflow.cc.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import Problem

from ...formats import Signature, TensorInfo
from ..words import enum
from .ios import (
    TYPE_INVALID,
    controls,
    matches,
    of_wrong_shape,
    shown,
    unknown_name,
    wanted_shape,
)


class _Refused(Exception):
    def __init__(self, problem: Problem):
        super().__init__(str(problem))
        self.problem = problem


def autofill(config: Any, signature: Signature, default_max_batch_size: int) -> Iterator[Problem]:
    """Completes the config and yields what is refused."""
    try:
        drops_batch = _fix_batching(config, signature, default_max_batch_size)
        _fix_inputs(config, signature, drops_batch=drops_batch)
        _fix_outputs(config, signature, drops_batch=drops_batch)
    except _Refused as error:
        yield error.problem
        return
    yield from _check(config, signature)


def _rank(info: TensorInfo) -> int:
    """To the backend a shape that nothing states has no dimensions either."""
    return len(info.shape or ())


def _fix_batching(config: Any, signature: Signature, default_max_batch_size: int) -> bool:
    """Whether the first dimension is the batch's and left out of dims."""
    infos = (*signature.inputs, *signature.outputs)
    can_batch = all(not info.shape or info.shape[0] == -1 for info in infos)
    if not can_batch and config.max_batch_size > 0:
        fixed = [f"{info.name} {shown(info.shape)}" for info in infos if info.shape]
        raise _Refused(
            Problem(
                f"max_batch_size is {config.max_batch_size}, but the model cannot batch",
                f"a first dimension of -1 everywhere; it has {', '.join(fixed)}",
                "say max_batch_size = 0, or export the model with a first dimension that varies",
                key="max_batch_size",
            )
        )
    drops_batch = can_batch and _config_batches(config, signature) and default_max_batch_size > 0
    if config.max_batch_size == 0 and drops_batch:
        config.max_batch_size = default_max_batch_size
    scheduler = config.WhichOneof("scheduling_choice")
    if config.max_batch_size > 1 and scheduler not in ("sequence_batching", "dynamic_batching"):
        config.dynamic_batching.SetInParent()
    return drops_batch


def _config_batches(config: Any, signature: Signature) -> bool:
    """Whether the dims that the config gives, if any, leave out a first dimension."""
    if not config.input and not config.output:
        return True
    hint, explicit = False, None
    for field, infos in (("input", signature.inputs), ("output", signature.outputs)):
        by_name = {info.name: info for info in infos}
        for io in getattr(config, field):
            if field == "input" and io.allow_ragged_batch:
                return True
            info = by_name.get(io.name)
            if info is None or _rank(info) == 0:
                continue
            _, dims = wanted_shape(io)
            if not dims:
                hint = hint if explicit is not None else True
                continue
            leaves_out = len(dims) == _rank(info) - 1
            if explicit is None:
                hint = explicit = leaves_out
            elif explicit != leaves_out:
                raise _Refused(
                    Problem(
                        f"the dims of {io.name!r} and those of others contradict each other",
                        "dims that all leave out the batch dimension, or none",
                        key="max_batch_size",
                    )
                )
    return hint


def _fix_inputs(config: Any, signature: Signature, *, drops_batch: bool) -> None:
    missing = {info.name: info for info in signature.inputs}
    for io in config.input:
        if info := missing.pop(io.name, None):
            _fill(io, info, drops_batch=drops_batch)
    for item in config.batch_input:
        for name in item.target_name:
            missing.pop(name, None)
    if config.HasField("sequence_batching"):
        for control in config.sequence_batching.control_input:
            missing.pop(control.name, None)
    for info in missing.values():
        _fill(config.input.add(name=info.name), info, drops_batch=drops_batch)


def _fix_outputs(config: Any, signature: Signature, *, drops_batch: bool) -> None:
    if not config.output:
        for info in signature.outputs:
            _fill(config.output.add(name=info.name), info, drops_batch=drops_batch)
        return
    known = {info.name: info for info in signature.outputs}
    for io in config.output:
        if there := known.get(io.name):
            _fill(io, there, drops_batch=drops_batch)


def _fill(io: Any, info: TensorInfo, *, drops_batch: bool) -> None:
    if enum(io, "data_type") == TYPE_INVALID:
        values = io.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_name
        known = values.get(info.datatype)
        io.data_type = known.number if known is not None else 0
    if io.dims:
        return
    if _rank(info) == 0:
        kind = io.DESCRIPTOR.name.removeprefix("Model").lower()
        found = f"{kind} {info.name!r} of the model has shape {shown(info.shape)}"
        remedy = f"say the dims of {info.name!r}"
        raise _Refused(Problem(found, "dimensions to complete from", remedy, key=kind))
    assert info.shape is not None
    dims = info.shape[1:] if drops_batch else info.shape
    io.dims.extend(dims or (1,))
    if not dims:
        io.reshape.SetInParent()


def _check(config: Any, signature: Signature) -> Iterator[Problem]:
    batched = config.max_batch_size > 0
    inputs = {info.name: info for info in signature.inputs}
    outputs = {info.name: info for info in signature.outputs}
    sequence = list(controls(config))
    for key, name, kind in sequence:
        info = inputs.get(name)
        if info is None:
            yield unknown_name(f"{key.rpartition('.')[0]}.name", "input", name, inputs)
        elif not matches(info.shape or (), (-1, 1) if batched else (1,), exact=True):
            found = f"control input {name!r} has shape {shown(info.shape)} in the model"
            yield Problem(found, "[-1,1]" if batched else "[1]", key=key)
        elif kind != info.datatype:
            found = f"control input {name!r} is {kind}"
            yield Problem(found, f"{info.datatype}, as in the model's file", key=key)
    said = len(config.input) + len(config.batch_input) + len(sequence)
    if said != len(inputs) and all(io.name in inputs for io in config.input):
        expected = f"{len(inputs)}, as in the model's file"
        yield Problem(f"the config has {said} inputs", expected, key="input")
    of_batch = {name for item in config.batch_output for name in item.target_name}
    for field, infos in (("input", inputs), ("output", outputs)):
        is_output = field == "output"
        for index, io in enumerate(getattr(config, field)):
            key, what = f"{field}[{index}]", f"{field} {io.name!r}"
            info = infos.get(io.name)
            if info is None:
                yield unknown_name(f"{key}.name", field, io.name, infos)
                continue
            said_type = enum(io, "data_type")
            if said_type != info.datatype:
                expected = f"{info.datatype}, as in the model's file"
                remedy = f"say {info.datatype}"
                yield Problem(f"{what} is {said_type}", expected, remedy, key=f"{key}.data_type")
            if not info.shape or (is_output and io.name in of_batch):
                continue
            if not is_output and io.allow_ragged_batch:
                if info.shape != (-1,):
                    found = f"{what} is ragged, but the model's has shape {shown(info.shape)}"
                    yield Problem(found, "[-1]", key=f"{key}.allow_ragged_batch")
                continue
            place, dims = wanted_shape(io)
            whole = (-1, *dims) if batched else dims
            first_varies = not batched or info.shape[0] == -1
            if not first_varies or not matches(info.shape, whole, exact=is_output):
                yield of_wrong_shape(f"{key}.{place}", what, info.shape, whole, batched=batched)
