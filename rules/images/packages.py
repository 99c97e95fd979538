"""Debian packages that an image has besides its base."""

from __future__ import annotations

from typing import Any

from tritonbuild.rule import Context

from ..base_info import BaseInfo
from ..debian.more import REPLACES, more_packages
from ..origins.fetch import gather_files
from .layers import LayerGroup


def with_packages(ctx: Context[Any], base: BaseInfo) -> tuple[BaseInfo, list[LayerGroup]]:
    """Declares them: the base as it is with them, and their layers."""
    if not ctx.attributes.packages:
        return base, []
    base, layers = more_packages(ctx, base, ctx.attributes.packages)
    if not layers:
        return base, []
    made = ctx.tool(
        gather_files,
        name="layers of packages",
        inputs={f"files/{number:03}": layer for number, layer in enumerate(layers)},
        outputs=["tree"],
    )
    return base, [LayerGroup("Debian packages", made["tree"], REPLACES)]
