"""Distributions whose Triton lies in images: `min` and `full` of a release, or one image whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tritonbuild.oci import OciError, Platform
from tritonbuild.rule import Context, LockedFile, Output, did_you_mean

from ..base_info import BaseInfo
from ..bases.image import CONFIG_FILE, LAYERS, MANIFEST_FILE
from ..bases.registry import base_of, by_name, fetched, pinned
from ..debian.base import ARCHITECTURES
from ..model_config.releases import FILE as RELEASE_FILE
from .check import FACTS, FULL, MIN, check_images
from .info import ImagesInfo
from .names import Release, release_of
from .slim import SLIM


def _named(ctx: Context[Any]) -> tuple[str | None, str | None, Release | None]:
    """References of what lies below and of `full`, and the release where it is known. Raises
    AnalysisError for attributes that do not go together."""
    said = ctx.attributes
    release = Release.parse(said.release) if said.release else None
    if said.release and release is None:
        raise ctx.error(f"{said.release!r} is no release", key="release", expected="such as 25.08")
    if said.image is not None:
        for key in ("release", "min"):
            if getattr(said, key) is not None:
                found = f"`{key}` and `image`, which has everything"
                raise ctx.error(found, key=key, expected="the one or the other")
        return said.image, said.full, release_of(said.image)
    below, full = said.min, said.full
    if release is not None:
        if not said.gpu and full is None:
            raise ctx.error(
                f"NVIDIA has never published an image of {release} for CPUs only",
                key="gpu",
                expected="`full`, an image that build.py made without GPUs",
                remedy="push one to a registry of yours, and name it and a `min` for it",
            )
        below = below or (release.min if said.gpu else None)
        full = full or release.full
    if full is None:
        raise ctx.error(
            "`min` without `full`", key="min", expected="both, or `release`",
            remedy="`full` is the image that components are cut out of",
        )  # fmt: skip
    known = [(key, release_of(name)) for key, name in (("min", below), ("full", full)) if name]
    releases = {known for _, known in known if known}
    if len(releases) > 1:
        told = " and ".join(f"{key} of {release}" for key, release in known)
        raise ctx.error(told, key="full", expected="images of one release")
    return below, full, release or next(iter(releases), None)


def images_of(ctx: Context[Any]) -> tuple[ImagesInfo, Release | None, Output]:
    """Declares the checks. The third is the file that tells Triton's version."""
    _check_slim(ctx)
    try:
        Platform.of(ctx.attributes.platform)
    except ValueError as error:
        raise ctx.error(str(error), key="platform", expected="such as linux/arm64") from None
    below, full, release = _named(ctx)
    parts = {key: pinned(ctx, name, key) for key, name in ((MIN, below), (FULL, full)) if name}
    if ctx.attributes.image is not None:
        below_is, full_is = parts[MIN], parts.get(FULL, parts[MIN])
    else:
        below_is, full_is = parts.get(MIN, ()), parts[FULL]
    names = {MIN: below or "", FULL: full or below or ""}
    inputs = {FULL: fetched(ctx, by_name(ctx, full_is, names[FULL])[CONFIG_FILE])}
    if below_is:
        inputs[MIN] = fetched(ctx, by_name(ctx, below_is, names[MIN])[CONFIG_FILE])
    checked = ctx.tool(
        check_images,
        parameters={"gpu": ctx.attributes.gpu, "names": names},
        inputs=inputs,
        outputs=[FACTS, RELEASE_FILE],
    )
    info = ImagesInfo(
        base=_base(ctx, below_is, names[MIN], release) if below_is else None,
        whole=ctx.attributes.image is not None,
        layers=_layers(full_is, but=below_is),
        all_layers=_layers(full_is),
        facts=checked[FACTS],
        platform=ctx.attributes.platform,
        names=tuple(
            (key, by_name(ctx, files, names[key])[MANIFEST_FILE].url.removeprefix("oci://"))
            for key, files in ((MIN, below_is), (FULL, full_is))
            if files
        ),
        slim=tuple(ctx.attributes.slim),
        component_cache=_component_cache(ctx),
        catalogue=ctx.source(said) if (said := ctx.attributes.catalogue) else None,
    )
    return info, release, checked[RELEASE_FILE]


def _base(
    ctx: Context[Any], parts: tuple[LockedFile, ...], name: str, release: Release | None
) -> BaseInfo:
    _, machine = ARCHITECTURES.get(ctx.attributes.platform, ("", ""))
    python = ctx.attributes.python or (release.python if release else "")
    glibc = ctx.attributes.glibc or (release.glibc if release else "")
    return replace(
        base_of(ctx, parts, name),
        platform=ctx.attributes.platform,
        python=python,
        wheels=f"{machine}-linux-gnu{glibc}" if glibc and machine else "",
    )


def _layers(
    full: tuple[LockedFile, ...], but: tuple[LockedFile, ...] = ()
) -> tuple[LockedFile, ...]:
    """Those of an image that another has not."""
    there = {file.sha256 for file in but}
    layers = sorted(file for file in full if file.name.startswith(f"{LAYERS}/"))
    return tuple(file for file in layers if file.sha256 not in there)


def _check_slim(ctx: Context[Any]) -> None:
    for number, name in enumerate(ctx.attributes.slim):
        if name not in SLIM:
            raise ctx.error(
                f"nothing is called {name!r} that could be left out", key=f"slim[{number}]",
                expected=f"of: {', '.join(SLIM)}", remedy=did_you_mean(name, SLIM),
            )  # fmt: skip


def _component_cache(ctx: Context[Any]) -> str:
    from tritonbuild.oci.registry import Reference

    text: str = ctx.attributes.component_cache or ""
    try:
        return str(Reference.parse(text)) if text else ""
    except OciError as error:
        problem = error.problem
        raise ctx.error(
            problem.found, key="component_cache", expected="REGISTRY/REPOSITORY",
            remedy=problem.remedy,
        ) from None  # fmt: skip
