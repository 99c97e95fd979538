"""The inputs and outputs: names, types, dimensions, reshapes, formats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from tritonbuild.rule import KeyPath

from ..words import enum, shape
from .subject import Finding, Subject

SIZES = "sizes of 1 or more, or -1 where one varies"
LARGEST = 2**63 - 1
"""Elements that Triton can count."""


def tensors(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    for side in ("input", "output"):
        seen: set[str] = set()
        for index, tensor in enumerate(getattr(config, side)):
            key: KeyPath = (side, index)
            yield from _tensor(tensor, side, key, subject)
            if tensor.name in seen:
                yield Finding(
                    (*key, "name"),
                    f"another {side} is called {tensor.name!r}",
                    "each name once",
                    "Triton keeps the first one, and no request can have the right number of them",
                    fatal=False,
                )
            seen.add(tensor.name)


def _tensor(tensor: Any, side: str, key: KeyPath, subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if not tensor.name:
        yield Finding((*key, "name"), f"an {side} without a name", "its name in the model")
    if not tensor.data_type:
        yield Finding((*key, "data_type"), "no data_type", "one such as TYPE_FP32")
    yield from _dims(tensor.dims, (*key, "dims"), subject)
    if tensor.HasField("reshape"):
        yield from _reshape(tensor, (*key, "reshape"), config.max_batch_size)
    if side == "input" and tensor.format and len(tensor.dims) != 3:
        found = f"{enum(tensor, 'format')} with dims {shape(tensor.dims)}"
        yield Finding((*key, "format"), found, "three dims, of an image without its batch")
    is_plan = config.platform == "tensorrt_plan"
    if tensor.is_shape_tensor and not is_plan:
        yield Finding((*key, "is_shape_tensor"), "a shape tensor", "one in TensorRT models only")
    # 2.44 and older releases do not know the field; the schema says so.
    if tensor.is_non_linear_format_io:
        field = (*key, "is_non_linear_format_io")
        if not is_plan:
            yield Finding(field, "a tensor of non-linear format", "one in TensorRT models only")
        elif len(tensor.dims) != 3:
            found = f"a tensor of non-linear format with dims {shape(tensor.dims)}"
            yield Finding(field, found, "three dims")


def _dims(dims: Sequence[int], key: KeyPath, subject: Subject) -> Iterator[Finding]:
    if not dims:
        remedy = "a scalar has dims [1] and an empty reshape, in a model that batches"
        yield Finding(key, "no dims", "at least one dimension, without that of the batch", remedy)
    elif any(size < 1 and size != -1 for size in dims):
        yield Finding(key, f"dims {shape(dims)}", SIZES)
    elif subject.is_from("2.67") and -1 not in dims and prod(dims) > LARGEST:
        yield Finding(key, f"dims {shape(dims)}", f"at most {LARGEST} elements")


def _reshape(tensor: Any, key: KeyPath, max_batch_size: int) -> Iterator[Finding]:
    dims, wanted = list(tensor.dims), list(tensor.reshape.shape)
    if not wanted and max_batch_size == 0:
        yield Finding(
            key, "an empty reshape in a model that does not batch", "a shape: it has no scalars"
        )
    elif any(size < 1 and size != -1 for size in wanted):
        yield Finding((*key, "shape"), f"shape {shape(wanted)}", SIZES)
    elif dims and not _same_size(dims, wanted):
        yield Finding(
            (*key, "shape"),
            f"dims {shape(dims)} cannot become shape {shape(wanted)}",
            "as many elements, also between any two -1",
        )


def _same_size(dims: list[int], wanted: list[int]) -> bool:
    return _runs(dims) == _runs(wanted)


def _runs(dims: list[int]) -> list[int]:
    """Elements before, between and after the dimensions that vary."""
    runs = [1]
    for size in dims:
        if size == -1:
            runs.append(1)
        else:
            runs[-1] *= size
    return runs
