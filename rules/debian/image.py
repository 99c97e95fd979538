"""The `deb-base` tool: layers of Debian packages as an image."""

from __future__ import annotations

from tritonbuild.oci import ImageConfig, Platform, Root
from tritonbuild.oci.assemble import MAKERS, Assembly, write_image
from tritonbuild.oci.documents import Execution
from tritonbuild.oci.listing import Listing
from tritonbuild.oci.made import DESCRIPTION, LISTING, MadeLayer
from tritonbuild.rule import ActionError, Folder, Problem, ToolContext, tool

from ..base_info import IMAGE

_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@tool("deb-base", version=1, libraries=MAKERS)
def make_deb_base(ctx: ToolContext) -> None:
    """Inputs `layers/NNN`, from the lowest up; output `image`. Raises ActionError where a layer
    would replace another's file."""
    platform = Platform.of(ctx.parameters["platform"])
    layers = ctx.inputs.get("layers")
    assert isinstance(layers, Folder)
    assembly, root, added = Assembly(ctx, IMAGE), Root(), []
    for name, folder in sorted(layers.entries.items()):
        assert isinstance(folder, Folder)
        made = MadeLayer.model_validate_json(ctx.read(f"layers/{name}/{DESCRIPTION}"))
        for clash in root.put(Listing.decode(ctx.read(f"layers/{name}/{LISTING}"))):
            if not clash.below.kind == clash.above.kind == "folder":
                raise ActionError(
                    Problem(
                        f"/{clash.path} of {made.by} is in another package too",
                        "packages that can be installed together",
                    )
                )
        assembly.take_layer(folder, made)
        added.append(made)
    config = ImageConfig(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        config=Execution(env=[_PATH]),
    )
    assembly.finish(write_image(assembly, config, None, added))
