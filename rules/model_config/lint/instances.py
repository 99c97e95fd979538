"""Instance groups: where and how often the model runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import KeyPath

from ..words import enum, shape
from .subject import Finding, Subject


def instances(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if config.HasField("ensemble_scheduling"):
        return
    groups = subject.groups
    for index, group in enumerate(groups):
        key: KeyPath = ("instance_group", index)
        yield from _devices(group, key)
        yield from _profiles(group, key, config.platform)
        yield from _secondary(group, key, config.backend)
    if groups and all(group.passive for group in groups):
        yield Finding(
            ("instance_group",),
            "every instance group is passive",
            "at least one that is not: no request is ever run",
            fatal=False,
        )
    yield from _resources(groups)


def _devices(group: Any, key: KeyPath) -> Iterator[Finding]:
    gpus = list(group.gpus)
    if gpus and group.kind in (group.KIND_CPU, group.KIND_MODEL):
        found = f"gpus {shape(gpus)} with {enum(group, 'kind')}"
        yield Finding((*key, "gpus"), found, "KIND_GPU, or no gpus")
    elif any(gpu < 0 for gpu in gpus):
        yield Finding((*key, "gpus"), f"gpus {shape(gpus)}", "ids of 0 and above")
    elif len(set(gpus)) < len(gpus):
        found = f"gpus {shape(gpus)}"
        remedy = "say how many instances each GPU gets with count"
        yield Finding((*key, "gpus"), found, "each GPU once", remedy, fatal=False)


def _profiles(group: Any, key: KeyPath, platform: str) -> Iterator[Finding]:
    for at, profile in enumerate(group.profile):
        where = (*key, "profile", at)
        if platform != "tensorrt_plan":
            yield Finding(where, f"profile {profile!r}", "profiles in TensorRT models only")
        elif not profile.isdecimal() or int(profile) >= 2**31:
            yield Finding(where, f"profile {profile!r}", "a number of 0 or more, as a string")


def _secondary(group: Any, key: KeyPath, backend: str) -> Iterator[Finding]:
    devices = group.secondary_devices
    if devices and backend != "tensorrt":
        yield Finding(
            (*key, "secondary_devices"),
            f"secondary devices with backend {backend!r}",
            "backend tensorrt, which alone uses them",
            fatal=False,
        )
    elif len(devices) > 1:
        yield Finding((*key, "secondary_devices"), f"{len(devices)} secondary devices", "one")


def _resources(groups: Any) -> Iterator[Finding]:
    """Judged only by servers that were started with --rate-limit=execution_count."""
    is_global: dict[str, bool] = {}
    for index, group in enumerate(groups):
        for at, resource in enumerate(group.rate_limiter.resources):
            known = is_global.setdefault(resource.name, getattr(resource, "global"))
            if known != getattr(resource, "global"):
                yield Finding(
                    ("instance_group", index, "rate_limiter", "resources", at),
                    f"resource {resource.name!r} is both global and a device's own",
                    "one of the two; a server that limits rates refuses the model",
                    fatal=False,
                )
