"""What is wrong with an image as its manifest has it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tritonbuild.oci import OciError, Platform
from tritonbuild.oci.registry.reference import Reference
from tritonbuild.rule import Context, did_you_mean, dotted

from ..debian.base import ARCHITECTURES
from ..distribution import DistributionInfo

USER = r"([A-Za-z_][A-Za-z0-9_.-]*|[0-9]+)(:([A-Za-z_][A-Za-z0-9_.-]*|[0-9]+))?"


def check_alone(ctx: Context[Any]) -> None:
    """What the table alone tells. Raises AnalysisError."""
    attributes = ctx.attributes
    if not re.fullmatch(USER, attributes.user):
        raise ctx.error(f"{attributes.user!r} is no user", key="user", expected="as passwd(5) has")
    if not re.fullmatch(r"SIG[A-Z0-9+-]+|[1-9]\d?", attributes.stop_signal):
        found = f"{attributes.stop_signal!r} is no signal"
        raise ctx.error(found, key="stop_signal", expected="such as SIGTERM")
    health = attributes.healthcheck
    if isinstance(health, list) and health[:1] not in (["CMD"], ["CMD-SHELL"], ["NONE"]):
        raise ctx.error(
            f"a health check that begins with {health[:1]}",
            key="healthcheck",
            expected='["CMD", PROGRAM, …], ["CMD-SHELL", SCRIPT] or ["NONE"]',
        )
    if attributes.command is not None and attributes.server:
        found = "`server` beside `command`, which stands instead of it"
        raise ctx.error(found, key="server", expected="one of the two")
    try:
        platform = Platform.of(attributes.platform)
    except ValueError as error:
        raise ctx.error(str(error), key="platform", expected="such as linux/arm64") from None
    if platform.os != "linux":
        raise ctx.error(f"{platform} is no Linux", key="platform", expected="linux/…")
    for path in attributes.files:
        if not path.startswith("/") or {"..", "."} & set(path.split("/")):
            raise ctx.error(
                f"{path!r} is no path in the image",
                key=f"files.{dotted((path,))}",
                expected="such as /etc/x",
            )
    for port in attributes.ports:
        if not 0 < port < 1 << 16:
            raise ctx.error(f"{port} is no port", key="ports", expected="1 to 65535")
    for name in attributes.env:
        if not name or "=" in name:
            raise ctx.error(f"{name!r} is no name of a variable", key="env")


def check_tags(ctx: Context[Any]) -> None:
    """Whether they name images, whatever stands in the place of `{git.*}`; a date, which has `:`
    and `+`, fits nowhere."""
    for number, tag in enumerate(ctx.attributes.tags):
        key = f"tags[{number}]"
        try:
            Reference.parse(re.sub(r"\{git\.(?!date)\w+\}", "x", ctx.stampable(tag, key)))
        except OciError as error:
            wrong = error.problem
            found = f"{tag!r} names no image"
            raise ctx.error(found, key=key, expected=wrong.expected, remedy=wrong.remedy) from None


def check_platform(ctx: Context[Any], distribution: DistributionInfo) -> None:
    """Whether the server runs there. Raises AnalysisError."""
    wanted = Platform.of(ctx.attributes.platform)
    if distribution.images is not None:
        platform = distribution.images.platform
        if not Platform.of(platform).fits(wanted):
            found = f"the image is for {wanted}, and {distribution.name} for {platform}"
            raise ctx.error(found, key="platform", expected="one platform for both")
        return
    machine = distribution.on_host(ctx).python.platform.partition("-")[0]
    _, asked = ARCHITECTURES.get(f"{wanted.os}/{wanted.architecture}", ("", ""))
    if asked != machine:
        platforms = [name for name, (_, wheels) in ARCHITECTURES.items() if wheels == machine]
        told = " and ".join(platforms)
        raise ctx.error(
            f"the image is for {wanted}, and the server of {distribution.name} for {told}",
            key="platform",
            expected=f"{told}, or a form without a server, such as modelcar",
        )


def check_loaded(ctx: Context[Any], carried: Sequence[str], said: Any) -> None:
    names = said if isinstance(said, list) else [said]
    if "*" in names and len(names) > 1:
        found = "`*`, which is all models, and others"
        raise ctx.error(found, key="server.load_model", expected="it alone, or names")
    for name in names:
        if name not in (*carried, "*"):
            found = f"the image carries no model {name!r}"
            remedy = did_you_mean(str(name), carried)
            raise ctx.error(found, key="server.load_model", remedy=remedy)
