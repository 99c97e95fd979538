"""The TensorRT backend."""

from __future__ import annotations

from collections.abc import Iterator

from tritonbuild.rule import KeyPath

from ...words import enum
from ..subject import Finding, Subject


def tensorrt(subject: Subject) -> Iterator[Finding]:
    # Instances on the CPU are refused too; but where no kind is said, they are there only because
    # this machine has no GPU.
    for index, group in enumerate(subject.config.instance_group):
        key: KeyPath = ("instance_group", index)
        if group.kind == group.KIND_MODEL:
            found = "KIND_MODEL with backend 'tensorrt'"
            yield Finding((*key, "kind"), found, "KIND_GPU, the only one that it runs on")
        for at, device in enumerate(group.secondary_devices):
            if device.kind != device.KIND_NVDLA:
                where = (*key, "secondary_devices", at, "kind")
                yield Finding(where, enum(device, "kind"), "KIND_NVDLA")
