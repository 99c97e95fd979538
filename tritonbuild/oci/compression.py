"""How layers are compressed. The same bytes on every CPU: one thread, pinned libraries, whose
versions are part of a layer's key (`LIBRARIES`)."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, BinaryIO

from tritonbuild.digest import CHUNK
from tritonbuild.oci.documents import DOCKER_LAYER, DOCKER_LAYER_GZIP, LAYER, LAYER_GZIP, LAYER_ZSTD
from tritonbuild.oci.errors import Invalid

LIBRARIES = ("zlib-ng", "zstandard")
LEVELS = {"gzip": 6, "zstd": 3}
_ZSTD = re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18")
"""How a frame begins, and one to be skipped."""
_GZIP_HEADER = 16
"""zlib's number for gzip's header (without a time in it) and sum."""


class Compression(StrEnum):
    NONE = "none"
    """For weights, which do not get smaller."""
    GZIP = "gzip"
    ZSTD = "zstd"
    """For registries and runtimes since about 2022; Docker before 23 does not know it."""

    @property
    def media_type(self) -> str:
        return {"none": LAYER, "gzip": LAYER_GZIP, "zstd": LAYER_ZSTD}[self]

    @classmethod
    def of(cls, media_type: str) -> Compression:
        """Of a layer's media type. Raises Invalid for none that is known."""
        for name in cls:
            if name.media_type == media_type:
                return name
        if media_type in (DOCKER_LAYER, DOCKER_LAYER_GZIP):
            return cls.NONE if media_type == DOCKER_LAYER else cls.GZIP
        if media_type.startswith(LAYER.replace("layer", "layer.nondistributable")):
            return cls.of(media_type.replace("layer.nondistributable", "layer"))
        known = ", ".join(name.media_type for name in cls)
        raise Invalid(f"a layer of media type {media_type!r}", expected=f"one of: {known}")

    @classmethod
    def seen(cls, head: bytes) -> Compression:
        """Of content, by its first four bytes."""
        if head.startswith(b"\x1f\x8b"):
            return cls.GZIP
        return cls.ZSTD if _ZSTD.match(head) else cls.NONE


@contextmanager
def compressing(target: BinaryIO, compression: Compression) -> Iterator[BinaryIO]:
    """A stream to write a tar to; what is compressed goes to `target`, which stays open."""
    if compression is Compression.NONE:
        yield target
        return
    writer = _Even(target, _compressor(compression))
    yield writer  # type: ignore[misc]  # nobody does more than write
    writer.finish()


class _Even:
    """Compresses pieces of one size, whatever is written: zlib-ng's bytes depend on it."""

    def __init__(self, target: BinaryIO, compressor: Any):
        self._target = target
        self._compressor = compressor
        self._waiting = bytearray()

    def write(self, content: Any) -> int:
        self._waiting += content
        while len(self._waiting) >= CHUNK:
            self._target.write(self._compressor.compress(bytes(self._waiting[:CHUNK])))
            del self._waiting[:CHUNK]
        return len(content)

    def finish(self) -> None:
        self._target.write(self._compressor.compress(bytes(self._waiting)))
        self._target.write(self._compressor.flush())


def _compressor(compression: Compression) -> Any:
    if compression is Compression.GZIP:
        from zlib_ng import zlib_ng

        return zlib_ng.compressobj(
            LEVELS[compression], zlib_ng.DEFLATED, zlib_ng.MAX_WBITS | _GZIP_HEADER
        )
    import zstandard

    level = LEVELS[compression]
    return zstandard.ZstdCompressor(level, write_checksum=True, threads=0).compressobj()


def decompressed(stream: BinaryIO, compression: Compression) -> BinaryIO:
    """The tar in a stream, which is closed with it. Reading raises Invalid where the stream is
    damaged, is cut or goes on with something else."""
    if compression is Compression.NONE:
        return stream
    return io.BufferedReader(_Inflated(stream, compression), CHUNK)


class _Inflated(io.RawIOBase):
    """Members of gzip, or frames of zstd, one after the other."""

    def __init__(self, below: BinaryIO, compression: Compression):
        self._below = below
        self._piece, self._start = _ways(compression)
        self._member = self._start()
        self._rest = b""
        """What was read after the last member."""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            piece = self._rest or self._below.read(self._piece)
            if not piece:
                if self._member is not None:
                    raise Invalid("a compressed layer is cut short")
                return 0
            self._ready = memoryview(self._inflate(piece))
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count

    def _inflate(self, piece: bytes) -> bytes:
        from zlib_ng import zlib_ng
        from zstandard import ZstdError

        damaged: Any = zlib_ng.error
        again = self._member is None
        self._member = self._member or self._start()
        self._rest = b""
        try:
            content: bytes = self._member.decompress(piece)
        except (ZstdError, damaged) as error:
            told = "goes on after its end" if again else "is damaged"
            raise Invalid(f"a compressed layer {told}: {error}") from None
        if self._member.eof:
            self._rest = self._member.unused_data
            self._member = None
        return content

    def close(self) -> None:
        if not self.closed:
            self._below.close()
        super().close()


def _ways(compression: Compression) -> tuple[int, Callable[[], Any]]:
    """How many bytes are inflated at once, so that they become 32 MiB at most, and by what."""
    if compression is Compression.GZIP:
        from zlib_ng import zlib_ng

        return 1 << 14, lambda: zlib_ng.decompressobj(zlib_ng.MAX_WBITS | _GZIP_HEADER)
    import zstandard

    return 1 << 10, lambda: zstandard.ZstdDecompressor().decompressobj()
