"""How messages call things."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def enum(message: Any, field: str) -> str:
    """The name of an enum's value, such as `TYPE_FP32`."""
    values = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    number = getattr(message, field)
    return str(values[number].name) if number in values else str(number)


def shape(dims: Iterable[int]) -> str:
    return f"[{', '.join(map(str, dims))}]"


def listed(names: Iterable[str]) -> str:
    """Names in quotes, sorted; `none` without any."""
    return ", ".join(map(repr, sorted(names))) or "none"
