"""The `bases` rule: root file systems that images stand on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from tritonbuild.oci import Platform
from tritonbuild.rule import Context, Field, Files, ImageInfo, Rule, SourceRef

from .base_info import IMAGE, BaseInfo


class Bases(Rule):
    """A root file system that images stand on: Debian packages, with neither apt nor root; or an
    image from a registry, the workspace or the Docker daemon; or nothing."""

    table = "bases"
    provides = (BaseInfo, Files, ImageInfo)

    class Attributes(Rule.Attributes):
        debian: str | None = Field(
            default=None, description="A Debian release: `bookworm` or `trixie`."
        )
        packages: list[str] = Field(
            default=[],
            description="With `debian`: names of packages, or `NAME=VERSION`; what they depend on "
            "comes along, what they recommend does not. triton.lock pins them all.",
        )
        image: str | None = Field(
            default=None,
            description="An image in a registry, `registry.example/repo:tag`; triton.lock pins "
            "what the tag means.",
        )
        layout: SourceRef | None = Field(
            default=None,
            description="A folder of the workspace that is an OCI layout; or an archive of one, or "
            "what `docker save` writes.",
        )
        ref: str = Field(
            default="", description="With `layout`: the name of an image, where it holds several."
        )
        daemon: str | None = Field(
            default=None,
            description="An image that Docker has here, `name:tag`; triton.lock pins which.",
        )
        scratch: bool = Field(default=False, description="Nothing at all.")
        platform: str = Field(default="linux/amd64", description="Such as `linux/arm64`.")
        python: str | None = Field(
            default=None,
            description="The Python of a base from elsewhere, such as `3.10`: what an image's "
            "requirements are resolved for.",
        )
        glibc: str | None = Field(
            default=None, description="Likewise its C library, such as `2.35`."
        )

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        base = _base(ctx)
        yield base
        yield ImageInfo(base.image, origins=base.origins)


def _base(ctx: Context[Any]) -> BaseInfo:
    attributes = ctx.attributes
    named = [name for name in _SOURCES if getattr(attributes, name)]
    if len(named) != 1:
        told = " and ".join(f"`{name}`" for name in named) or "nothing that says where it is from"
        expected = f"exactly one of: {', '.join(_SOURCES)}"
        raise ctx.error(told, key=named[1] if named else "", expected=expected)
    (source,) = named
    _check(ctx, source)
    return _SOURCES[source](ctx)


def _check(ctx: Context[Any], source: str) -> None:
    """What belongs to another source, and what cannot be."""
    attributes = ctx.attributes
    for key, whose in (("packages", "debian"), ("ref", "layout")):
        if getattr(attributes, key) and source != whose:
            remedy = "say `packages` in the image that stands on it" if key == "packages" else ""
            found = f"`{key}` with `{source}`"
            raise ctx.error(found, key=key, expected=f"it with `{whose}` only", remedy=remedy)
    for key, form in (("python", r"3\.\d{1,2}"), ("glibc", r"2\.\d{1,2}")):
        text = getattr(attributes, key)
        if text is None:
            continue
        if source == "debian":
            raise ctx.error(f"`{key}` with `debian`, whose packages tell it", key=key)
        if not re.fullmatch(form, text):
            raise ctx.error(f"{text!r} is no version", key=key, expected=f"such as {_LIKE[key]}")
    try:
        Platform.of(attributes.platform)
    except ValueError as error:
        raise ctx.error(str(error), key="platform", expected="such as linux/arm64") from None


_LIKE = {"python": "3.10", "glibc": "2.35"}


def _from_debian(ctx: Context[Any]) -> BaseInfo:
    from .debian.base import debian_base

    attributes = ctx.attributes
    if not attributes.packages:
        raise ctx.error("a base of no packages", key="packages", expected="one at least")
    return debian_base(ctx, attributes.debian, attributes.packages, attributes.platform)


def _from_registry(ctx: Context[Any]) -> BaseInfo:
    from .bases.registry import registry_base

    return registry_base(ctx, ctx.attributes.image, "image")


def _from_layout(ctx: Context[Any]) -> BaseInfo:
    from .bases.layout import layout_base

    return layout_base(ctx)


def _from_daemon(ctx: Context[Any]) -> BaseInfo:
    from .bases.daemon import daemon_base

    return daemon_base(ctx)


def _from_scratch(ctx: Context[Any]) -> BaseInfo:
    from .bases.scratch import make_scratch

    parameters = {"platform": ctx.attributes.platform}
    return BaseInfo(
        ctx.label, ctx.tool(make_scratch, parameters=parameters, outputs=[IMAGE])[IMAGE]
    )


def _said(source: Callable[[Context[Any]], BaseInfo]) -> Callable[[Context[Any]], BaseInfo]:
    """A base of which the manifest says what analysis cannot know."""

    def base(ctx: Context[Any]) -> BaseInfo:
        from .debian.base import ARCHITECTURES

        attributes = ctx.attributes
        _, machine = ARCHITECTURES.get(attributes.platform, ("", ""))
        glibc = attributes.glibc and machine
        return replace(
            source(ctx),
            platform=attributes.platform,
            python=attributes.python or "",
            wheels=f"{machine}-linux-gnu{attributes.glibc}" if glibc else "",
        )

    return base


_SOURCES: Mapping[str, Callable[[Context[Any]], BaseInfo]] = {
    "debian": _from_debian,
    "image": _said(_from_registry),
    "layout": _said(_from_layout),
    "daemon": _said(_from_daemon),
    "scratch": _said(_from_scratch),
}
"""Attribute that says where a base is from → what declares it."""
