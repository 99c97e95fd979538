"""The `image-shell` tool: a static shell as a layer, for images that have nothing else."""

from __future__ import annotations

from tritonbuild.oci import Compression, Member
from tritonbuild.oci.made import MAKERS, write_layer
from tritonbuild.rule import ActionError, Problem, ToolContext, tool

from ..layouts import LAYERS
from ..python.debian import members

APPLETS = ("ln", "sh", "sleep")
"""What KServe starts in a modelcar."""


@tool("image-shell", version=1, libraries=MAKERS)
def make_shell(ctx: ToolContext) -> None:
    """Input `deb`, Debian's busybox-static; output `layers`."""
    with ctx.open("deb") as package:
        found = (m.content.read() for m in members(package) if m.path.endswith("bin/busybox"))
        program = next(found, None)
    if program is None:
        raise ActionError(Problem("the package has no busybox", "Debian's busybox-static"))
    epoch = ctx.parameters["epoch"]
    links = [Member(f"bin/{n}", "link", 0o777, mtime=epoch, target="busybox") for n in APPLETS]
    write_layer(
        ctx,
        f"{LAYERS}/000",
        [
            Member("bin", "folder", 0o755, mtime=epoch),
            Member("bin/busybox", mode=0o755, mtime=epoch, content=program),
            *links,
        ],
        "static shell",
        Compression.GZIP,
    )
