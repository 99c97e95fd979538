"""Where the bytes of descriptors come from: what every source of images is, and the check that what
it hands out is what was asked for."""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO, Protocol

from tritonbuild.digest import CHUNK
from tritonbuild.oci.documents import LIMIT, Descriptor
from tritonbuild.oci.errors import Invalid


class Content(Protocol):
    """A source of content: a layout, a registry, a daemon, an archive, recipes."""

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of its bytes, to be closed; not verified. Raises Absent, Refused, Passing."""


class Verified(io.RawIOBase):
    """Hands on a stream and, at its end, raises Invalid if it was not what the descriptor says;
    never more bytes than that."""

    def __init__(self, stream: BinaryIO, descriptor: Descriptor):
        self._stream = stream
        self._wanted = descriptor
        self._sha = hashlib.sha256()
        self._size = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._size

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._stream.read(len(buffer))
        self._size += len(content)
        self._sha.update(content)
        if self._size > self._wanted.size:
            raise Invalid(
                f"{self._wanted.digest} goes on after {self._wanted.size} bytes",
                expected="as many bytes as its descriptor says",
            )
        if not content and len(buffer):
            self._judge()
        buffer[: len(content)] = content
        return len(content)

    def _judge(self) -> None:
        if self._size != self._wanted.size:
            raise Invalid(
                f"{self._wanted.digest} ends after {self._size} bytes",
                expected=f"{self._wanted.size} bytes",
            )
        if (got := f"sha256:{self._sha.hexdigest()}") != self._wanted.digest:
            raise Invalid(f"content has the digest {got}", expected=self._wanted.digest)

    def close(self) -> None:
        if not self.closed:
            self._stream.close()
        super().close()


def verified(content: Content, descriptor: Descriptor) -> BinaryIO:
    """A stream that raises Invalid at its end where its bytes are not the descriptor's."""
    return io.BufferedReader(Verified(content.open(descriptor), descriptor), CHUNK)


def read(content: Content, descriptor: Descriptor, limit: int = LIMIT) -> bytes:
    """All of a small content, verified. Raises Invalid, also for one above the limit."""
    if descriptor.size > limit:
        raise Invalid(f"{descriptor.digest} has {descriptor.size} bytes", expected=f"≤ {limit}")
    with verified(content, descriptor) as stream:
        return stream.read()
