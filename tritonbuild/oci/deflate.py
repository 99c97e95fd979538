"""Writes gzip out of what is compressed here and of blocks that were compressed elsewhere, which
are taken over bit by bit: https://www.rfc-editor.org/rfc/rfc1951, rfc1952.

Blocks do not begin at bytes. What is taken over keeps its place within a byte, so that it is copied
and not shifted, and blocks that are stored stay aligned; empty blocks before it make up the place.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from tritonbuild.digest import CHUNK

LEVEL = 6
WINDOW = 1 << 15
"""Bytes before a block that it may refer to."""
_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
_LAST = b"\x03\0"
"""An empty block that says it is the last one."""
_FIXED = (0b010, 10)
"""An empty block with the codes that need not be told: its bits as a number, the first one lowest,
and how many."""


def _dynamic() -> tuple[int, int]:
    """An empty block that tells its codes, of an odd number of bits: two literals of a bit, one of
    which ends the block, and a distance that nobody uses."""
    bits = "0" + "01" + "00000" + "00000" + "0111"
    order = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1)
    bits += "".join("100" if symbol in (1, 18) else "000" for symbol in order)
    zeros = (f"{138 - 11:07b}"[::-1], f"{255 - 138 - 11:07b}"[::-1])
    bits += "0" + "".join("1" + count for count in zeros) + "0" + "0"
    bits += "1"
    return int(bits[::-1], 2), len(bits)


_FILLERS: list[list[tuple[int, int]]] = [[] for _ in range(8)]
"""By how many bits beyond a byte they reach."""
for _count in range(4):
    _FILLERS[_FIXED[1] * _count % 8] = [_FIXED] * _count
    _FILLERS[(_dynamic()[1] + _FIXED[1] * _count) % 8] = [_dynamic(), *[_FIXED] * _count]


class Deflate:
    """One gzip stream on its way to a file."""

    def __init__(self, target: BinaryIO):
        from zlib_ng import zlib_ng

        self._target = target
        self._own: Any = None
        """A compressor; none at a byte's beginning, or amid what is taken over."""
        self._waiting = bytearray()
        """For it: zlib-ng's bytes depend on the pieces that it is given."""
        self._bits = self._count = 0
        """Of the byte that is not full yet; none while the compressor writes."""
        self._crc = self._size = 0
        self._sum = zlib_ng.crc32
        target.write(_HEADER)

    def count(self, content: bytes | memoryview) -> None:
        """The next bytes that the stream stands for, in whatever way they are written."""
        self._crc = self._sum(content, self._crc)
        self._size += len(content)

    def compress(self, content: bytes | bytearray | memoryview) -> None:
        """Writes such bytes, compressed here."""
        if self._own is None:
            from zlib_ng import zlib_ng

            self._align()
            self._own = zlib_ng.compressobj(LEVEL, zlib_ng.DEFLATED, -zlib_ng.MAX_WBITS)
        self._waiting += content
        while len(self._waiting) >= CHUNK:
            self._target.write(self._own.compress(bytes(self._waiting[:CHUNK])))
            del self._waiting[:CHUNK]

    def take(self, blocks: bytes, first: int, count: int) -> None:
        """Writes such bytes as blocks: `count` bits, from bit `first` (0 to 7) of the first byte
        on. They refer to nothing before the last `WINDOW` bytes."""
        if self._own is not None or self._count != first:
            self._end_own()
            self._align()
            for bits, number in _FILLERS[first]:
                self._put(bits, number)
        if count <= 0:
            return
        end = first + count
        head = (blocks[0] >> first << first) | self._bits
        whole, rest = divmod(end, 8)
        if whole:
            self._target.write(bytes((head,)))
            self._target.write(memoryview(blocks)[1:whole])
            head = blocks[whole] if rest else 0
        self._bits, self._count = head & ((1 << rest) - 1), rest

    def finish(self) -> None:
        self._end_own()
        self._align()
        self._target.write(_LAST)
        self._target.write(self._crc.to_bytes(4, "little"))
        self._target.write((self._size & 0xFFFFFFFF).to_bytes(4, "little"))

    def _end_own(self) -> None:
        if self._own is not None:
            from zlib_ng import zlib_ng

            self._target.write(self._own.compress(bytes(self._waiting)))
            self._target.write(self._own.flush(zlib_ng.Z_SYNC_FLUSH))
            self._waiting.clear()
            self._own = None

    def _align(self) -> None:
        """To a byte's beginning, by an empty block that is stored."""
        if self._count:
            self._put(0, 3)
            if self._count:
                self._put(0, 8 - self._count)
            self._target.write(b"\0\0\xff\xff")

    def _put(self, bits: int, count: int) -> None:
        bits = self._bits | bits << self._count
        count += self._count
        whole = count // 8
        self._target.write((bits & ((1 << 8 * whole) - 1)).to_bytes(whole, "little"))
        self._bits, self._count = bits >> 8 * whole, count % 8
