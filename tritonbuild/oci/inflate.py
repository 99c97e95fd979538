"""Reads gzip and knows, on the way, where blocks begin: what lies between two such points can be
taken over as it is, and whoever has the points can begin to read at any of them."""

from __future__ import annotations

import io
import json
import struct
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any, BinaryIO, NamedTuple

from tritonbuild.oci.deflate import WINDOW
from tritonbuild.oci.errors import Invalid

LIBRARIES = ("rapidgzip",)
"""Decide where points are."""
_AHEAD = 2 << 20
"""Bytes of the blob that are inflated at once; what sixteen such pieces become is in memory."""
_SPACING = 8 << 20
"""Bytes of content, at least, between two points that can be read from: so much becomes of a piece
then, and each takes a window."""
_FOOTER = 8
_END = (b"\x1f\x8b\x08" + bytes(6) + b"\xff\x03" + bytes(9)) * 2
"""Empty members of gzip, which are read after the blob. For rapidgzip a blob that is cut short
between two blocks is over; with these amid a member it is damaged. And there it looks first of
all whether it is bgzip's, which it would read in another way."""
_HELD = 1 << 20
"""Bytes of the blob that are held in any case: a header is read several times."""


class Point(NamedTuple):
    """Where a block begins."""

    offset: int
    """Bytes of content before it."""
    bit: int
    """Bits of the blob before it."""


