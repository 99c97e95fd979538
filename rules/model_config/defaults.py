"""What Triton's core fills in for any model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

IDLE_MICROSECONDS = 1_000_000
"""Of a sequence, before it is given up."""
CPU_INSTANCES = {"onnxruntime": 2, "tensorflow": 2}
"""Instances of a group on the CPU that says no count; 1 for all other backends."""
CPU_ONLY = ("openvino",)


def normalise(config: Any) -> None:
    """Version policy, preferred batch sizes, pinned memory and the like."""
    if not config.HasField("version_policy"):
        config.version_policy.latest.num_versions = 1
    if config.HasField("dynamic_batching"):
        _prefer(config.dynamic_batching, config.max_batch_size)
    if config.HasField("sequence_batching"):
        sequence = config.sequence_batching
        if not sequence.max_sequence_idle_microseconds:
            sequence.max_sequence_idle_microseconds = IDLE_MICROSECONDS
        if sequence.HasField("oldest"):
            _prefer(sequence.oldest, config.max_batch_size)
    if not config.HasField("ensemble_scheduling"):
        for side in ("input_pinned_memory", "output_pinned_memory"):
            if not config.optimization.HasField(side):
                getattr(config.optimization, side).enable = True


def _prefer(batching: Any, size: int) -> None:
    if not batching.preferred_batch_size and size > 0:
        batching.preferred_batch_size.append(size)


def fill_instance_groups(config: Any, gpus: int) -> None:
    """At least one group, each with name, kind, count and devices. `gpus` is how many there are."""
    if config.HasField("ensemble_scheduling"):
        return
    if not config.instance_group:
        group = config.instance_group.add(name=config.name)
        group.kind = group.KIND_CPU if config.backend in CPU_ONLY else group.KIND_AUTO
    for index, group in enumerate(config.instance_group):
        group.name = group.name or f"{config.name}_{index}"
        if group.kind == group.KIND_AUTO:
            there = _are_there(group.gpus, gpus)
            group.kind = group.KIND_GPU if there else group.KIND_CPU
        if group.count < 1:
            on_cpu = group.kind == group.KIND_CPU
            group.count = CPU_INSTANCES.get(config.backend, 1) if on_cpu else 1
        if group.kind == group.KIND_GPU and not group.gpus:
            group.gpus.extend(range(gpus))


def _are_there(devices: Iterable[int], gpus: int) -> bool:
    """Whether a group with these devices, or with none in particular, is on GPUs. Where none is
    known, those that are named are taken to be there: a host without them refuses the model."""
    named = list(devices)
    return bool(gpus or named) and all(0 <= device < (gpus or device + 1) for device in named)
