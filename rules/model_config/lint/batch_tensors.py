"""What Triton makes of ragged batches: `batch_input` and `batch_output`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import KeyPath

from ..words import enum, listed
from .subject import Finding, Subject


def batch_tensors(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    inputs = {tensor.name for tensor in config.input}
    outputs = {tensor.name for tensor in config.output}
    for index, batch in enumerate(config.batch_input):
        key: KeyPath = ("batch_input", index)
        yield from _sources(batch, key, inputs)
        if enum(batch, "data_type") not in ("TYPE_INT32", "TYPE_FP32"):
            found = f"data_type {enum(batch, 'data_type')}"
            yield Finding((*key, "data_type"), found, "TYPE_INT32 or TYPE_FP32")
    for index, batch in enumerate(config.batch_output):
        key = ("batch_output", index)
        yield from _sources(batch, key, inputs)
        seen: set[str] = set()
        for at, name in enumerate(batch.target_name):
            here = (*key, "target_name", at)
            if name not in outputs:
                yield Finding(here, f"no output {name!r}", f"one of {listed(outputs)}")
            elif name in seen:
                yield Finding(here, f"output {name!r} twice", "each output once")
            seen.add(name)


def _sources(batch: Any, key: KeyPath, inputs: set[str]) -> Iterator[Finding]:
    names = list(batch.source_input)
    if len(names) != 1:
        found = f"{len(names)} source inputs for {enum(batch, 'kind')}"
        yield Finding((*key, "source_input"), found, "one")
    for at, name in enumerate(names):
        if name not in inputs:
            here = (*key, "source_input", at)
            yield Finding(here, f"no input {name!r}", f"one of {listed(inputs)}")
