"""Images to make bills of: layers of texts, as the tools of a build write them."""

from __future__ import annotations

from collections.abc import Mapping

from tritonbuild.rules.layouts import made_layers

from parts.bench import Bench
from tritonbuild.merkle import Entry, Folder
from tritonbuild.oci import ImageConfig, Member
from tritonbuild.oci.assemble import Assembly, write_image
from tritonbuild.oci.made import write_layer
from tritonbuild.oci.sparse import Sparse
from tritonbuild.tools import ToolContext, tool


def image(
    bench: Bench, *layers: Mapping[str, str], annotations: Mapping[str, str] | None = None
) -> Folder:
    """A sparse layout of one; each layer as path → content."""
    parameters = {"annotations": annotations}
    inputs = made(bench, *layers)
    result = bench.run(_image, parameters=parameters, inputs=inputs, outputs=["image"])
    folder = result.outputs["image"]
    assert isinstance(folder, Folder)
    return folder


def made(bench: Bench, *layers: Mapping[str, str]) -> dict[str, Entry]:
    """`layers/NNN` → a made layer."""
    entries: dict[str, Entry] = {}
    for number, files in enumerate(layers):
        result = bench.run(_layer, parameters={"files": files}, outputs=["layer"])
        entries[f"layers/{number:03}"] = result.outputs["layer"]
    return entries


def layers(bench: Bench, folder: Folder) -> list[str]:
    """The digests of an image's layers, from the lowest up."""
    sparse = Sparse(folder, bench.cache)
    platform = sparse.descriptor.platform
    assert platform is not None
    return [layer.descriptor.digest for layer in sparse.image(platform).layers]


@tool("bill-test-layer", version=1)
def _layer(ctx: ToolContext) -> None:
    files = ctx.parameters["files"].items()
    members = [Member(path, content=text.encode(errors="surrogateescape")) for path, text in files]
    write_layer(ctx, "layer", members, by="a test")


@tool("bill-test-image", version=1)
def _image(ctx: ToolContext) -> None:
    assembly, added = Assembly(ctx, "image"), []
    for folder, layer, _ in made_layers(ctx, "layers"):
        assembly.take_layer(folder, layer)
        added.append(layer)
    config = ImageConfig(architecture="amd64", os="linux", created="2024-05-06T07:08:09Z")
    assembly.finish(write_image(assembly, config, None, added, ctx.parameters["annotations"]))
