"""A file as a sequence of bytes and of contents by digest: a layer that nobody has to store.

Encoded as a line of JSON, in which a number stands for so many literal bytes and a string for a
content (`HASH/SIZE`), followed by the literal bytes.
"""

from __future__ import annotations

import io
import json
import os
from bisect import bisect_right
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from pathlib import Path
from typing import BinaryIO

from tritonbuild.cache import Finder
from tritonbuild.digest import CHUNK, Digest
from tritonbuild.oci.errors import Absent


@dataclass(frozen=True)
class Recipe:
    parts: tuple[bytes | Digest, ...]

    @cached_property
    def contents(self) -> frozenset[Digest]:
        return frozenset(part for part in self.parts if isinstance(part, Digest))

    @cached_property
    def size(self) -> int:
        """Bytes of the file."""
        return sum(map(_size, self.parts))

    @property
    def positions(self) -> dict[int, Digest]:
        """Where in the file contents begin."""
        starts = accumulate(map(_size, self.parts), initial=0)
        return {
            start: part
            for start, part in zip(starts, self.parts, strict=False)
            if isinstance(part, Digest)
        }

    @property
    def encoded(self) -> bytes:
        sizes = [str(part) if isinstance(part, Digest) else len(part) for part in self.parts]
        literals = [part for part in self.parts if not isinstance(part, Digest)]
        return b"".join((json.dumps(sizes, separators=(",", ":")).encode(), b"\n", *literals))

    @classmethod
    def decode(cls, encoded: bytes) -> Recipe:
        """The inverse of `encoded`. Raises ValueError."""
        end = encoded.index(b"\n")
        position = end + 1
        parts: list[bytes | Digest] = []
        for part in json.loads(encoded[:end]):
            if isinstance(part, str):
                parts.append(Digest.parse(part))
            else:
                parts.append(encoded[position : position + part])
                position += part
        if position != len(encoded):
            raise ValueError(f"{len(encoded)} bytes of a recipe that says {position}")
        return cls(tuple(parts))

    def open(self, blobs: Finder) -> BinaryIO:
        """The file's bytes. Reading raises Absent where a content is gone; contents are opened
        when their bytes are wanted, so that seeking over them costs nothing."""
        return io.BufferedReader(_Reader(self, blobs), CHUNK)

    def missing(self, blobs: Finder) -> Digest | None:
        """A content that is gone, or is not any more what it was when it was hashed; asked after
        reading, since a file of a workspace may change meanwhile."""
        return next((digest for digest in self.contents if blobs.find(digest) is None), None)

    def write(self, target: Path, blobs: Finder) -> None:
        """Makes the file; the kernel copies what it can, sharing blocks where it can."""
        with target.open("xb", buffering=0) as file:
            for part in self.parts:
                if isinstance(part, Digest):
                    _copy(_find(blobs, part), file, part.size)
                else:
                    file.write(part)


def joined(recipes: Iterable[Recipe]) -> Recipe:
    """One after the other; neighbouring literals become one."""
    parts: list[bytes | Digest] = []
    literals: list[bytes] = []
    for part in chain.from_iterable(recipe.parts for recipe in recipes):
        if isinstance(part, bytes):
            literals.append(part)
            continue
        if literals:
            parts.append(b"".join(literals))
            literals.clear()
        parts.append(part)
    if literals:
        parts.append(b"".join(literals))
    return Recipe(tuple(parts))


def _size(part: bytes | Digest) -> int:
    return part.size if isinstance(part, Digest) else len(part)


def _find(blobs: Finder, digest: Digest) -> Path:
    path = blobs.find(digest)
    if path is None:
        raise Absent(f"content {digest} is gone", remedy="build again")
    return path


def _copy(source: Path, target: io.FileIO, size: int) -> None:
    with source.open("rb", buffering=0) as content:
        left = size
        with suppress(OSError):  # not between these file systems
            while left:
                done = os.copy_file_range(content.fileno(), target.fileno(), left)
                if not done:
                    break
                left -= done
        while left:
            piece = content.read(min(left, CHUNK))
            if not piece:
                raise Absent(f"{source.name} ends {left} bytes too early", remedy="build again")
            target.write(piece)
            left -= len(piece)


class _Reader(io.RawIOBase):
    def __init__(self, recipe: Recipe, blobs: Finder):
        self._parts = recipe.parts
        self._ends = list(accumulate(map(_size, recipe.parts)))
        self._blobs = blobs
        self._position = 0
        self._open: tuple[int, BinaryIO] | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._position,
            os.SEEK_END: self._ends[-1] if self._ends else 0,
        }[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        index = bisect_right(self._ends, self._position)
        if index == len(self._parts):
            return 0
        part = self._parts[index]
        left = self._ends[index] - self._position
        wanted = min(len(buffer), left)
        if isinstance(part, Digest):
            stream = self._content(index, part)
            stream.seek(part.size - left)
            content = stream.read(wanted)
            if not content:
                raise Absent(f"content {part} ends too early", remedy="build again")
        else:
            start = len(part) - left
            content = part[start : start + wanted]
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)

    def _content(self, index: int, digest: Digest) -> BinaryIO:
        if self._open is None or self._open[0] != index:
            self._shut()
            self._open = (index, _find(self._blobs, digest).open("rb", buffering=0))
        return self._open[1]

    def _shut(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None

    def close(self) -> None:
        self._shut()
        super().close()
