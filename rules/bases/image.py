"""The `base-image` tool: an image from elsewhere as it is, its documents to the byte, and beside
it what each of its layers holds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

from tritonbuild.oci import (
    Absent,
    Compression,
    Descriptor,
    Image,
    Invalid,
    Layer,
    Listing,
    OciError,
    Platform,
    Refused,
    Root,
)
from tritonbuild.oci.assemble import Assembly
from tritonbuild.oci.documents import MANIFEST
from tritonbuild.oci.made import BLOB, LISTING, MadeLayer
from tritonbuild.rule import (
    ActionError,
    Context,
    File,
    Folder,
    Output,
    Problem,
    ToolContext,
    tool,
)

from ..base_info import IMAGE
from .index import BLOB as INDEX_INPUT
from .index import TAR, Tar, index_blob

_BLOBS, _INDEXED = "blobs", "indexed"
MANIFEST_FILE, CONFIG_FILE, LAYERS = "manifest.json", "config.json", "layers"
"""What triton.lock calls the parts of an image; its layers are `layers/NNN`."""


@dataclass(frozen=True)
class Indexed:
    """A layer's blob, and what was found in it."""

    blob: File
    listing: Listing
    tar: Tar


@dataclass(frozen=True)
class Given:
    """Implements Content: blobs that a tool has as inputs, in a folder by their digests."""

    ctx: ToolContext
    folder: str
    what: str
    """Of which the folder is a part, for people."""

    def open(self, descriptor: Descriptor) -> BinaryIO:
        return self.file(descriptor.content.hash)

    def file(self, name: str) -> BinaryIO:
        try:
            return self.ctx.open(f"{self.folder}/{name}")
        except KeyError:
            raise Absent(f"{self.what} holds no {name}") from None

    def entry(self, descriptor: Descriptor) -> File:
        """Raises Absent, and Invalid where the file is not what its name says."""
        entry = self.ctx.inputs.get(f"{self.folder}/{descriptor.content.hash}")
        if not isinstance(entry, File):
            raise Absent(f"{self.what} holds no {descriptor.content.hash}")
        if entry.digest != descriptor.content:
            there = f"sha256:{entry.digest.hash} with {entry.digest.size} bytes"
            raise Invalid(
                f"{self.what}: the file {descriptor.content.hash} is {there}",
                expected=f"{descriptor.digest} with {descriptor.size} bytes",
            )
        return entry


def said(ctx: Context[Any]) -> dict[str, str]:
    """What the manifest says of a base, for the tool that looks at it."""
    attributes = ctx.attributes
    return {"glibc": attributes.glibc or "", "platform": attributes.platform}


def base_image(
    ctx: Context[Any], manifest: str, blobs: Mapping[str, Output], layers: Iterable[str]
) -> Output:
    """Declares the making of a base from all its blobs, by their SHA-256. `manifest` is one of
    them, and so are the layers."""
    inputs = {f"{_BLOBS}/{hash}": blob for hash, blob in blobs.items()}
    for hash in sorted(layers):
        made = ctx.tool(
            index_blob,
            name=f"index layer {hash[:12]}",
            inputs={INDEX_INPUT: blobs[hash]},
            outputs=[LISTING, TAR],
        )
        inputs |= {f"{_INDEXED}/{hash}/{name}": made[name] for name in (LISTING, TAR)}
    made = ctx.tool(
        make_base,
        parameters={"manifest": manifest, **said(ctx)},
        inputs=inputs,
        outputs=[IMAGE],
    )
    return made[IMAGE]


@tool("base-image", version=1)
def make_base(ctx: ToolContext) -> None:
    """Inputs `blobs/HEX`, and of those that are layers `indexed/HEX`; output `image`, a sparse
    layout."""
    given = Given(ctx, _BLOBS, "triton.lock's image")
    entry = ctx.inputs.get(f"{_BLOBS}/{ctx.parameters['manifest']}")
    assert isinstance(entry, File), "declared"

    def indexed(layer: Layer) -> Indexed:
        blob = given.entry(layer.descriptor)
        found = f"{_INDEXED}/{blob.digest.hash}"
        tar = Tar.model_validate_json(ctx.read(f"{found}/{TAR}"))
        return Indexed(blob, Listing.decode(ctx.read(f"{found}/{LISTING}")), tar)

    write_base(ctx, Image(given, Descriptor.of(MANIFEST, entry.digest)), indexed)


def write_base(ctx: ToolContext, image: Image, indexed: Callable[[Layer], Indexed]) -> None:
    """Writes the output `image`. Raises ActionError with every fault."""
    assembly, root, problems = Assembly(ctx, IMAGE), Root(), []
    try:
        check(image, Platform.of(ctx.parameters["platform"]))
    except OciError as error:
        raise ActionError(error.problem) from None
    for layer in image.layers:
        try:
            one = indexed(layer)
            _check_layer(layer, one.tar)
            root.put(one.listing)
        except OciError as error:
            problems.append(wrong(error, f"layer {layer.descriptor.digest}"))
            continue
        listing = File(ctx.put(one.listing.encoded))
        made = MadeLayer(descriptor=layer.descriptor, diff_id=layer.diff_id, by="")
        assembly.take_layer(Folder({BLOB: one.blob, LISTING: listing}), made)
    problems += _newer_glibc(root, ctx.parameters["glibc"])
    if problems:
        raise ActionError(*problems)
    assembly.write_blob(image.manifest.config.media_type, image.config_bytes)
    platform = image.config.platform
    manifest = image.manifest.media_type, image.manifest_bytes
    assembly.finish(assembly.write_blob(*manifest, platform=platform))


def _newer_glibc(root: Root, said: str) -> Iterator[Problem]:
    """Wheels that need a newer one than there is would fail when they are imported."""
    status = root.text("var/lib/dpkg/status") or ""
    found = re.search(
        r"^Package: libc6$.*?^Version: (\d+)\.(\d+)", status, re.MULTILINE | re.DOTALL
    )
    if found and said and tuple(map(int, said.split("."))) > (int(found[1]), int(found[2])):
        there = f"{found[1]}.{found[2]}"
        yield Problem(
            f"the base has glibc {there}", f"{said}, as the manifest says",
            f'say glibc = "{there}"', key="glibc",
        )  # fmt: skip


def check(image: Image, platform: Platform) -> None:
    """Whether images can stand on it, as far as its documents tell. Raises OciError."""
    if not image.config.platform.fits(platform):
        raise Absent(f"the image is for {image.config.platform}", f"one for {platform}")
    for layer in image.layers:
        kind = layer.descriptor.media_type
        if "nondistributable" in kind or ".foreign." in kind:
            raise Refused(
                f"layer {layer.descriptor.digest} may not be passed on ({kind})",
                "layers that registries hold",
                "take a base without it: images that stand on it could not be pushed",
            )
        Compression.of(kind)


def _check_layer(layer: Layer, tar: Tar) -> None:
    said = Compression.of(layer.descriptor.media_type)
    if tar.compression is not said:
        raise Invalid(
            f"its compression is {tar.compression}", expected=f"{said}, as its media type says"
        )
    if tar.diff_id != layer.diff_id:
        raise Invalid(
            f"it has the diff id {tar.diff_id}",
            expected=f"{layer.diff_id}, as the image's config says",
        )


def wrong(error: OciError, what: str) -> Problem:
    """An error of a place, told with what was wanted of it."""
    problem = error.problem
    return Problem(f"{what}: {problem.found}", problem.expected, problem.remedy)
