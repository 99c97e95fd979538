"""A layer as a tool's output: a folder that any later step can take.

layer.json   {"descriptor", "diffId", "by"}: `by` says what put it there
listing      what it holds
blob         its bytes; or, where nobody has to store them:
recipe       how to make them, of
contents/    HEX: contents by their digests
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from tritonbuild.digest import CHUNK, Digest
from tritonbuild.merkle import File, Folder
from tritonbuild.oci.compression import LIBRARIES, Compression, compressing
from tritonbuild.oci.documents import Descriptor, Name, encode
from tritonbuild.oci.listing import Listing, listing_of
from tritonbuild.oci.tar import Member, recipe_of
from tritonbuild.tools import ToolContext

MAKERS = (*LIBRARIES, "layer=1")
"""What decides a layer's bytes, for the versions of tools that make some: `layer` rises when
`write_layer` would make other bytes, or another listing, of the same members."""
DESCRIPTION, LISTING, BLOB, RECIPE, CONTENTS = "layer.json", "listing", "blob", "recipe", "contents"


class MadeLayer(BaseModel):
    """layer.json."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True
    )

    descriptor: Descriptor
    diff_id: Name
    by: str


class Hashing:
    """A file to write to that only keeps the digest."""

    def __init__(self, target: BinaryIO | None = None) -> None:
        self._sha = hashlib.sha256()
        self._size = 0
        self._target = target

    def write(self, content: Any) -> int:
        self._sha.update(content)
        self._size += len(content)
        if self._target is not None:
            self._target.write(content)
        return len(content)

    def flush(self) -> None:
        if self._target is not None:
            self._target.flush()

    @property
    def digest(self) -> Digest:
        return Digest(self._sha.hexdigest(), self._size)


def write_layer(
    ctx: ToolContext,
    path: str,
    members: Iterable[Member],
    by: str,
    compression: Compression = Compression.NONE,
    annotations: dict[str, str] | None = None,
) -> MadeLayer:
    """Makes a layer of members, whose contents the tool has as inputs or has written, and puts it
    into the tool's outputs as a folder at `path`. Weights are read once and stored nowhere."""
    listed = list(members)
    recipe = recipe_of(listed)
    diff, blob = Hashing(), None
    if compression is Compression.NONE:
        with recipe.open(ctx) as tar:
            _stream(tar, diff.write, ctx)
    else:
        file = ctx.scratch / hashlib.sha256(path.encode()).hexdigest()
        with file.open("wb") as target, recipe.open(ctx) as tar:
            blob = Hashing(target)
            with compressing(blob, compression) as packed:  # type: ignore[arg-type]

                def write(content: bytes) -> None:
                    diff.write(content)
                    packed.write(content)

                _stream(tar, write, ctx)
        ctx.adopt(f"{path}/{BLOB}", file)
    descriptor = Descriptor.of(
        compression.media_type, (blob or diff).digest, annotations=annotations
    )
    made = MadeLayer(descriptor=descriptor, diff_id=f"sha256:{diff.digest.hash}", by=by)
    if blob is None:
        ctx.write(f"{path}/{RECIPE}", recipe.encoded)
        contents = {digest.hash: File(digest) for digest in recipe.contents}
        ctx.link(f"{path}/{CONTENTS}", Folder(contents))
    describe_layer(ctx, path, made, listing_of(listed))
    return made


def describe_layer(ctx: ToolContext, path: str, made: MadeLayer, listing: Listing) -> None:
    """Writes what stands beside a layer's bytes."""
    ctx.write(f"{path}/{DESCRIPTION}", encode(made.model_dump(by_alias=True, exclude_none=True)))
    ctx.write(f"{path}/{LISTING}", listing.encoded)


def _stream(tar: BinaryIO, write: Callable[[bytes], object], ctx: ToolContext) -> None:
    from tritonbuild.errors import Interrupted

    while piece := tar.read(CHUNK):
        write(piece)
        if ctx.cancelled:
            raise Interrupted()
