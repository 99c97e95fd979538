"""Cuts runs of a layer's tar out of its blob, as layers of their own. Of a gzip blob the compressed
blocks are taken over; only the ends of runs are compressed here.

The same runs of the same blob make the same bytes, whether it is read once from its beginning to
its end or here and there.
"""

from __future__ import annotations

import hashlib
import io
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tritonbuild.digest import CHUNK, Digest
from tritonbuild.oci.ahead import Ahead
from tritonbuild.oci.compression import Compression, decompressed
from tritonbuild.oci.deflate import WINDOW, Deflate
from tritonbuild.oci.errors import Invalid
from tritonbuild.oci.inflate import LIBRARIES, Inflating, Point
from tritonbuild.oci.made import Hashing
from tritonbuild.oci.tar import END
from tritonbuild.oci.untar import BLOCK, HEADERS

MAKERS = (*LIBRARIES, "zlib-ng", "slice=4")
"""What decides a slice's bytes, for the versions of tools that make some."""
_HELD = 2 * HEADERS
"""Bytes that were read and can still be asked for: a member's headers, and a buffer's."""


@dataclass(frozen=True)
class Slice:
    """A layer that was cut out: a tar, compressed with gzip."""

    blob: Digest
    diff_id: str


class Cut:
    """A layer on its way to a file."""

    def __init__(self, target: Path):
        self._file = target.open("wb")
        self._blob = Hashing(self._file)
        self._deflate = Deflate(self._blob)  # type: ignore[arg-type]
        self._sha = hashlib.sha256()
        self._size = 0
        """Of the new tar so far."""
        self._begin = self.end = 0
        """Of the present run, in the tar that it is cut out of."""
        self.taken: Point | None = None
        """Up to where the run's blocks were taken over."""
        self._tail = bytearray()
        """What came after that."""

    def write(self, content: bytes) -> None:
        """Bytes of the new tar that are in no run."""
        self.settle()
        self._count(content)
        self._deflate.compress(content)

    def run(self, begin: int, end: int) -> None:
        """The next bytes come from there."""
        if begin != self.end:
            self.settle()
            self._begin = begin
        self.end = end

    def feed(self, start: int, content: bytes, source: Inflating | None) -> None:
        """Bytes of the present run."""
        self._count(content)
        if source is None:
            self._deflate.compress(content)
            return
        last = start + len(content) - 1
        if self.taken is None:
            point = source.point_after(self._begin + WINDOW)
            if point is None or point.offset > last:
                self._deflate.compress(content)
                return
            self._deflate.compress(content[: point.offset - start])
            content = content[point.offset - start :]
            self.taken = point
        self._tail += content
        point = source.point_before(last)
        if point is not None and point.offset > self.taken.offset:
            self._deflate.take(*source.blocks(self.taken, point))
            del self._tail[: point.offset - self.taken.offset]
            self.taken = point

    def settle(self) -> None:
        """Ends the present run."""
        if self.taken is not None:
            self._deflate.compress(self._tail)
            self._tail.clear()
            self.taken = None
        self._begin = self.end = -1

    def finish(self) -> Slice:
        """With what pads the last member, which the end of a tar may lack, and the blocks that end
        a tar."""
        self.write(bytes(-self._size % BLOCK) + END)
        self._deflate.finish()
        self._file.close()
        return Slice(self._blob.digest, f"sha256:{self._sha.hexdigest()}")

    def _count(self, content: bytes) -> None:
        self._sha.update(content)
        self._size += len(content)
        self._deflate.count(content)


class Slicing(io.RawIOBase):
    """The tar in a blob, read from its beginning to its end, or with an index here and there."""

    def __init__(
        self,
        blob: BinaryIO,
        size: int,
        compression: Compression,
        index: bytes = b"",
        *,
        takes: bool = True,
        ahead: bool = False,
        check: Callable[[], None] = lambda: None,
    ):
        """`blob` is closed with this. `takes`: blocks are taken over. `ahead`: it is only read from
        its beginning to its end. `check` is called now and then."""
        self._inflating = Inflating(blob, size, index) if compression is Compression.GZIP else None
        self._below: BinaryIO = (
            self._inflating or decompressed(blob, compression)  # type: ignore[assignment]
        )
        self._ahead = Ahead(self._below) if ahead else None
        self._source = self._inflating if takes else None
        self._check = check
        self._rest = b""
        """Of a piece that was read ahead."""
        self._cuts: list[Cut] = []
        self._held: deque[bytes] = deque()
        self._from = 0
        """Where in the tar what is held begins."""
        self.position = 0

    def readable(self) -> bool:
        return True

    def cut(self, target: Path) -> Cut:
        cut = Cut(target)
        self._cuts.append(cut)
        return cut

    def drop(self, cut: Cut) -> None:
        """It is not wanted any more."""
        self._cuts.remove(cut)

    def run(self, cut: Cut, begin: int, end: int) -> None:
        """A run of the tar that belongs to a cut: of what was just read, and what is to come."""
        cut.run(begin, end)
        position = self._from
        for piece in self._held:
            start = max(begin, position)
            if wanted := piece[start - position : max(0, end - position)]:
                cut.feed(start, wanted, self._source)
            position += len(piece)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def _read(self, size: int) -> bytes:
        self._check()
        content = self._next(size)
        start = self.position
        self.position += len(content)
        for cut in self._cuts:
            if cut.end > start:
                cut.feed(start, content[: cut.end - start], self._source)
            elif cut.taken is not None and start - cut.end > _HELD:
                cut.settle()
        self._held.append(content)
        while self.position - self._from - len(self._held[0]) > _HELD:
            self._from += len(self._held.popleft())
        self._release()
        return content

    def _next(self, size: int) -> bytes:
        if self._ahead is None:
            return self._below.read(size)
        content = self._rest or self._ahead.read()
        content, self._rest = content[:size], content[size:]
        return content

    def _release(self) -> None:
        """Of the blob that may still be taken over is kept, and no more."""
        if self._inflating is not None:
            points = [cut.taken for cut in self._cuts if cut.taken is not None]
            if point := self._inflating.point_before(self._from):
                points.append(point)
            self._inflating.release(min((point.bit for point in points), default=0))

    def go(self, offset: int) -> None:
        """To a byte of the tar; without an index only forward."""
        if offset == self.position:
            return
        if self._inflating is not None:
            self._inflating.go(offset)
        else:
            while self.position < offset:
                self._read(min(CHUNK, offset - self.position))
        self._held.clear()
        self._from = self.position = offset

    def pieces(self, begin: int, end: int) -> Iterator[bytes]:
        """A range of the tar. Raises Invalid where it is shorter."""
        self.go(begin)
        while self.position < end:
            piece = self._read(min(CHUNK, end - self.position))
            if not piece:
                raise Invalid(f"a layer ends before byte {end} of its tar")
            yield piece

    @property
    def index(self) -> bytes:
        """Of where it can be read from, once all was read; empty where that is nowhere but at its
        beginning: it is not compressed with gzip."""
        return b"" if self._inflating is None else self._inflating.index

    @property
    def is_right(self) -> bool:
        """Whether what was cut out can be used: blocks of several members of gzip cannot."""
        return self._source is None or self._source.is_one

    @property
    def is_sure(self) -> bool:
        """Whether no block was read once more for being taken over, when a blob that nobody
        verifies may be another."""
        return self._inflating is None or not self._inflating.again

    def close(self) -> None:
        if self._ahead is not None:
            self._ahead.close()
        self._below.close()
        super().close()
