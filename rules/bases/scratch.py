"""The `base-scratch` tool: an image without layers."""

from __future__ import annotations

from tritonbuild.oci import ImageConfig, Platform
from tritonbuild.oci.assemble import MAKERS, Assembly, write_image
from tritonbuild.rule import ToolContext, tool

from ..base_info import IMAGE


@tool("base-scratch", version=1, libraries=MAKERS)
def make_scratch(ctx: ToolContext) -> None:
    """Parameter `platform`; output `image`, a sparse layout."""
    platform = Platform.of(ctx.parameters["platform"])
    config = ImageConfig(
        architecture=platform.architecture, os=platform.os, variant=platform.variant
    )
    assembly = Assembly(ctx, IMAGE)
    assembly.finish(write_image(assembly, config, None, []))
