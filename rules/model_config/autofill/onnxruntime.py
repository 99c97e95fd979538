"""What the onnxruntime backend completes and refuses:
https://github.com/triton-inference-server/onnxruntime_backend/blob/r24.10/src/onnxruntime.cc.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import Problem

from ...formats import Signature, TensorInfo
from ..releases import before
from ..words import enum
from .ios import (
    TYPE_INVALID,
    add_io,
    controls,
    matches,
    of_wrong_shape,
    shown,
    unknown_name,
    wanted_shape,
)

BF16_SINCE = "2.67"
_NO_ZIPMAP = "export it so that it gives tensors (skl2onnx: options={'zipmap': False})"


def unknown(config: Any, signature: Signature) -> list[str]:
    """What only onnxruntime's own shape inference tells, as far as it is to be completed."""
    if _is_given(config):
        return []
    why = [
        f"output {info.name!r}: the model's file does not state its shape, onnxruntime infers it"
        for info in signature.outputs
        if info.is_inferred and info.shape is None and info.kind == "tensor"
    ]
    if not config.output:
        why += [
            f"output {info.name!r}: onnxruntime may find that a dimension of {shown(info.shape)} "
            "is fixed"
            for info in signature.outputs
            if info.is_inferred and info.shape is not None
        ]
    return why


def autofill(
    config: Any, signature: Signature, release: str, default_max_batch_size: int
) -> Iterator[Problem]:
    """Completes the config and yields what is refused, in that order: what cannot be completed is
    not compared any more."""
    defaults = {info.name: _seen(info, release) for info in signature.inputs if info.optional}
    inputs = {info.name: _seen(info, release) for info in signature.inputs if not info.optional}
    outputs = {info.name: _seen(info, release, is_output=True) for info in signature.outputs}
    others = [
        Problem(
            f"{kind} {info.name!r} of the model is a {info.kind}",
            "tensors only: the onnxruntime backend takes nothing else",
            _NO_ZIPMAP if info.kind in ("sequence", "map") else "export it with tensors",
            key="backend",
        )
        for kind, infos in (("input", inputs), ("output", outputs))
        for info in infos.values()
        if info.kind != "tensor"
    ]
    if others:
        yield from others
        return
    if not _is_given(config):
        can_batch = _can_batch([*inputs.values(), *outputs.values()])
        if can_batch is None:
            return  # that is for onnxruntime to say, and all else follows from it
        if not can_batch and config.max_batch_size:
            yield _cannot_batch(config, [*inputs.values(), *outputs.values()])
            return
        if can_batch:
            _batch(config, default_max_batch_size)
        _complete(config, inputs, outputs)
    yield from _check_inputs(config, inputs, defaults)
    yield from _check_outputs(config, outputs)


def _is_given(config: Any) -> bool:
    """Then the backend does not complete anything."""
    return bool((config.input or config.batch_input) and config.output)


def _seen(info: TensorInfo, release: str, *, is_output: bool = False) -> TensorInfo:
    """As the backend sees it: a shape that nothing states is that of a scalar to it."""
    kind = info.datatype
    if kind == "TYPE_BF16" and before(release, BF16_SINCE):
        kind = TYPE_INVALID
    shape = info.shape if info.shape is not None or is_output else ()
    return TensorInfo(
        info.name, kind, shape, is_inferred=info.is_inferred, kind=info.kind, layout=info.layout
    )


def _can_batch(infos: list[TensorInfo]) -> bool | None:
    """Whether all first dimensions vary; None when that is not known."""
    varies = [None if info.shape is None else info.shape[:1] == (-1,) for info in infos]
    if False in varies:
        return False
    return None if None in varies else True


def _cannot_batch(config: Any, infos: list[TensorInfo]) -> Problem:
    fixed = [
        f"{info.name} {shown(info.shape)}"
        for info in infos
        if info.shape is not None and info.shape[:1] != (-1,)
    ]
    return Problem(
        f"max_batch_size is {config.max_batch_size}, but the model cannot batch",
        f"a first dimension of -1 everywhere; it has {', '.join(fixed)}",
        "say max_batch_size = 0, or export the model with a first dimension that varies",
        key="max_batch_size",
    )


def _batch(config: Any, default_max_batch_size: int) -> None:
    if config.max_batch_size == 0:
        config.max_batch_size = default_max_batch_size
    scheduler = config.WhichOneof("scheduling_choice")
    if config.max_batch_size > 1 and scheduler not in ("sequence_batching", "dynamic_batching"):
        config.dynamic_batching.SetInParent()


def _complete(config: Any, inputs: dict[str, TensorInfo], outputs: dict[str, TensorInfo]) -> None:
    if not config.input and not config.batch_input:
        for info in inputs.values():
            _add(config.input, info, config.max_batch_size)
    if not config.output and not any(info.shape is None for info in outputs.values()):
        for info in outputs.values():
            _add(config.output, info, config.max_batch_size)


def _add(ios: Any, info: TensorInfo, max_batch_size: int) -> None:
    assert info.shape is not None
    dims = info.shape[1:] if max_batch_size > 0 else info.shape
    message = add_io(ios, info, dims or (1,))
    if not dims and max_batch_size > 0:
        message.reshape.SetInParent()


