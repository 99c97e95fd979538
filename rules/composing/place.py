"""Where a layer's blob is read from: this machine's cache, else the registry that has it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO

from tritonbuild.oci import Absent, Content, Descriptor
from tritonbuild.oci.documents import LAYER
from tritonbuild.rule import Digest, LockedFile, ToolContext

_SCHEME = "oci://"


def hints_of(files: tuple[LockedFile, ...]) -> dict[str, Any]:
    """What `Blobs` reads of a tool's hints: SHA-256 → [size, place]."""
    return {file.sha256: [file.size, file.url.removeprefix(_SCHEME)] for file in files}


class Blobs:
    """Layers, by their SHA-256. Close it."""

    def __init__(self, ctx: ToolContext, hints: Mapping[str, Any]):
        self._ctx = ctx
        self._hints = hints
        self._places: dict[str, Any] = {}

    def descriptor(self, sha256: str) -> Descriptor:
        """Raises Absent where nothing says where it is."""
        size, _ = self._hint(sha256)
        return Descriptor.of(LAYER, Digest(sha256, size))

    def open(self, sha256: str, start: int = 0) -> BinaryIO:
        """Not verified, from a byte on. Raises Absent, Refused, Passing."""
        descriptor = self.descriptor(sha256)
        path = self._ctx.find(descriptor.content)
        if path is not None:
            file = path.open("rb")
            file.seek(start)
            return file
        stream: BinaryIO = self._place(sha256).open(descriptor, start)
        return stream

    def source(self, sha256: str) -> Content:
        """The blob alone, as `verified` takes it."""
        return _One(self, sha256)

    def _hint(self, sha256: str) -> tuple[int, str]:
        if sha256 not in self._hints:
            remedy = "fetch it on the machine that builds"
            raise Absent(f"nothing says where sha256:{sha256} is to be had", remedy=remedy)
        size, place = self._hints[sha256]
        return size, place

    def _place(self, sha256: str) -> Any:
        from tritonbuild.oci.registry import Mirrored, Reference

        _, place = self._hint(sha256)
        if place not in self._places:
            self._places[place] = Mirrored.of(Reference.parse(place))
        return self._places[place]

    def close(self) -> None:
        for place in self._places.values():
            place.close()


class _One:
    def __init__(self, blobs: Blobs, sha256: str):
        self._blobs = blobs
        self._sha256 = sha256

    def open(self, descriptor: Descriptor) -> BinaryIO:
        return self._blobs.open(self._sha256)


@contextmanager
def blobs_of(ctx: ToolContext) -> Iterator[Blobs]:
    """Those of the hint `blobs`."""
    blobs = Blobs(ctx, ctx.hints.get("blobs", {}))
    try:
        yield blobs
    finally:
        blobs.close()
