"""Protobuf's wire format, walked in a file without reading what is skipped.

The protobuf runtime parses whole messages from memory only, and a model's weights lie in the midst
of its message. So the way down to the parts that matter is walked here, field by field
(https://protobuf.dev/programming-guides/encoding), and those small parts are given to the runtime.
The file is read by position rather than mapped: a mapped file that is cut short meanwhile kills
the process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

LARGEST = 1 << 20
"""Bytes of the largest part that is read whole."""
_AFTER_SKIP, _AHEAD = 192, 8192
"""Bytes read at once: what lies behind skipped weights is a short header and then more weights."""
_KEY_AND_LENGTH = 20
"""Bytes of the longest key and length."""


class Corrupt(Exception):
    """Bytes that are no protobuf message; its text says what was found."""


class CutShort(Corrupt):
    """A field that reaches beyond the end of what holds it."""


class Field(NamedTuple):
    """A field of a message: where it begins, where its value lies, and that if it is a varint."""

    number: int
    begin: int
    start: int
    end: int
    value: int


class Reader:
    """A file, read where it is looked at."""

    def __init__(self, file: int):
        self._file = file
        self.size = os.fstat(file).st_size
        self._buffer, self._base = b"", 0

    def read(self, start: int, end: int) -> bytes:
        """A part of the file. Raises Corrupt when it is too large for what is looked for."""
        if end - start > LARGEST:
            raise Corrupt(f"a field of {end - start:,} bytes where a small one belongs")
        offset = start - self._base
        if offset >= 0 and end <= self._base + len(self._buffer):
            return self._buffer[offset : end - self._base]
        return self._pread(end - start, start)

    def fields(self, start: int, end: int) -> Iterator[Field]:
        """The fields of the message that lies there, values not read. Raises Corrupt."""
        position = start
        while position < end:
            buffer, offset = self._buffer, position - self._base
            if offset < 0 or offset + _KEY_AND_LENGTH > len(buffer):
                buffer, offset = self._load(position), 0
            begin, key_at = position, offset
            try:
                # Most keys are one byte; a field has two of these numbers.
                key = buffer[offset]
                offset += 1
                if key > 127:
                    key, offset = _varint(buffer, offset - 1)
                kind = key & 7
                value = 0
                if kind == 2:
                    length = buffer[offset]
                    offset += 1
                    if length > 127:
                        length, offset = _varint(buffer, offset - 1)
                elif kind == 0:
                    value, offset = _varint(buffer, offset)
                    length = 0
                elif kind == 1 or kind == 5:
                    length = 8 if kind == 1 else 4
                else:
                    raise Corrupt(f"wire type {kind} at byte {position:,}")
            except IndexError:
                raise CutShort(f"the file ends after {self.size:,} bytes, within a field") from None
            number = key >> 3
            if number == 0:
                raise Corrupt(f"field number 0 at byte {position:,}")
            at = position + offset - key_at
            position = at + length
            if position > end:
                raise CutShort(
                    f"a field at byte {at:,} reaches to byte {position:,}, but what holds it ends "
                    f"after {end:,}"
                )
            yield Field(number, begin, at, position, value)

    def _load(self, position: int) -> bytes:
        goes_on = 0 <= position - self._base <= len(self._buffer)
        size = min(2 * len(self._buffer), _AHEAD) if goes_on else _AFTER_SKIP
        self._buffer = self._pread(max(size, _AFTER_SKIP), position)
        self._base = position
        return self._buffer

    def _pread(self, size: int, position: int) -> bytes:
        return os.pread(self._file, size, position)


def _varint(buffer: bytes, offset: int) -> tuple[int, int]:
    """The number there and the offset behind it. Raises Corrupt and IndexError."""
    value = shift = 0
    while True:
        byte = buffer[offset]
        offset += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, offset
        shift += 7
        if shift > 63:
            raise Corrupt("a number of more than 64 bits")
