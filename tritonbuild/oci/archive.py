"""Images in a tar: what `docker save` writes and `docker load` takes, and OCI layouts packed into
one."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Collection, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, BinaryIO

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.alias_generators import to_pascal

from tritonbuild.digest import CHUNK, Digest
from tritonbuild.oci.compression import Compression
from tritonbuild.oci.documents import (
    CONFIG,
    MANIFEST,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    encode,
)
from tritonbuild.oci.errors import Absent, Invalid
from tritonbuild.oci.image import Image, Layer
from tritonbuild.oci.layout import REF_NAME, layout_index, named
from tritonbuild.oci.packed import Packed
from tritonbuild.oci.sparse import BLOBS, INDEX_FILE, LAYOUT, LAYOUT_CONTENT
from tritonbuild.oci.tar import END

DOCKER_MANIFEST_FILE = "manifest.json"


class _Saved(BaseModel):
    """An image of manifest.json."""

    model_config = ConfigDict(alias_generator=to_pascal, strict=True)

    config: str
    repo_tags: list[str] | None = None
    layers: Annotated[list[str], Field(max_length=1000)]


class Archive:
    """Implements Content. Where an archive is both, it is read as an OCI layout."""

    def __init__(self, path: Path):
        """Of an uncompressed tar."""
        self._path = path
        self._contents: dict[str, str | bytes] = {}
        """Digest → member, or what we have made of Docker's manifest.json."""

    @cached_property
    def _files(self) -> Packed:
        return Packed(self._path)

    @cached_property
    def index(self) -> Index:
        """Of all images in it. Raises Absent, Invalid, Refused."""
        if LAYOUT in self._files:
            return layout_index(self._files.open, str(self._path))
        if DOCKER_MANIFEST_FILE not in self._files:
            expected = f"an archive with {LAYOUT} or {DOCKER_MANIFEST_FILE}"
            raise Invalid(f"{self._path} holds no image", expected=expected)
        return Index(manifests=[*self._docker()])

    def descriptor(self, name: str = "") -> Descriptor:
        """Of the image, or of the index of images, of that name (Docker's tags are names); without
        one, of the only one. Raises Absent."""
        return named(self.index, name, str(self._path))

    def open(self, descriptor: Descriptor) -> BinaryIO:
        if LAYOUT in self._files:
            return self._files.open(f"{BLOBS}/{descriptor.content.hash}")
        self.index  # noqa: B018  # which knows what is where
        place = self._contents.get(descriptor.digest)
        if place is None:
            raise Absent(f"{self._path} holds no {descriptor.digest}")
        return io.BytesIO(place) if isinstance(place, bytes) else self._files.open(place)

    def _docker(self) -> Iterator[Descriptor]:
        """Of the images that manifest.json names, each once a tag."""
        what = f"{DOCKER_MANIFEST_FILE} of {self._path}"
        try:
            saved = TypeAdapter(list[_Saved]).validate_json(self._files.read(DOCKER_MANIFEST_FILE))
        except (ValidationError, RecursionError):
            raise Invalid(f"{what} is damaged", expected="a list of images") from None
        for number, image in enumerate(saved):
            descriptor = self._manifest(image, f"image {number} in {what}")
            for tag in image.repo_tags or [""]:
                said = {REF_NAME: tag} if tag else None
                yield descriptor.model_copy(update={"annotations": said})

    def _manifest(self, saved: _Saved, what: str) -> Descriptor:
        content = self._files.read(saved.config)
        config = ImageConfig.parse(content, f"config of {what}")
        diff_ids = config.rootfs.diff_ids
        if len(diff_ids) != len(saved.layers):
            raise Invalid(
                f"{what} has {len(saved.layers)} layers and {len(diff_ids)} diff ids",
                expected="one diff id a layer",
            )
        named = Descriptor.of(CONFIG, Digest.of_bytes(content))
        self._contents[named.digest] = saved.config
        pairs = zip(saved.layers, diff_ids, strict=True)
        manifest = Manifest(config=named, layers=[self._layer(*pair) for pair in pairs])
        digest = Digest.of_bytes(manifest.encoded)
        descriptor = Descriptor.of(MANIFEST, digest, platform=config.platform)
        self._contents[descriptor.digest] = manifest.encoded
        return descriptor

    def _layer(self, name: str, diff_id: str) -> Descriptor:
        with self._files.open(name) as file:
            compression = Compression.seen(file.read(4))
        if compression is not Compression.NONE:
            with self._files.open(name) as file:
                diff_id = f"sha256:{Digest.of_stream(file).hash}"
        self._contents[diff_id] = name
        return Descriptor(
            media_type=compression.media_type, digest=diff_id, size=self._files.size(name)
        )


def write_docker_archive(
    image: Image, file: BinaryIO, without: Collection[str] = (), tags: Sequence[str] = ()
) -> None:
    """Writes what `docker load` takes, in one pass, to a file that need not seek. Layers whose diff
    ids are in `without` are named and left out: the daemon has them."""
    config = f"{image.manifest.config.content.hash}.json"
    layers = {_name(layer): layer for layer in image.layers}
    names = [_name(layer) for layer in image.layers]
    manifest = [{"Config": config, "RepoTags": list(tags), "Layers": names}]
    _write(file, DOCKER_MANIFEST_FILE, encode(manifest))
    _write(file, config, image.config_bytes)
    for name, layer in layers.items():
        if layer.diff_id not in without:
            with layer.uncompressed() as tar:
                _copy(file, name, tar, _size(layer))
    file.write(END)


def write_oci_archive(image: Image, file: BinaryIO, without: Collection[str] = ()) -> None:
    """Writes an OCI layout in the same way: what a Docker that keeps images in containerd takes as
    it is. It has the layers whose diff ids are in `without`."""
    _write(file, LAYOUT, LAYOUT_CONTENT)
    _write(file, INDEX_FILE, Index(manifests=[image.descriptor]).encoded)
    _write(file, _blob(image.descriptor), image.manifest_bytes)
    _write(file, _blob(image.manifest.config), image.config_bytes)
    for name, layer in {_blob(layer.descriptor): layer for layer in image.layers}.items():
        if layer.diff_id not in without:
            with layer.open() as blob:
                _copy(file, name, blob, layer.descriptor.size)
    file.write(END)


def _blob(descriptor: Descriptor) -> str:
    return f"{BLOBS}/{descriptor.content.hash}"


def _name(layer: Layer) -> str:
    return f"{layer.diff_id.removeprefix('sha256:')}.tar"


def _size(layer: Layer) -> int:
    """Bytes of its tar. Nothing tells that of a compressed one but reading it."""
    if Compression.of(layer.descriptor.media_type) is Compression.NONE:
        return layer.descriptor.size
    with layer.uncompressed() as tar:
        return Digest.of_stream(tar).size


def _copy(file: BinaryIO, name: str, content: BinaryIO, size: int) -> None:
    file.write(_header(name, size))
    shutil.copyfileobj(content, file, CHUNK)
    file.write(_padding(size))


def _write(file: BinaryIO, name: str, content: bytes) -> None:
    file.write(_header(name, len(content)) + content + _padding(len(content)))


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return b"\0" * (-size % tarfile.BLOCKSIZE)
