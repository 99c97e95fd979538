"""Sequences of requests: control tensors, implicit states and the two strategies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import KeyPath

from ..words import enum, listed
from .batching import sizes
from .states import states
from .subject import Finding, Subject

HERE: KeyPath = ("sequence_batching",)
TRUTHS = ("int32_false_true", "fp32_false_true", "bool_false_true")
IDS = ("TYPE_UINT64", "TYPE_INT64", "TYPE_UINT32", "TYPE_INT32", "TYPE_STRING")
"""What a correlation id can be given as."""


def sequences(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if not config.HasField("sequence_batching"):
        return
    batcher = config.sequence_batching
    yield from _controls(batcher, {tensor.name for tensor in config.input})
    if batcher.HasField("oldest"):
        preferred = (*HERE, "oldest", "preferred_batch_size")
        yield from sizes(batcher.oldest.preferred_batch_size, preferred, config.max_batch_size)
    if batcher.HasField("direct"):
        share = batcher.direct.minimum_slot_utilization
        # Written so that NaN passes, as it does in Triton.
        if share < 0 or share > 1:
            key = (*HERE, "direct", "minimum_slot_utilization")
            yield Finding(key, f"minimum_slot_utilization {share:g}", "0 to 1")
    yield from states(subject)


def _controls(batcher: Any, inputs: set[str]) -> Iterator[Finding]:
    names: set[str] = set()
    kinds: set[str] = set()
    for index, tensor in enumerate(batcher.control_input):
        key = (*HERE, "control_input", index)
        if not tensor.name:
            yield Finding((*key, "name"), "a control tensor without a name", "its input's name")
        elif tensor.name in names:
            found = f"control tensor {tensor.name!r} twice"
            remedy = "list all its controls in one control_input"
            yield Finding((*key, "name"), found, "each tensor once", remedy)
        if tensor.name in inputs:
            yield Finding(
                (*key, "name"),
                f"control tensor {tensor.name!r} is an input too",
                "one of the two",
                "take it out of `input`: Triton gives its values, not the client",
                fatal=False,
            )
        names.add(tensor.name)
        for at, control in enumerate(tensor.control):
            kind = enum(control, "kind")
            where = (*key, "control", at)
            if kind in kinds:
                yield Finding(where, f"{kind} twice", "one tensor for it")
            kinds.add(kind)
            yield from _control(control, kind, where)


def _control(control: Any, kind: str, key: KeyPath) -> Iterator[Finding]:
    said = [name for name in TRUTHS if getattr(control, name)]
    if kind == "CONTROL_SEQUENCE_CORRID":
        if said:
            yield Finding((*key, said[0]), f"{said[0]} of {kind}", "a data_type only")
        elif enum(control, "data_type") not in IDS:
            found = f"{kind} as {enum(control, 'data_type')}"
            yield Finding((*key, "data_type"), found, f"one of {', '.join(IDS)}")
    elif len(said) != 1:
        found = f"{kind} with {listed(said)}"
        yield Finding(key, found, f"one of {', '.join(TRUTHS)}")
    elif (count := len(getattr(control, said[0]))) != 2:
        yield Finding((*key, said[0]), f"{count} values", "two: for false and for true")
