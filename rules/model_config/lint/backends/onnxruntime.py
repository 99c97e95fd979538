"""The ONNX Runtime backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import KeyPath

from ..subject import Finding, Subject
from .common import choice, number, types

TYPES = (
    "TYPE_BOOL", "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32", "TYPE_UINT64", "TYPE_INT8",
    "TYPE_INT16", "TYPE_INT32", "TYPE_INT64", "TYPE_FP16", "TYPE_FP32", "TYPE_FP64", "TYPE_STRING",
)  # fmt: skip
BF16_SINCE = "2.67"
ON_GPU = "gpu_execution_accelerator"
"""Read for instances on a GPU; the others' list is read for all."""
ACCELERATORS = {ON_GPU: ("cuda", "tensorrt"), "cpu_execution_accelerator": ("openvino",)}
NUMBERS = ("intra_op_thread_count", "inter_op_thread_count")


def onnxruntime(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if not subject.signatures:  # else `autofill` has seen them
        more = ("TYPE_BF16",) if subject.is_from(BF16_SINCE) else ()
        yield from types(config, (*TYPES, *more))
    for name in NUMBERS:
        yield from number(config, name)
    yield from choice(config, "execution_mode", ("0", "1"))
    yield from _accelerators(config)


def _accelerators(config: Any) -> Iterator[Finding]:
    said = config.optimization.execution_accelerators
    is_on_gpu = any(group.kind == group.KIND_GPU for group in config.instance_group)
    for field, known in ACCELERATORS.items():
        for index, accelerator in enumerate(getattr(said, field)):
            if accelerator.name not in known:
                key: KeyPath = ("optimization", "execution_accelerators", field, index, "name")
                expected = f"one of {', '.join(known)}"
                found = f"accelerator {accelerator.name!r}"
                yield Finding(key, found, expected, fatal=field != ON_GPU or is_on_gpu)
