"""The `survey-layer` tool: what a layer of `full` holds and what of it is linked to what, in one
pass over its blob. Nothing of it is stored but what is cut out on the way."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO

from tritonbuild.oci import Compression, Descriptor, Invalid, Listed, Listing, OciError
from tritonbuild.oci.content import verified
from tritonbuild.oci.indexing import Watch, allowed, index_layer
from tritonbuild.oci.slices import MAKERS, Slicing
from tritonbuild.oci.untar import Head
from tritonbuild.rule import ActionError, ToolContext, tool

from ..bases.image import wrong
from ..bases.registry import failed
from ..linking.facts import LINKAGE, Elves
from ..linking.linkage import Linkage
from .early import Early
from .packages import Texts
from .place import blobs_of
from .shared import Shared, shared, tag

SURVEY = "survey"
LISTING, SPANS, TEXTS, FORM, POINTS = "listing", "spans.json", "texts.json", "form.json", "points"
FILES = (LISTING, SPANS, LINKAGE, POINTS, FORM, TEXTS)


def headers_sum(headers: bytes = b"") -> Any:
    """A hash, to be updated."""
    return hashlib.blake2b(headers, digest_size=16)


class Spans:
    """Where in the tar each entry of a listing begins, and its content; and the sum of what stands
    between both."""

    def __init__(self) -> None:
        self.spans: list[tuple[int, int, str]] = []

    def member(self, path: str, head: Head) -> None:
        headers = headers_sum(head.headers).hexdigest()
        self.spans.append((head.begin, head.offset, headers))

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


@tool("survey-layer", version=3, libraries=(*MAKERS, "zstandard"))
def survey_layer(ctx: ToolContext) -> None:
    """Parameter `sha256`; input facts.json, so that nothing is read of images that do not go
    together; output `survey`, a folder with `listing`, spans.json (what `Spans` sees),
    linkage.json, texts.json (what dpkg keeps of packages), `points` (from where the tar can be
    read) and form.json (whether it is one piece of gzip, and how long the tar is). The hint
    `wanted` names selections to cut out on the way, for `cut-component` to find."""
    sha256 = ctx.parameters["sha256"]
    name = tag("survey", survey_layer.version, sha256)
    with blobs_of(ctx) as blobs, shared(ctx) as cache:
        try:
            made = cache.use(name, FILES, partial(_kept, cache)) if cache else None
            if made is None:
                descriptor = blobs.descriptor(sha256)
                with verified(blobs.source(sha256), descriptor) as stream:
                    made = _survey(ctx, stream, descriptor.size)
                if cache:
                    cache.put(name, made)
        except OciError as error:
            raise failed(error, wrong(error, f"layer sha256:{sha256}")) from None
    for file, content in made.items():
        ctx.write(f"{SURVEY}/{file}", content)


def _kept(cache: Shared, there: Mapping[str, Descriptor]) -> dict[str, bytes]:
    """What somebody else made. Raises OciError, also for what is no survey."""
    from zstandard import ZstdDecompressor, ZstdError

    made = {name: cache.read(file) for name, file in there.items()}
    try:
        entries = Listing.decode(made[LISTING]).entries
        places = [(int(begin), int(content)) for begin, content, *_ in json.loads(made[SPANS])]
        Linkage.decode(made[LINKAGE])
        ZstdDecompressor().decompress(made[POINTS])
        form, texts = json.loads(made[FORM]), json.loads(made[TEXTS])
        right = len(places) == len(entries) and "one" in form and isinstance(texts, dict)
    except (AttributeError, LookupError, TypeError, ValueError, ZstdError) as error:
        raise Invalid(f"it holds no survey: {error}") from None
    if not right:
        raise Invalid("it holds no survey of one layer")
    return made


def _survey(ctx: ToolContext, stream: BinaryIO, size: int) -> dict[str, bytes]:
    from zstandard import ZstdCompressor

    assert isinstance(stream, io.BufferedReader)
    compression = Compression.seen(stream.peek(4)[:4])

    def check() -> None:
        if ctx.cancelled:
            raise ActionError("stopped")
        if not stream.closed:
            ctx.progress(stream.raw.tell(), size)

    limit = size if compression is Compression.NONE else allowed(size)
    slicing = Slicing(stream, size, compression, ahead=True)
    spans, texts = Spans(), Texts()
    elves = Elves(ctx.scratch, again=compression is Compression.GZIP)
    with io.BufferedReader(slicing, 1 << 20) as tar:
        early = Early(ctx, slicing)
        listing = index_layer(tar, limit, check, _All((spans, texts, elves, early)))
        while not stream.closed and stream.read(1 << 20):  # to its end, where it is verified
            pass
        early.keep()
        points = slicing.index
    _look_again(ctx, elves, listing, spans, points, check)
    return {
        LISTING: listing.encoded,
        SPANS: json.dumps(spans.spans).encode(),
        LINKAGE: elves.linkage.encoded,
        POINTS: ZstdCompressor().compress(points),
        FORM: json.dumps({"one": slicing.is_right, "size": slicing.position}).encode(),
        TEXTS: json.dumps(texts.texts, sort_keys=True).encode(),
    }


def _look_again(
    ctx: ToolContext,
    elves: Elves,
    listing: Listing,
    spans: Spans,
    points: bytes,
    check: Callable[[], None],
) -> None:
    """At files of a gzip layer of which the ends did not tell enough."""
    elves.finish()
    if not elves.missed:
        return
    sha256 = ctx.parameters["sha256"]
    places = {entry.path: number for number, entry in enumerate(listing.entries)}
    with blobs_of(ctx) as blobs:
        size = blobs.descriptor(sha256).size
        gzip = Compression.GZIP
        with Slicing(blobs.open(sha256), size, gzip, points, check=check) as tar:
            for path in elves.missed:  # in the tar's order
                begin, entry = spans.spans[places[path]][1], listing.entries[places[path]]
                elves.look(path, _hashed(tar.pieces(begin, begin + entry.size), entry))


def _hashed(pieces: Iterable[bytes], entry: Listed) -> Iterator[bytes]:
    """A file's content, read again. Raises Invalid at its end where it is another than it was."""
    sha = hashlib.sha256()
    for piece in pieces:
        sha.update(piece)
        yield piece
    if sha.hexdigest() != entry.digest:
        raise Invalid(f"/{entry.path} is not what it was when its layer was read")
