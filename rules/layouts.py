"""Images as tools have them as inputs: sparse layouts, and folders of made layers."""

from __future__ import annotations

from collections.abc import Iterator

from tritonbuild.oci import Image, Platform, Root, View
from tritonbuild.oci.listing import Listing
from tritonbuild.oci.made import DESCRIPTION, LISTING, MadeLayer
from tritonbuild.oci.sparse import Sparse
from tritonbuild.rule import Folder, ToolContext

LAYERS = "layers"
"""What tools that make layers call their output: NNN → a made layer."""


def image_of(folder: Folder, ctx: ToolContext, platform: str = "") -> tuple[Sparse, Image]:
    """The image in a sparse layout."""
    sparse = Sparse(folder, ctx)
    wanted = Platform.of(platform) if platform else sparse.descriptor.platform
    assert wanted is not None, "we write it"
    return sparse, sparse.image(wanted)


def view_of(sparse: Sparse, image: Image) -> View:
    """What is in it, from its listings."""
    return View(image, lambda layer: sparse.listing(layer.diff_id))


def root_of(folder: Folder, ctx: ToolContext) -> Root:
    """The file system of an image."""
    return view_of(*image_of(folder, ctx)).root


def made_layers(ctx: ToolContext, path: str) -> Iterator[tuple[Folder, MadeLayer, Listing]]:
    """Each layer of a folder of them, in order, and what it holds."""
    folder = ctx.inputs.get(path)
    assert isinstance(folder, Folder)
    for name, made in sorted(folder.entries.items()):
        assert isinstance(made, Folder)
        description = ctx.read(f"{path}/{name}/{DESCRIPTION}")
        listing = Listing.decode(ctx.read(f"{path}/{name}/{LISTING}"))
        yield made, MadeLayer.model_validate_json(description), listing


def names(ctx: ToolContext, path: str) -> list[str]:
    """Of what lies in a folder of inputs; empty where there is none."""
    folder = ctx.inputs.get(path)
    return sorted(folder.entries) if isinstance(folder, Folder) else []
