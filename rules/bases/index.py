"""The `index-layer` tool: what a layer of a base holds. Its key is the blob alone, so that a
layer is read once, whatever image it comes in."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import BinaryIO

from pydantic import BaseModel, ConfigDict

from tritonbuild.oci import Compression, Invalid, Listing
from tritonbuild.oci.compression import decompressed
from tritonbuild.oci.indexing import allowed, index_layer
from tritonbuild.oci.made import LISTING
from tritonbuild.rule import ActionError, ToolContext, tool

BLOB = "blob"
TAR = "tar.json"


class Tar(BaseModel):
    """What a blob is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    diff_id: str
    compression: Compression


@dataclass(frozen=True)
class Indexed:
    tar: Tar
    listing: Listing


@tool("index-layer", version=2)
def index_blob(ctx: ToolContext) -> None:
    """Input `blob`, a tar, compressed or not; outputs `listing` and tar.json. Raises ActionError
    with the faults of a layer that is hostile or damaged."""
    with ctx.open(BLOB) as blob:
        try:
            indexed = read_layer(ctx, blob)
        except Invalid as error:
            raise ActionError(error.problem) from None
    ctx.write(LISTING, indexed.listing.encoded)
    ctx.write(TAR, indexed.tar.model_dump_json().encode())


def read_layer(ctx: ToolContext, blob: BinaryIO) -> Indexed:
    """Of a file, from its beginning to its end. Raises Invalid."""

    def check() -> None:
        if ctx.cancelled:
            raise ActionError("stopped")

    size = blob.seek(0, io.SEEK_END)
    blob.seek(0)
    compression = Compression.seen(blob.read(4))
    blob.seek(0)
    limit = size if compression is Compression.NONE else allowed(size)
    with io.BufferedReader(_Hashed(decompressed(blob, compression)), 1 << 20) as tar:
        hashed = tar.raw
        listing = index_layer(tar, limit, check)
    assert isinstance(hashed, _Hashed)
    return Indexed(
        Tar(diff_id=f"sha256:{hashed.sha.hexdigest()}", compression=compression), listing
    )


class _Hashed(io.RawIOBase):
    """Cannot seek: all of it is read."""

    def __init__(self, below: BinaryIO):
        self._below = below
        self.sha = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # as io calls it
        content = self._below.read(len(buffer))
        self.sha.update(content)
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        self._below.close()
        super().close()