class Inflating(io.RawIOBase):
    """The content of a gzip blob."""

    def __init__(self, blob: BinaryIO, size: int, index: bytes = b""):
        """`blob` has `size` bytes and need not seek; with an `index` of it it must. It is closed
        with this."""
        from rapidgzip import _RapidgzipFile

        self._source = _Source(blob, size, seeks=bool(index))
        self._file: Any = _RapidgzipFile(self._source, parallelization=1, chunk_size=_AHEAD)
        self._points: list[Point] = []
        self._are_all = bool(index)
        self._position = 0
        self._last = b""
        """The last `WINDOW` bytes of content."""
        self._windows: list[tuple[int, bytes]] = []
        """What content stands before a point, by the point's number; compressed."""
        if index:
            self._load(index)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            count: int = self._file.readinto(buffer)
        except (RuntimeError, ValueError, OverflowError) as error:
            if self._source.error is not None:
                raise self._source.error from None
            raise Invalid(f"a compressed layer is damaged or cut short: {error}") from None
        if self._source.error is not None:
            raise self._source.error
        self._position += count
        if not self._are_all:
            self._look()
            if not count and len(buffer):
                self._judge()
            self._keep(buffer[:count])
        return count

    def _judge(self) -> None:
        if self._file.tell_compressed() != 8 * self._source.size:
            raise Invalid("a compressed layer is cut short")

    def _keep(self, content: memoryview) -> None:
        """The windows of points that lie in what was read last."""
        from zlib_ng import zlib_ng

        begin = self._position - len(content)
        while True:
            kept = self._points[self._windows[-1][0]].offset if self._windows else 0
            number = bisect_left(self._points, (kept + _SPACING, 0))
            if number == len(self._points) or self._points[number].offset >= self._position:
                break
            before = content[: self._points[number].offset - begin]
            self._windows.append((number, zlib_ng.compress(_joined(self._last, before), 1)))
        self._last = _joined(self._last, content)

    def go(self, offset: int) -> None:
        """To a byte of the content; quickly where there is an index."""
        self._file.seek(offset)
        self._position = offset
        self._source.keep = 0

    def point_after(self, offset: int) -> Point | None:
        """The first one at a byte of what was read, or after it."""
        number = bisect_left(self._points, (offset, 0))
        return self._points[number] if number < len(self._points) else None

    def point_before(self, offset: int) -> Point | None:
        """The last one at a byte of what was read, or before it."""
        number = bisect_right(self._points, (offset, 1 << 63)) - 1
        return self._points[number] if number >= 0 else None

    def _look(self) -> None:
        """For points up to where it was read; another thread may ask for those before."""
        last = self._points[-1] if self._points else None
        if last is not None and (
            last.offset >= self._position or self._file.tell_compressed() == last.bit
        ):
            return  # to be told all points each time would take longer than to inflate
        known = islice(self._file.available_block_offsets().items(), len(self._points), None)
        self._points += (Point(offset, bit) for bit, offset in known)

    def blocks(self, start: Point, end: Point) -> tuple[bytes, int, int]:
        """What lies between two points, of which nothing was released: bytes, the first bit that
        counts, and how many do."""
        first = start.bit // 8
        content = self._source.between(first, -(-end.bit // 8))
        return content, start.bit % 8, end.bit - start.bit

    def release(self, bit: int) -> None:
        """What lies before a bit of the blob is not asked for any more."""
        self._source.keep = bit // 8

    @property
    def is_one(self) -> bool:
        """Whether the blob, all of which was read, is one member of gzip and not several."""
        said = int.from_bytes(self._source.last[-4:], "little")
        return said == self._position & 0xFFFFFFFF

    @property
    def again(self) -> bool:
        """Whether some of the blob was read another time for `blocks`."""
        return self._source.again

    @property
    def index(self) -> bytes:
        """The points, and what content stands before some of them; once all was read. Raises
        Invalid where it was not."""
        self._judge()
        sizes = [(number, len(window)) for number, window in self._windows]
        said = {"size": self._position, "points": self._points, "windows": sizes}
        return json.dumps(said).encode() + b"\n" + b"".join(window for _, window in self._windows)

    def _load(self, index: bytes) -> None:
        from zlib_ng import zlib_ng

        head, _, packed = index.partition(b"\n")
        said = json.loads(head)
        self._points = [Point(*point) for point in said["points"]]
        numbers = [0, *(number for number, _ in said["windows"])]
        end = Point(said["size"], 8 * self._source.size)
        made = io.BytesIO()
        made.write(_indexed_gzip([*(self._points[number] for number in numbers), end]))
        at = 0
        for _, size in said["windows"]:
            made.write(zlib_ng.decompress(packed[at : at + size]))
            at += size
        made.seek(0)
        self._file.import_index(made)

    def close(self) -> None:
        if not self.closed:
            self._source.error = self._source.error or Invalid("it was closed")
            self._file.close()
            self._source.close()
        super().close()


def _joined(before: bytes, content: memoryview) -> bytes:
    """The last `WINDOW` bytes of both."""
    lacking = WINDOW - len(content)
    return (before[-lacking:] if lacking > 0 else b"") + bytes(content[-WINDOW:])


def _indexed_gzip(points: Sequence[Point]) -> bytes:
    """The points as indexed_gzip keeps them, whose format rapidgzip reads. After it come the
    windows, one for each but the first and the last."""
    first, *_, end = points
    head = struct.pack("<5sBBQQIII", b"GZIDX", 1, 0, end.bit // 8, end.offset, _SPACING, WINDOW,
                       len(points))  # fmt: skip
    return head + b"".join(
        struct.pack("<QQBB", -(-point.bit // 8), point.offset, -point.bit % 8,
                    point not in (first, end))
        for point in points
    )  # fmt: skip


class _Source(io.RawIOBase):
    """A blob for rapidgzip, which reads it in a thread of its own, some megabytes ahead, and seeks
    to where it is already. Holds what may be taken over. Raises nothing there: `error` says what
    went wrong."""

    def __init__(self, blob: BinaryIO, size: int, *, seeks: bool):
        self._blob = blob
        self._blob_size = size
        self.size = size + len(_END)
        self._seeks = seeks
        self._at = 0
        """Where the next read begins …"""
        self._read = 0
        """… and where the blob stands."""
        self._pieces: deque[tuple[int, bytes]] = deque()
        self.keep = 0
        self.last = b""
        self.error: Exception | None = None
        self.again = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self.size}[whence]
        self._at = start + offset
        return self._at

    def read(self, size: int = -1) -> bytes:
        if self.error is not None:
            return b""
        try:
            content = self._from(self._at, self.size - self._at if size < 0 else size)
        except Exception as error:
            self.error = error
            return b""
        self._at += len(content)
        return content

    def _from(self, start: int, count: int) -> bytes:
        if start < self._read and (there := self.held(start, min(start + count, self._read))):
            return there
        if start >= self._blob_size:
            return _END[start - self._blob_size :][:count]
        if start != self._read:
            if not self._seeks:
                raise Invalid(f"a compressed layer cannot be read again from byte {start} on")
            self._blob.seek(start)
            self._read = start
            self._pieces.clear()
        content = self._blob.read(min(count, self._blob_size - start))
        self._pieces.append((self._read, content))
        self._read += len(content)
        self.last = (self.last + content[-_FOOTER:])[-_FOOTER:]
        limit = min(self.keep, self._read - _HELD)
        while self._pieces and self._pieces[0][0] + len(self._pieces[0][1]) <= limit:
            self._pieces.popleft()
        return content

    def between(self, start: int, end: int) -> bytes:
        """Bytes of the blob; read again where rapidgzip had what became of them in memory."""
        found = self.held(start, end)
        while start + len(found) < end:
            self.again = True
            more = self._from(start + len(found), end - start - len(found))
            if not more:
                raise Invalid("a compressed layer is cut short")
            found += more
        return found

    def held(self, start: int, end: int) -> bytes:
        """Bytes of the blob that were read and not released; fewer where they were."""
        found = bytearray()
        for position, piece in tuple(self._pieces):
            if position <= start + len(found) < position + len(piece):
                begin = start + len(found) - position
                found += piece[begin : end - position]
                if start + len(found) >= end:
                    break
        return bytes(found)

    def close(self) -> None:
        self._blob.close()
        super().close()
