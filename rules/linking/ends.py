"""A large ELF file of which only the ends are kept, where the dynamic linker's tables lie."""

from __future__ import annotations

import io
import struct
from collections import deque
from collections.abc import Iterable

_HEAD, _TAIL = 8 << 20, 2 << 20
"""Bytes that are kept."""
_DYNAMIC = 2
"""PT_DYNAMIC."""


class Lost(Exception):
    """What is read was not kept."""


class Ends(io.RawIOBase):
    """Written once from its beginning to its end, then read."""

    def __init__(self) -> None:
        self._head: list[bytes] = []
        self._headed = 0
        """Bytes of it."""
        self._kept: list[bytes] = []
        """Of the dynamic section, wherever it lies."""
        self._dynamic = (0, 0)
        self._tail: deque[bytes] = deque()
        self._tailed = 0
        self._size = 0
        self._at = 0

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def write(self, content: bytes) -> int:  # type: ignore[override]  # of bytes alone
        if not self._size:
            self._dynamic = _dynamic(content)
        if self._headed < _HEAD:
            self._head.append(content)
            self._headed += len(content)
        start, size = self._dynamic
        if wanted := content[max(0, start - self._size) : max(0, start + size - self._size)]:
            self._kept.append(wanted)
        self._size += len(content)
        self._tail.append(content)
        self._tailed += len(content)
        while self._tailed - len(self._tail[0]) >= _TAIL:
            self._tailed -= len(self._tail.popleft())
        return len(content)

    def read(self, size: int = -1) -> bytes:
        """Raises Lost."""
        end = min(self._size, self._at + size) if size >= 0 else self._size
        for start, pieces in (
            (0, self._head),
            (self._dynamic[0], self._kept),
            (self._size - self._tailed, self._tail),
        ):
            if start <= self._at and end <= start + sum(map(len, pieces)):
                content = _between(pieces, self._at - start, end - start)
                self._at += len(content)
                return content
        raise Lost


def _between(pieces: Iterable[bytes], begin: int, end: int) -> bytes:
    """Of what they are together."""
    found, position = [], 0
    for piece in pieces:
        found.append(piece[max(0, begin - position) : max(0, end - position)])
        position += len(piece)
    return b"".join(found)


def _dynamic(content: bytes) -> tuple[int, int]:
    """Where the dynamic section lies, and its size, by the program headers at a file's beginning;
    nowhere if they are not there."""
    if len(content) < 64 or content[4] != 2:  # large files are of 64 bits
        return 0, 0
    order = "<" if content[5] == 1 else ">"
    (offset,) = struct.unpack_from(f"{order}Q", content, 32)
    size, count = struct.unpack_from(f"{order}HH", content, 54)
    for place in range(offset, offset + size * count, size or 56):
        if place + 56 > len(content):
            break
        (kind,) = struct.unpack_from(f"{order}I", content, place)
        if kind == _DYNAMIC:
            begin, length = struct.unpack_from(f"{order}Q16xQ", content, place + 8)
            return begin, min(length, _TAIL)
    return 0, 0
