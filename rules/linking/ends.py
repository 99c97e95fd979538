"""A large ELF file of which only the ends are kept, where the dynamic linker's tables lie."""

from __future__ import annotations

import io
import struct

_HEAD, _TAIL = 8 << 20, 2 << 20
"""Bytes that are kept."""
_DYNAMIC = 2
"""PT_DYNAMIC."""


class Lost(Exception):
    """What is read was not kept."""


class Ends(io.RawIOBase):
    """Written once from its beginning to its end, then read."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._kept = bytearray()
        """Of the dynamic section, wherever it lies."""
        self._dynamic = (0, 0)
        self._tail = bytearray()
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

    def write(self, content: bytes) -> int:  # type: ignore[override]
        if not self._size:
            self._dynamic = _dynamic(content)
        if len(self._head) < _HEAD:
            self._head += content[: _HEAD - len(self._head)]
        start, size = self._dynamic
        if begin := content[max(0, start - self._size) : max(0, start + size - self._size)]:
            self._kept += begin
        self._size += len(content)
        self._tail += content
        if len(self._tail) > 2 * _TAIL:
            del self._tail[:-_TAIL]
        return len(content)

    def read(self, size: int = -1) -> bytes:
        """Raises Lost."""
        end = min(self._size, self._at + size) if size >= 0 else self._size
        kept = {
            0: self._head,
            self._dynamic[0]: self._kept,
            self._size - len(self._tail): self._tail,
        }
        for start, there in kept.items():
            if start <= self._at and end <= start + len(there):
                content = bytes(there[self._at - start : end - start])
                self._at += len(content)
                return content
        raise Lost


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
