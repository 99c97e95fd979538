"""The size of tensors in bytes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from ..words import enum

ELEMENT = {
    "TYPE_BOOL": 1, "TYPE_UINT8": 1, "TYPE_INT8": 1,
    "TYPE_UINT16": 2, "TYPE_INT16": 2, "TYPE_FP16": 2, "TYPE_BF16": 2,
    "TYPE_UINT32": 4, "TYPE_INT32": 4, "TYPE_FP32": 4,
    "TYPE_UINT64": 8, "TYPE_INT64": 8, "TYPE_FP64": 8,
}  # fmt: skip


def byte_size(tensor: Any, dims: Sequence[int]) -> int | None:
    """Of a message's data_type with these dims; None for strings, whose size only data tells."""
    element = ELEMENT.get(enum(tensor, "data_type"))
    return None if element is None else element * (prod(dims) if dims else 0)
