"""The name of content: its SHA-256 and its size, as in the Remote Execution API."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

CHUNK = 1 << 20


class Digest(NamedTuple):
    hash: str
    """Lower-case hex SHA-256."""
    size: int
    """Bytes."""

    def __str__(self) -> str:
        return f"{self.hash}/{self.size}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        """The inverse of `str`. Raises ValueError."""
        name, _, size = text.partition("/")
        return cls(name, int(size))

    @classmethod
    def of_bytes(cls, content: bytes) -> Digest:
        return cls(hashlib.sha256(content).hexdigest(), len(content))

    @classmethod
    def of_stream(cls, stream: BinaryIO, check: Callable[[], None] = lambda: None) -> Digest:
        """Reads the stream to its end, a mebibyte at a time; `check` is called before each."""
        sha, size, buffer = hashlib.sha256(), 0, memoryview(bytearray(CHUNK))
        check()
        while count := stream.readinto(buffer):  # type: ignore[attr-defined]  # raw and buffered files have it
            sha.update(buffer[:count])
            size += count
            check()
        return cls(sha.hexdigest(), size)

    @classmethod
    def of_file(cls, path: Path | str, check: Callable[[], None] = lambda: None) -> Digest:
        with open(path, "rb", buffering=0) as stream:
            return cls.of_stream(stream, check)


EMPTY = Digest.of_bytes(b"")
