"""Declares bases of Debian packages, and what can be made of their parts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tritonbuild.rule import Artifact, Context, LockedFile, Output, Request, did_you_mean

from ..base_info import IMAGE, BaseInfo
from ..python.fetch import fetch, known
from .image import make_deb_base
from .layer import LAYER, STATUS, make_deb_layer
from .root import ACCOUNTS, make_deb_root
from .state import make_deb_state
from .suites import SUITES

ARCHITECTURES = {
    "linux/amd64": ("amd64", "x86_64"),
    "linux/arm64": ("arm64", "aarch64"),
    "linux/ppc64le": ("ppc64el", "ppc64le"),
    "linux/s390x": ("s390x", "s390x"),
}
"""Platform → Debian's name of it, and that of wheels."""
LARGE = 1 << 20
"""Bytes from which a package gets a layer of its own; the others share one, so that there are few
layers and a security update moves little."""
MOST = 16
"""Layers of one package each, at most."""


def debian_base(ctx: Context[Any], suite: str, packages: Sequence[str], platform: str) -> BaseInfo:
    """Declares a base. Raises AnalysisError for a suite, a package's name or a platform that
    cannot be."""
    if suite not in SUITES:
        found = f"no Debian suite {suite!r} is known"
        raise ctx.error(found, key="debian", remedy=did_you_mean(suite, SUITES))
    if platform not in ARCHITECTURES:
        found, expected = f"Debian is not for {platform}", f"one of: {', '.join(ARCHITECTURES)}"
        raise ctx.error(found, key="platform", expected=expected)
    check_packages(ctx, packages)
    architecture, _ = ARCHITECTURES[platform]
    wanted = tuple(sorted(set(packages)))
    files = ctx.locked(Request("debian", wanted, platform=f"{suite}/{architecture}"))
    debs = {file.name: fetch(ctx, file, "https") for file in files}
    passwd = next((deb for name, deb in debs.items() if package_of(name) == "base-passwd"), None)
    root = ctx.tool(
        make_deb_root,
        parameters={"architecture": architecture, "epoch": ctx.epoch},
        inputs={} if passwd is None else {ACCOUNTS: passwd},
        outputs=[LAYER],
    )
    packed = deb_layers(ctx, files, debs)
    below = [root[LAYER], *(layer for layer, _ in packed)]
    state = deb_state(ctx, below, [status for _, status in packed], architecture)
    image = ctx.tool(
        make_deb_base,
        parameters={"platform": platform},
        inputs=numbered("layers", [*below, state]),
        outputs=[IMAGE],
    )[IMAGE]
    return BaseInfo(
        ctx.label,
        image,
        platform,
        python=version_of(files, "python3"),
        wheels=wheels_of(files, platform),
        suite=suite,
        locked=files,
        layers=tuple(below),
        statuses=tuple(status for _, status in packed),
    )


def check_packages(ctx: Context[Any], packages: Sequence[str]) -> None:
    """Raises AnalysisError for what cannot be a package."""
    for text in packages:
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+~:-]+)?", text):
            found = f"{text!r} is no package"
            raise ctx.error(found, key="packages", expected="`NAME` or `NAME=VERSION`")


def deb_layers(
    ctx: Context[Any], files: Sequence[LockedFile], debs: dict[str, Output]
) -> list[tuple[Output, Output]]:
    """Declares layers of packages: each with its part of dpkg's status."""
    large = sorted((f for f in files if f.size >= LARGE), key=lambda f: (-f.size, f.name))[:MOST]
    small = [file for file in files if file not in large]
    groups = [[file] for file in sorted(large)] + ([small] if small else [])
    made = [
        ctx.tool(
            make_deb_layer,
            name=f"layer of {known(group[0])}{more}",
            parameters={"epoch": ctx.epoch},
            inputs={f"debs/{file.name}": debs[file.name] for file in group},
            outputs=[LAYER, STATUS],
        )
        for group in groups
        for more in [f" and {len(group) - 1} more" if group[1:] else ""]
    ]
    return [(one[LAYER], one[STATUS]) for one in made]


def deb_state(
    ctx: Context[Any], layers: Sequence[Artifact], statuses: Sequence[Artifact], architecture: str
) -> Output:
    """Declares the layer that goes on top of all packages' layers."""
    made = ctx.tool(
        make_deb_state,
        name=f"state of {len(layers)} layers",
        parameters={"architecture": architecture, "epoch": ctx.epoch},
        inputs={**numbered("layers", layers), **numbered("status", statuses)},
        outputs=[LAYER],
    )
    return made[LAYER]


def numbered(folder: str, artifacts: Sequence[Artifact]) -> dict[str, Artifact]:
    return {f"{folder}/{number:03}": artifact for number, artifact in enumerate(artifacts)}


def package_of(file: str) -> str:
    """The package that a .deb holds, by its name."""
    return file.partition("_")[0]


def wheels_of(files: Sequence[LockedFile], platform: str) -> str:
    """As `BaseInfo.wheels` has it."""
    glibc = version_of(files, "libc6")
    return f"{ARCHITECTURES[platform][1]}-linux-gnu{glibc}" if glibc else ""


def version_of(files: Sequence[LockedFile], package: str) -> str:
    """The first two numbers of a package's version, such as `3.11`; empty if it is not there."""
    for file in files:
        if package_of(file.name) == package and (
            match := re.match(r"\d+\.\d+", file.name.partition("_")[2])
        ):
            return match[0]
    return ""
