"""Declares Debian packages on top of a base of them, which keeps every file and version it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tritonbuild.rule import Artifact, Context, LockedFile, Request

from ..base_info import BaseInfo
from ..python.fetch import fetch
from .base import (
    ARCHITECTURES,
    check_packages,
    deb_layers,
    deb_state,
    package_of,
    version_of,
    wheels_of,
)

REPLACES = ("etc/ld.so.cache", "etc/ssl/certs/ca-certificates.crt", "var/lib/dpkg/status")
"""What packages make together, and the layer on top therefore makes anew."""


def more_packages(
    ctx: Context[Any], base: BaseInfo, packages: Sequence[str]
) -> tuple[BaseInfo, list[Artifact]]:
    """The base with the packages and what they depend on, and the layers that go on top of it: none
    if it has them all. Raises AnalysisError where that cannot be."""
    if not base.suite:
        raise ctx.error(
            f"packages on {base.label}, of which no Debian release is known",
            key="packages",
            expected="a base that is made of Debian packages (`debian`)",
            remedy="install them in the image that is the base, or in a base with `debian`",
        )
    check_packages(ctx, packages)
    there = {package_of(file.name): _version(file) for file in base.locked}
    more = []
    for text in packages:
        name, _, version = text.partition("=")
        if name not in there:
            more.append(text)
        elif version and there[name] not in (version, version.partition(":")[2]):
            raise ctx.error(
                f"{text}, and the base has {name} {there[name]}",
                key="packages",
                expected="packages that leave the base as it is",
                remedy="name the version in the base",
            )
    if not more:
        return base, []
    architecture, _ = ARCHITECTURES[base.platform]
    pins = {f"{name}={version}" for name, version in there.items()}
    wanted = tuple(sorted({*pins, *more}))
    shown = f"{' '.join(more)} on {len(pins)} packages of the base"
    files = ctx.locked(
        Request("debian", wanted, platform=f"{base.suite}/{architecture}", shown=shown)
    )
    if lost := {file.sha256 for file in base.locked} - {file.sha256 for file in files}:
        found = f"triton.lock's packages on {base.label} lack {len(lost)} of those in it"
        raise ctx.error(found, key="packages", remedy="tritonbuild lock")
    new = [file for file in files if package_of(file.name) not in there]
    packed = deb_layers(ctx, new, {file.name: fetch(ctx, file, "https") for file in new})
    layers = [layer for layer, _ in packed]
    statuses = [status for _, status in packed]
    below, above = [*base.layers, *layers], [*base.statuses, *statuses]
    whole = replace(
        base,
        python=version_of(files, "python3"),
        wheels=wheels_of(files, base.platform),
        locked=(*base.locked, *new),
    )
    return whole, [*layers, deb_state(ctx, below, above, architecture)]


def _version(file: LockedFile) -> str:
    """Without its epoch."""
    return file.name.split("_")[1]
