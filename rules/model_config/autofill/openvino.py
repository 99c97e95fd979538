"""What the openvino backend completes and refuses:
https://github.com/triton-inference-server/openvino_backend/blob/r24.10/src/openvino.cc.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import Problem

from ...formats import Signature, TensorInfo
from ..words import enum
from .ios import TYPE_INVALID, add_io, of_wrong_shape, unknown_name, wanted_shape

TAKES = frozenset(
    f"TYPE_{base}{bits}"
    for base, sizes in (("UINT", (8, 16, 32, 64)), ("INT", (8, 16, 32, 64)), ("FP", (16, 32)))
    for bits in sizes
) | {"TYPE_BOOL"}
"""Data types; no FP64, no strings."""


def autofill(config: Any, signature: Signature, default_max_batch_size: int) -> Iterator[Problem]:
    """Completes the config and yields what is refused."""
    # Of an ONNX model's inputs, OpenVINO takes those with values for constants.
    needed = tuple(info for info in signature.inputs if not info.optional)
    signature = Signature(needed, signature.outputs)
    infos = (*signature.inputs, *signature.outputs)
    ranks = [info for info in infos if info.shape is None]
    if all(_has_batch(info.layout) for info in infos):
        if config.max_batch_size == 0:
            config.max_batch_size = max(default_max_batch_size, 1)
        scheduler = config.WhichOneof("scheduling_choice")
        if config.max_batch_size > 1 and scheduler not in ("sequence_batching", "dynamic_batching"):
            config.dynamic_batching.SetInParent()
    for field, kind, of_model in (
        ("input", "input", signature.inputs),
        ("output", "output", signature.outputs),
    ):
        ios = getattr(config, field)
        if ios:
            continue
        if unranked := [info for info in ranks if info in of_model]:
            found = f"{kind} {unranked[0].name!r} of the model has no fixed number of dimensions"
            yield Problem(found, "a rank that the backend can complete from", key=field)
            return
        for info in of_model:
            _add(ios, info, config.max_batch_size)
    yield from _check(config, signature)


def _has_batch(layout: str) -> bool:
    """Whether a layout such as `[N,C,H,W]` or `NCHW` names a batch dimension."""
    return "N" in layout


def _add(ios: Any, info: TensorInfo, max_batch_size: int) -> None:
    assert info.shape is not None
    shape = info.shape
    if -1 in shape:  # of a shape that varies anywhere, the backend states no size at all
        shape = (-1,) * len(shape)
    kind = info.datatype if info.datatype in TAKES else TYPE_INVALID
    typed = TensorInfo(info.name, kind, shape)
    add_io(ios, typed, shape[1:] if max_batch_size > 0 else shape)


def _check(config: Any, signature: Signature) -> Iterator[Problem]:
    inputs = {info.name: info for info in signature.inputs}
    outputs = {info.name: info for info in signature.outputs}
    if len(config.input) != len(inputs):
        missing = sorted(inputs.keys() - {io.name for io in config.input})
        expected = f"{len(inputs)}, as in the model's file"
        expected += f"; it lacks {', '.join(missing)}" if missing else ""
        yield Problem(f"the config has {len(config.input)} inputs", expected, key="input")
    # Where it is said, the model takes the config's shapes, and its outputs follow.
    said = config.parameters.get("RESHAPE_IO_LAYERS")
    reshapes = said is not None and said.string_value.lower() == "yes"
    for field, infos in (("input", inputs), ("output", outputs)):
        for index, io in enumerate(getattr(config, field)):
            key, what = f"{field}[{index}]", f"{field} {io.name!r}"
            info = infos.get(io.name)
            if info is None:
                yield unknown_name(f"{key}.name", field, io.name, infos)
                continue
            if (kind := enum(io, "data_type")) not in TAKES:
                found = f"{what} is {kind}, which the openvino backend does not take"
                yield Problem(found, ", ".join(sorted(TAKES)), key=f"{key}.data_type")
            if info.shape is not None and not reshapes:
                yield from _check_shape(
                    key, what, io, info.shape, config.max_batch_size, is_input=field == "input"
                )


def _check_shape(
    key: str, what: str, io: Any, shape: tuple[int, ...], max_batch_size: int, *, is_input: bool
) -> Iterator[Problem]:
    """The batch dimension is set to max_batch_size at load, whatever it is in the file."""
    field, dims = wanted_shape(io)
    batched = max_batch_size > 0
    whole = (shape[0], *dims) if batched and shape else dims
    if batched and not shape:
        found = f"{what} is a scalar in the model"
        remedy = "say max_batch_size = 0"
        yield Problem(found, "a first dimension for the batch", remedy, key=f"{key}.{field}")
        return

    def fits(of_model: int, of_config: int) -> bool:
        return of_model in (-1, of_config) or (batched and is_input and of_config == -1)

    if len(whole) != len(shape) or not all(map(fits, shape, whole)):
        shown_whole = (-1, *dims) if batched else dims
        yield of_wrong_shape(f"{key}.{field}", what, shape, shown_whole, batched=batched)
