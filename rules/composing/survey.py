"""The `survey-layer` tool: what a layer of `full` holds and what of it is linked to what, in one
pass over its blob. Nothing of it is stored but what is cut out on the way."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import BinaryIO

from tritonbuild.oci import Compression, Listing, OciError
from tritonbuild.oci.content import verified
from tritonbuild.oci.indexing import Watch, allowed, index_layer
from tritonbuild.oci.slices import MAKERS, Slicing
from tritonbuild.oci.untar import Head
from tritonbuild.rule import ActionError, ToolContext, tool

from ..bases.image import wrong
from ..bases.registry import failed
from ..linking.facts import LINKAGE, Elves
from .early import Early
from .packages import Texts
from .place import blobs_of
from .shared import shared, tag

SURVEY = "survey"
LISTING, SPANS, TEXTS, FORM, POINTS = "listing", "spans.json", "texts.json", "form.json", "points"


class Spans:
    """Where in the tar each entry of a listing begins, and its content."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int]] = []

    def member(self, path: str, head: Head) -> None:
        self.spans.append((head.begin, head.offset))

    def content(self, piece: bytes) -> None:
        pass


class _All:
    """Implements Watch: several, one after the other."""

    def __init__(self, watches: Sequence[Watch]):
        self._watches = watches

    def member(self, path: str, head: Head) -> None:
        for watch in self._watches:
            watch.member(path, head)

    def content(self, piece: bytes) -> None:
        for watch in self._watches:
            watch.content(piece)


@tool("survey-layer", version=2, libraries=(*MAKERS, "zstandard"))
def survey_layer(ctx: ToolContext) -> None:
    """Parameter `sha256`; input facts.json, so that nothing is read of images that do not go
    together; output `survey`, a folder with `listing`, spans.json (of each entry where
    it and its content begin in the tar), linkage.json, texts.json (what dpkg keeps of packages),
    `points` (from where the tar can be read) and form.json (whether it is one piece of gzip). The
    hint `wanted` names selections to cut out on the way, for `cut-component` to find."""
    sha256 = ctx.parameters["sha256"]
    name = tag("survey", survey_layer.version, sha256)
    with blobs_of(ctx) as blobs, shared(ctx) as cache:
        try:
            known = cache.get(name) if cache else None
            if cache and known is not None:
                made = {file: cache.read(there) for file, there in known.items()}
            else:
                descriptor = blobs.descriptor(sha256)
                with verified(blobs.source(sha256), descriptor) as stream:
                    made = _survey(ctx, stream, descriptor.size)
                if cache:
                    cache.put(name, made)
        except OciError as error:
            raise failed(error, wrong(error, f"layer sha256:{sha256}")) from None
    for file, content in made.items():
        ctx.write(f"{SURVEY}/{file}", content)


def _survey(ctx: ToolContext, stream: BinaryIO, size: int) -> dict[str, bytes]:
    from zstandard import ZstdCompressor

    assert isinstance(stream, io.BufferedReader)
    compression = Compression.seen(stream.peek(4)[:4])

    def check() -> None:
        if ctx.cancelled:
            raise ActionError("stopped")
        ctx.progress(stream.raw.tell(), size)

    limit = size if compression is Compression.NONE else allowed(size)
    slicing = Slicing(stream, size, compression, ahead=True)
    spans, texts, elves = Spans(), Texts(), Elves(ctx.scratch, again=True)
    with io.BufferedReader(slicing, 1 << 20) as tar:
        early = Early(ctx, slicing)
        listing = index_layer(tar, limit, check, _All((spans, texts, elves, early)))
        while not stream.closed and stream.read(1 << 20):  # to its end, where it is verified
            pass
        early.keep()
        points = slicing.index
    _look_again(ctx, elves, listing, spans, points, size)
    return {
        LISTING: listing.encoded,
        SPANS: json.dumps(spans.spans).encode(),
        LINKAGE: elves.linkage.encoded,
        POINTS: ZstdCompressor().compress(points),
        FORM: json.dumps({"one": slicing.is_right}).encode(),
        TEXTS: json.dumps(texts.texts, sort_keys=True).encode(),
    }


def _look_again(
    ctx: ToolContext, elves: Elves, listing: Listing, spans: Spans, points: bytes, size: int
) -> None:
    """At files of which the ends did not tell enough."""
    elves.finish()
    if not elves.missed:
        return
    sha256 = ctx.parameters["sha256"]
    places = {entry.path: number for number, entry in enumerate(listing.entries)}
    with blobs_of(ctx) as blobs:
        compression = Compression.seen(blobs.open(sha256).read(4))
        with Slicing(blobs.open(sha256), size, compression, points) as tar:
            for path in elves.missed:  # in the tar's order
                begin = spans.spans[places[path]][1]
                end = begin + listing.entries[places[path]].size
                elves.look(path, tar.pieces(begin, end))
