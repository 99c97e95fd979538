"""The OpenVINO backend, which runs on the CPU only."""

from __future__ import annotations

from collections.abc import Iterator

from tritonbuild.rule import KeyPath

from ...words import enum
from ..subject import Finding, Subject
from .common import choice, no_optional, types

TYPES = (
    "TYPE_BOOL", "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32", "TYPE_UINT64", "TYPE_INT8",
    "TYPE_INT16", "TYPE_INT32", "TYPE_INT64", "TYPE_FP16", "TYPE_FP32",
)  # fmt: skip
THREADS = ("INFERENCE_NUM_THREADS", "COMPILATION_NUM_THREADS")
HINTS = ("cumulative_throughput", "latency", "throughput")


def openvino(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    for index, group in enumerate(config.instance_group):
        key: KeyPath = ("instance_group", index, "kind")
        if group.kind != group.KIND_CPU:
            found = f"{enum(group, 'kind')} with backend 'openvino'"
            yield Finding(key, found, "KIND_CPU, the only one that it runs on")
        elif subject.groups and subject.groups[index].kind == group.KIND_AUTO:
            found = "no kind with backend 'openvino'"
            remedy = "say it: a host with a GPU takes KIND_GPU, and refuses the model"
            yield Finding(key, found, "KIND_CPU", remedy, fatal=False)
    if not subject.signatures:  # else `autofill` has seen them
        yield from types(config, TYPES)
    yield from no_optional(config)
    yield from choice(config, "HINT_BF16", ("yes",), any_case=True)
    yield from choice(config, "PERFORMANCE_HINT", HINTS, any_case=True)
    for name in (*THREADS, "NUM_STREAMS"):
        said = config.parameters[name].string_value if name in config.parameters else ""
        words = ("auto", "numa") if name == "NUM_STREAMS" else ()
        if said and not said.isdecimal() and said.lower() not in words:
            expected = " or ".join(("a whole number", *(word.upper() for word in words)))
            yield Finding(("parameters", name), f"{name} = {said!r}", expected)
