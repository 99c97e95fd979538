"""The PyTorch backend: TorchScript and AOTInductor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import KeyPath

from ..subject import Finding, Subject
from .common import boolean, no_optional, number, types

TYPES = (
    "TYPE_BOOL", "TYPE_UINT8", "TYPE_INT8", "TYPE_INT16", "TYPE_INT32", "TYPE_INT64", "TYPE_FP16",
    "TYPE_FP32", "TYPE_FP64", "TYPE_STRING",
)  # fmt: skip
SWITCHES = (
    "DISABLE_OPTIMIZED_EXECUTION", "ENABLE_CACHE_CLEANING", "INFERENCE_MODE", "DISABLE_CUDNN",
    "ENABLE_TENSOR_FUSER", "ENABLE_WEIGHT_SHARING", "ENABLE_JIT_PROFILING", "ENABLE_JIT_EXECUTOR",
)  # fmt: skip
NUMBERS = ("INTRA_OP_THREAD_COUNT", "INTER_OP_THREAD_COUNT")
BY_NUMBER = re.compile(r".*?__[0-9]*")
"""`INPUT__0`: the argument's index after the first two underscores."""


def pytorch(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if config.runtime == "model.py":
        return  # Python code, with rules of its own
    for side in ("input", "output"):
        if not getattr(config, side):
            remedy = "PyTorch files do not tell them: say them in the config"
            yield Finding((side,), f"no {side}", "at least one", remedy)
    yield from no_optional(config)
    for name in SWITCHES:
        yield from boolean(config, name)
    for name in NUMBERS:
        yield from number(config, name)
    if config.platform == "torch_aoti":
        if config.max_batch_size > 1:
            found = f"max_batch_size {config.max_batch_size} with platform 'torch_aoti'"
            yield Finding(("max_batch_size",), found, "0 or 1: it does not batch", fatal=False)
        return
    yield from types(config, TYPES)
    yield from _strings(config)
    yield from _names(config)


def _strings(config: Any) -> Iterator[Finding]:
    for side in ("input", "output"):
        for index, tensor in enumerate(getattr(config, side)):
            dims = tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims
            if tensor.data_type == _STRING and len(dims) + (config.max_batch_size > 0) > 1:
                found = "strings of more than one dimension, that of the batch included"
                yield Finding((side, index, "dims"), found, "a list of strings")


_STRING = 13
"""TYPE_STRING."""


def _names(config: Any) -> Iterator[Finding]:
    for side in ("input", "output"):
        tensors = getattr(config, side)
        odd = [index for index, each in enumerate(tensors) if not BY_NUMBER.fullmatch(each.name)]
        # All inputs may be called like the arguments of `forward`, which the config can't tell.
        if odd and (side == "output" or len(odd) < len(tensors)) and len(tensors) > 1:
            yield Finding(
                (side, odd[0], "name"),
                f"{tensors[odd[0]].name!r} is not called NAME__INDEX",
                f"{side.upper()}__0, {side.upper()}__1, …",
                "without numbers, the order in the config is taken for the model's",
                fatal=False,
            )
    batcher = config.sequence_batching
    for index, control in enumerate(batcher.control_input):
        key: KeyPath = ("sequence_batching", "control_input", index, "name")
        yield from _numbered(control.name, key)
    for index, state in enumerate(batcher.state):
        for name in ("input_name", "output_name"):
            yield from _numbered(getattr(state, name), ("sequence_batching", "state", index, name))


def _numbered(name: str, key: KeyPath) -> Iterator[Finding]:
    if not BY_NUMBER.fullmatch(name):
        yield Finding(key, f"{name!r} is not called NAME__INDEX", "such as START__2")
