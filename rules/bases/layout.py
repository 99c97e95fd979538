"""The `base-layout` tool: a base that lies in the workspace, as an OCI layout or as an archive: of
one, or by `docker save`."""

from __future__ import annotations

import shutil
from functools import partial
from typing import Any

from tritonbuild.oci import Layer, OciError, Platform, image_in
from tritonbuild.oci.archive import Archive
from tritonbuild.oci.layout import layout_index, named
from tritonbuild.oci.sparse import BLOBS
from tritonbuild.rule import ActionError, Context, Folder, ToolContext, tool

from ..base_info import IMAGE, BaseInfo
from .image import Given, Indexed, said, write_base, wrong
from .index import read_layer

_LAYOUT = "layout"
_PIECE = 1 << 20


def layout_base(ctx: Context[Any]) -> BaseInfo:
    """Declares a base."""
    attributes = ctx.attributes
    made = ctx.tool(
        make_layout_base,
        parameters={"ref": attributes.ref, **said(ctx)},
        hints={"path": attributes.layout.text},
        inputs={_LAYOUT: ctx.source(attributes.layout)},
        outputs=[IMAGE],
    )
    return BaseInfo(ctx.label, made[IMAGE])


@tool("base-layout", version=1)
def make_layout_base(ctx: ToolContext) -> None:
    """Input `layout`, a folder or a file; parameters `ref`, the name of an image in it (empty: the
    only one), `platform` and `glibc`; output `image`, a sparse layout. Of a folder nothing is
    copied."""
    what, ref = ctx.hints.get("path", "the layout"), ctx.parameters["ref"]
    platform = Platform.of(ctx.parameters["platform"])
    try:
        if isinstance(ctx.inputs.get(_LAYOUT), Folder):
            top = Given(ctx, _LAYOUT, what)
            given = Given(ctx, f"{_LAYOUT}/{BLOBS}", what)
            descriptor = named(layout_index(top.file, what), ref, what)
            image = image_in(given, descriptor, platform)
            write_base(ctx, image, partial(_in_place, ctx, given))
        else:
            archive = Archive(ctx.path(_LAYOUT))
            image = image_in(archive, archive.descriptor(ref), platform)
            write_base(ctx, image, partial(_taken_out, ctx))
    except OciError as error:
        raise ActionError(wrong(error, what)) from None


def _in_place(ctx: ToolContext, given: Given, layer: Layer) -> Indexed:
    entry = given.entry(layer.descriptor)
    with given.open(layer.descriptor) as blob:
        found = read_layer(ctx, blob)
    return Indexed(entry, found.listing, found.tar)


def _taken_out(ctx: ToolContext, layer: Layer) -> Indexed:
    name = layer.descriptor.content.hash
    file = ctx.scratch / name
    with layer.open() as blob, file.open("wb") as target:
        shutil.copyfileobj(blob, target, _PIECE)
    with file.open("rb") as blob:
        found = read_layer(ctx, blob)
    return Indexed(ctx.adopt(f"{IMAGE}/{BLOBS}/{name}", file), found.listing, found.tar)
