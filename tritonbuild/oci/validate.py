"""Recomputes everything that an image, or an index of images, says of itself."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import BinaryIO

from tritonbuild.digest import CHUNK
from tritonbuild.oci.compression import Compression, decompressed
from tritonbuild.oci.content import Content
from tritonbuild.oci.documents import (
    CONFIG,
    DOCKER_CONFIG,
    INDEXES,
    LIMIT,
    MANIFESTS,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
)
from tritonbuild.oci.errors import Absent, Invalid, Refused
from tritonbuild.oci.indexing import allowed, index_layer
from tritonbuild.oci.walk import DEEPEST

MOST_LAYERS = 127
"""What Docker takes."""


def validate(source: Content, descriptor: Descriptor) -> list[str]:
    """Every fault, each with the content that it is in; none: all is as it says. Raises Passing."""
    validation = _Validation(source)
    validation.check(descriptor, DEEPEST)
    return validation.faults


class _Validation:
    def __init__(self, source: Content):
        self._source = source
        self._seen: set[tuple[str, int, str]] = set()
        self.faults: list[str] = []

    def check(self, descriptor: Descriptor, deep: int) -> None:
        """An image or an index."""
        with self._once(descriptor, descriptor.digest) as new:
            if not new:
                return
            if descriptor.media_type in INDEXES:
                self._index(descriptor, deep)
            elif descriptor.media_type in MANIFESTS:
                self._manifest(descriptor)
            else:
                known = ", ".join((*MANIFESTS, *INDEXES))
                raise Invalid(f"its media type {descriptor.media_type!r} is none of {known}")

    def _index(self, descriptor: Descriptor, deep: int) -> None:
        what = descriptor.digest
        index = Index.parse(self._document(descriptor, what), "index")
        self._one_kind(descriptor, index, "layers")
        if deep == 0:
            raise Invalid(f"more than {DEEPEST} indexes lie in each other")
        for entry in index.manifests:
            if entry.digest == descriptor.digest:
                self._tell(what, "it names itself")
            else:
                self.check(entry, deep - 1)

    def _manifest(self, descriptor: Descriptor) -> None:
        what = descriptor.digest
        manifest = Manifest.parse(self._document(descriptor, what), "manifest")
        self._one_kind(descriptor, manifest, "manifests")
        if descriptor.digest in (entry.digest for entry in (manifest.config, *manifest.layers)):
            raise Invalid("it names itself")
        if manifest.artifact_type or manifest.config.media_type not in (CONFIG, DOCKER_CONFIG):
            for entry in (manifest.config, *manifest.layers):
                with self._once(entry, entry.digest) as new:
                    if new:
                        self._blob(entry)
            return
        self._counts(manifest, what)
        diff_ids = self._config(manifest, descriptor)
        for number, layer in enumerate(manifest.layers):
            diff_id = diff_ids[number] if len(diff_ids) == len(manifest.layers) else ""
            with self._once(layer, f"layer {number}, {layer.digest}", diff_id) as new:
                if new:
                    self._layer(layer, f"layer {number}, {layer.digest}", diff_id)

    def _config(self, manifest: Manifest, descriptor: Descriptor) -> list[str]:
        """The diff ids that it tells."""
        what = f"config {manifest.config.digest}"
        with self._telling(what):
            config = ImageConfig.parse(self._document(manifest.config, what), "config")
            count, diff_ids = len(manifest.layers), config.rootfs.diff_ids
            if len(diff_ids) != count:
                self._tell(what, f"it has {len(diff_ids)} diff ids for {count} layers")
            if config.rootfs.type != "layers":
                self._tell(what, f"its rootfs is of the type {config.rootfs.type!r}, not layers")
            if descriptor.platform and not config.platform.fits(descriptor.platform):
                told = f"it is for {config.platform}, and named as one for {descriptor.platform}"
                self._tell(what, told)
            return diff_ids
        return []

    def _counts(self, manifest: Manifest, what: str) -> None:
        if len(manifest.layers) > MOST_LAYERS:
            self._tell(what, f"it has {len(manifest.layers)} layers, more than {MOST_LAYERS}")
        first: dict[str, int] = {}
        for number, layer in enumerate(manifest.layers):
            if first.setdefault(layer.digest, number) != number:
                self._tell(what, f"its layer {number} is its layer {first[layer.digest]} again")

    def _layer(self, layer: Descriptor, what: str, diff_id: str) -> None:
        with closing(_Summed(self._source.open(layer), layer.size + LIMIT)) as blob:
            with self._telling(what):
                compression = Compression.of(layer.media_type)
                plain = compression is Compression.NONE
                limit = layer.size + LIMIT if plain else allowed(layer.size)
                stream = decompressed(blob, compression)  # type: ignore[arg-type]
                tar = _Summed(stream, limit)
                with self._telling(what):
                    index_layer(tar, limit)  # type: ignore[arg-type]
                if tar.finish() and diff_id and tar.digest != diff_id:
                    self._tell(what, f"its tar has the digest {tar.digest}, its diff id: {diff_id}")
            self._judge(blob, layer, what)

    def _blob(self, descriptor: Descriptor) -> None:
        with closing(_Summed(self._source.open(descriptor), descriptor.size + LIMIT)) as blob:
            self._judge(blob, descriptor, descriptor.digest)

    def _document(self, descriptor: Descriptor, what: str) -> bytes:
        if descriptor.size > LIMIT:
            raise Invalid(f"it has {descriptor.size} bytes, more than {LIMIT}")
        with closing(_Summed(self._source.open(descriptor), descriptor.size + LIMIT)) as blob:
            content = blob.read(LIMIT)
            self._judge(blob, descriptor, what)
        return content

    def _judge(self, blob: _Summed, descriptor: Descriptor, what: str) -> None:
        if not blob.finish():
            self._tell(what, f"it goes on after {descriptor.size} bytes")
            return
        if blob.size != descriptor.size:
            self._tell(what, f"it has {blob.size} bytes, not {descriptor.size}")
        if blob.digest != descriptor.digest:
            self._tell(what, f"its content has the digest {blob.digest}")

    def _one_kind(self, descriptor: Descriptor, document: Manifest | Index, other: str) -> None:
        """That nobody can take it for something else."""
        if document.media_type != descriptor.media_type:
            told = f"it says that it is {document.media_type}, and is named as one of "
            self._tell(descriptor.digest, told + descriptor.media_type)
        if other in (document.model_extra or {}):
            self._tell(descriptor.digest, f"it has {other} too, of another kind of document")

    @contextmanager
    def _once(self, descriptor: Descriptor, what: str, more: str = "") -> Iterator[bool]:
        """Whether nobody looked at it yet, as this and with this size."""
        key = (f"{descriptor.digest}{more}", descriptor.size, descriptor.media_type)
        new = key not in self._seen
        self._seen.add(key)
        with self._telling(what):
            yield new

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        try:
            yield
        except Invalid as error:
            for fault in error.faults:
                self._tell(what, fault)
        except (Absent, Refused) as error:
            self._tell(what, error.problem.found)

    def _tell(self, what: str, fault: str) -> None:
        told = f"{what}: {fault}"
        if told not in self.faults:
            self.faults.append(told)


class _Summed:
    """A stream to read, counted and hashed."""

    def __init__(self, stream: BinaryIO, most: int):
        self._stream = stream
        self._most = most
        self._sha = hashlib.sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._sha.hexdigest()}"

    def seekable(self) -> bool:
        return False

    def read(self, count: int) -> bytes:
        """As many bytes, or fewer at the end."""
        pieces = []
        while count and (piece := self._stream.read(count)):
            pieces.append(piece)
            self.size += len(piece)
            self._sha.update(piece)
            count -= len(piece)
        return b"".join(pieces)

    def finish(self) -> bool:
        """Reads the rest; whether it has an end."""
        while self.size <= self._most and self.read(CHUNK):
            pass
        return self.size <= self._most

    def close(self) -> None:
        self._stream.close()