def _check_inputs(
    config: Any, inputs: dict[str, TensorInfo], defaults: dict[str, TensorInfo]
) -> Iterator[Problem]:
    """`defaults` are the inputs that the model has values for."""
    batched = config.max_batch_size > 0
    optional = [io.name for io in config.input if io.optional]
    sequence = list(controls(config))
    states = config.sequence_batching.state if config.HasField("sequence_batching") else ()
    said = len(config.input) - len(optional) + len(config.batch_input)
    said += len(sequence) + len(states)
    for key, name, kind in sequence:
        yield from _check_control(key, name, kind, inputs, batched=batched)
    if said != len(inputs):
        names = {io.name for io in config.input} | {name for _, name, _ in sequence}
        names |= {state.input_name for state in states}
        names |= {name for item in config.batch_input for name in item.target_name}
        found = f"the config has {said} inputs"
        expected = f"{len(inputs)}, as in the model's file"
        if missing := sorted(inputs.keys() - names):
            expected += f"; it lacks {', '.join(missing)}"
        yield Problem(found, expected, "name all of the model's inputs, or none", key="input")
    for index, io in enumerate(config.input):
        key = f"input[{index}]"
        if io.optional and batched:
            found = f"input {io.name!r} is optional in a model that batches"
            remedy = "take optional away, or say max_batch_size = 0"
            yield Problem(found, "no optional input", remedy, key=f"{key}.optional")
            continue
        info = inputs.get(io.name) or defaults.get(io.name)
        if info is None:
            yield unknown_name(f"{key}.name", "input", io.name, inputs | defaults)
            continue
        yield from _check_datatype(f"{key}.data_type", "input", io, info)
        if io.allow_ragged_batch:
            if info.shape != (-1,):
                found = f"input {io.name!r} is ragged, but the model's has shape"
                yield Problem(
                    f"{found} {shown(info.shape)}",
                    "shape [-1] in the model's file",
                    key=f"{key}.allow_ragged_batch",
                )
            continue
        yield from _check_shape(key, "input", io, info, batched=batched)


def _check_outputs(config: Any, outputs: dict[str, TensorInfo]) -> Iterator[Problem]:
    batched = config.max_batch_size > 0
    of_batch = {name for item in config.batch_output for name in item.target_name}
    for index, io in enumerate(config.output):
        key = f"output[{index}]"
        info = outputs.get(io.name)
        if info is None:
            yield unknown_name(f"{key}.name", "output", io.name, outputs)
            continue
        yield from _check_datatype(f"{key}.data_type", "output", io, info)
        if io.name not in of_batch:
            yield from _check_shape(key, "output", io, info, batched=batched, exact=True)
    if not config.HasField("sequence_batching"):
        return
    for index, state in enumerate(config.sequence_batching.state):
        key = f"sequence_batching.state[{index}]"
        info = outputs.get(state.output_name)
        if info is None:
            yield unknown_name(f"{key}.output_name", "output", state.output_name, outputs)
        else:
            yield from _check_datatype(f"{key}.data_type", "state", state, info)


def _check_control(
    key: str, name: str, kind: str, inputs: dict[str, TensorInfo], *, batched: bool
) -> Iterator[Problem]:
    info = inputs.get(name)
    if info is None or info.shape is None:
        yield unknown_name(f"{key.rpartition('.')[0]}.name", "input", name, inputs)
        return
    shape = info.shape[1:] if batched else info.shape
    if shape != (1,):
        found = f"control input {name!r} has shape {shown(shape)} in the model"
        yield Problem(found, "[1]", "export the model with it", key=key)
    if kind != info.datatype:
        found = f"control input {name!r} is {kind}"
        yield Problem(found, f"{info.datatype}, as in the model's file", key=key)


def _check_datatype(key: str, what: str, io: Any, info: TensorInfo) -> Iterator[Problem]:
    said = enum(io, "data_type")
    name = getattr(io, "name", "") or getattr(io, "output_name", "")
    if info.datatype == TYPE_INVALID:
        found = f"{what} {name!r} of the model has a data type that its backend does not take"
        yield Problem(
            found, "one of the config's data types, other than BF16 before 26.03", key=key
        )
    elif info.datatype and said != info.datatype:
        found = f"{what} {name!r} is {said}"
        expected = f"{info.datatype}, as in the model's file"
        yield Problem(found, expected, f"say {info.datatype}", key=key)


def _check_shape(
    key: str, what: str, io: Any, info: TensorInfo, *, batched: bool, exact: bool = False
) -> Iterator[Problem]:
    if info.shape is None:
        return
    field, dims = wanted_shape(io)
    key, what = f"{key}.{field}", f"{what} {io.name!r}"
    if not info.shape:
        if any(size != 1 for size in dims):
            found = f"{what} has shape {shown(dims)}, but is a scalar in the model"
            yield Problem(found, "[1]", "say dims = [1]", key=key)
        return
    if batched and info.shape[0] != -1:
        yield Problem(
            f"{what} has shape {shown(info.shape)} in the model",
            "a first dimension of -1, since max_batch_size is above 0",
            "say max_batch_size = 0 and the whole shape as dims, or export the model with a first "
            "dimension that varies",
            key=key,
        )
        return
    whole = (-1, *dims) if batched else dims
    # A dimension that onnxruntime may know better is not held against the config.
    exact = exact and not info.is_inferred
    if not matches(info.shape, whole, exact=exact):
        yield of_wrong_shape(key, what, info.shape, whole, batched=batched)
