"""The identity backend, which gives back what it takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import KeyPath

from ...words import enum, shape
from ..subject import Finding, Subject


def identity(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if len(config.input) != len(config.output):
        found = f"{len(config.input)} inputs and {len(config.output)} outputs"
        yield Finding(("output",), found, "an output for each input")
        return
    for side in ("input", "output"):
        for index, tensor in enumerate(getattr(config, side)):
            if not tensor.name.startswith(side.upper()):
                expected = f"{side.upper()}{index}"
                yield Finding((side, index, "name"), f"name {tensor.name!r}", expected)
    given = {tensor.name.removeprefix("INPUT"): tensor for tensor in config.input}
    for index, tensor in enumerate(config.output):
        source = given.get(tensor.name.removeprefix("OUTPUT"))
        key: KeyPath = ("output", index)
        if source is None:
            yield Finding((*key, "name"), f"output {tensor.name!r} has no input of its number")
        elif source.data_type != tensor.data_type:
            found = f"{enum(tensor, 'data_type')} from {enum(source, 'data_type')}"
            yield Finding((*key, "data_type"), found, enum(source, "data_type"))
        elif _dims(source) != _dims(tensor):
            found = f"{shape(_dims(tensor))} from {shape(_dims(source))}"
            yield Finding((*key, "dims"), found, shape(_dims(source)))


def _dims(tensor: Any) -> list[int]:
    return list(tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims)
