"""A tar whose files are read in any order, without unpacking it."""

from __future__ import annotations

import io
import posixpath
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from tritonbuild.digest import CHUNK
from tritonbuild.oci.compression import Compression
from tritonbuild.oci.documents import LIMIT
from tritonbuild.oci.errors import Absent, Invalid, Refused
from tritonbuild.oci.untar import Untar

_MOST = 100_000
"""Files of a tar."""
_HOPS = 8
"""Links that lead to one file."""


class Packed:
    """Links lead to files of the tar, and nowhere else."""

    def __init__(self, path: Path):
        self._path = path

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def size(self, name: str) -> int:
        """Bytes of a file. Raises Absent."""
        return self._find(name)[1]

    def open(self, name: str) -> BinaryIO:
        """A file, for reading. Raises Absent."""
        offset, size = self._find(name)
        file = self._file()
        file.seek(offset)
        return io.BufferedReader(_Part(file, size), CHUNK)

    def read(self, name: str) -> bytes:
        """A document."""
        if self.size(name) > LIMIT:
            raise Invalid(f"{name} in {self._path} has more than {LIMIT} bytes")
        with self.open(name) as file:
            return file.read()

    @cached_property
    def _members(self) -> Mapping[str, tuple[int, int] | str]:
        """Path → where its content begins and how long it is, or where a link leads."""
        members: dict[str, tuple[int, int] | str] = {}
        with self._file() as file:
            if Compression.seen(file.peek(4)) is not Compression.NONE:
                remedy = "uncompress it first: gunzip, unzstd"
                raise Refused(f"{self._path} is compressed", "an uncompressed tar", remedy)
            for head in Untar(file, self._path.stat().st_size):
                name = posixpath.normpath(head.name)
                if head.kind == "folder":
                    continue
                if name in members:
                    raise Invalid(f"{self._path} holds {name!r} twice")
                if len(members) == _MOST:
                    raise Invalid(f"{self._path} holds more than {_MOST} files")
                if head.kind == "file":
                    members[name] = head.offset, head.size
                elif head.kind == "link":
                    members[name] = posixpath.normpath(f"{posixpath.dirname(name)}/{head.target}")
                elif head.kind == "hardlink":
                    members[name] = posixpath.normpath(head.target)
        return members

    def _file(self) -> io.BufferedReader:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            raise Absent(f"{self._path} is not there") from None
        except OSError as error:
            raise Refused(f"{self._path} cannot be read: {error.strerror}") from None

    def _find(self, name: str) -> tuple[int, int]:
        found: tuple[int, int] | str | None = posixpath.normpath(name)
        for _ in range(_HOPS):
            if not isinstance(found, str):
                break
            found = self._members.get(found)
        if not isinstance(found, tuple):
            raise Absent(f"{self._path} holds no {name!r}")
        return found


class _Part(io.RawIOBase):
    """So many bytes of a file, from where it stands."""

    def __init__(self, file: BinaryIO, size: int):
        self._file = file
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._file.read(min(len(buffer), self._left))
        self._left -= len(content)
        buffer[: len(content)] = content
        return len(content)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
