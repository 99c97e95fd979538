"""What several backends ask for."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from ...policy import leading_number
from ...words import enum, listed
from ..subject import Finding

BOOLEANS = ("true", "false", "on", "off", "1", "0")


def types(config: Any, supported: Collection[str]) -> Iterator[Finding]:
    """Data types that the backend has no word for."""
    for side in ("input", "output"):
        for index, tensor in enumerate(getattr(config, side)):
            name = enum(tensor, "data_type")
            if name not in supported and name != "TYPE_INVALID":
                found = f"{name} with backend {config.backend!r}"
                yield Finding((side, index, "data_type"), found, f"one of {', '.join(supported)}")


def no_optional(config: Any) -> Iterator[Finding]:
    for index, tensor in enumerate(config.input):
        if tensor.optional:
            found = f"an optional input with backend {config.backend!r}"
            yield Finding(("input", index, "optional"), found, "inputs that every request has")


def choice(
    config: Any, name: str, values: Collection[str], *, any_case: bool = False
) -> Iterator[Finding]:
    """A parameter that takes some values only."""
    if name not in config.parameters:
        return
    said = config.parameters[name].string_value
    if (said.lower() if any_case else said) not in values:
        found = f"{name} = {said!r}"
        yield Finding(("parameters", name), found, f"one of {listed(values)}")


def boolean(config: Any, name: str) -> Iterator[Finding]:
    yield from choice(config, name, BOOLEANS, any_case=True)


def number(config: Any, name: str) -> Iterator[Finding]:
    if name not in config.parameters:
        return
    said = config.parameters[name].string_value
    # Triton's backends read as far as there are digits.
    if leading_number(said) is None:
        yield Finding(("parameters", name), f"{name} = {said!r}", "a whole number")
