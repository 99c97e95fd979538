"""Surveyed layers, read again here and there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tritonbuild.oci import Compression
from tritonbuild.oci.slices import Slicing
from tritonbuild.rule import ActionError, ToolContext

from .place import Blobs, blobs_of
from .surveyed import Survey


class Tars:
    """Close it."""

    def __init__(self, ctx: ToolContext, blobs: Blobs):
        self._ctx = ctx
        self._blobs = blobs
        self._open: dict[str, Slicing] = {}

    def of(self, survey: Survey, offset: int) -> Slicing:
        """The tar of a layer, at a byte. Raises OciError."""
        there = self._open.get(survey.sha256)
        if there is None or (not survey.points and there.position > offset):
            there = self._open[survey.sha256] = self._opened(survey)
        there.go(offset)
        return there

    def pieces(self, survey: Survey, begin: int, end: int) -> Iterator[bytes]:
        """A range of it. Raises OciError."""
        yield from self.of(survey, begin).pieces(begin, end)

    def _check(self) -> None:
        if self._ctx.cancelled:
            raise ActionError("stopped")

    def _opened(self, survey: Survey) -> Slicing:
        if survey.sha256 in self._open:
            self._open.pop(survey.sha256).close()
        size = self._blobs.descriptor(survey.sha256).size
        compression = Compression.GZIP
        if not survey.points:
            with self._blobs.open(survey.sha256) as stream:
                compression = Compression.seen(stream.read(4))
        return Slicing(
            self._blobs.open(survey.sha256), size, compression, survey.points,
            takes=survey.is_one, check=self._check,
        )  # fmt: skip

    def close(self) -> None:
        for tar in self._open.values():
            tar.close()


@contextmanager
def tars_of(ctx: ToolContext) -> Iterator[Tars]:
    """Of the layers that the hint `blobs` names."""
    with blobs_of(ctx) as blobs:
        tars = Tars(ctx, blobs)
        try:
            yield tars
        finally:
            tars.close()
