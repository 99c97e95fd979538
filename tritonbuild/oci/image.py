"""An image: its manifest, its config and its layers, whatever source holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import BinaryIO

from tritonbuild.oci.compression import Compression, decompressed
from tritonbuild.oci.content import Content, read, verified
from tritonbuild.oci.documents import (
    CONFIGS,
    INDEXES,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    Platform,
)
from tritonbuild.oci.errors import Absent, Invalid


@dataclass(frozen=True)
class Layer:
    """A tar of changes to the file system below it."""

    source: Content
    descriptor: Descriptor
    diff_id: str
    """`sha256:…` of the tar."""

    def open(self) -> BinaryIO:
        """Its blob, verified at the end."""
        return verified(self.source, self.descriptor)

    def uncompressed(self) -> BinaryIO:
        """Its tar; the blob is verified at the end, the tar is not: `validate` does."""
        return decompressed(self.open(), Compression.of(self.descriptor.media_type))


@dataclass(frozen=True)
class Image:
    """An image, or an artifact in an image's form, that a source holds."""

    source: Content
    descriptor: Descriptor
    """Of the manifest."""

    @cached_property
    def manifest_bytes(self) -> bytes:
        return read(self.source, self.descriptor)

    @cached_property
    def manifest(self) -> Manifest:
        return Manifest.parse(self.manifest_bytes, f"manifest {self.descriptor.digest}")

    @cached_property
    def config_bytes(self) -> bytes:
        return read(self.source, self.manifest.config)

    @cached_property
    def config(self) -> ImageConfig:
        return ImageConfig.parse(self.config_bytes, f"config {self.manifest.config.digest}")

    @cached_property
    def layers(self) -> Sequence[Layer]:
        """From the lowest up. Raises Invalid where manifest and config do not agree."""
        kind = self.manifest.artifact_type or self.manifest.config.media_type
        if self.manifest.config.media_type not in CONFIGS:
            raise Invalid(f"{self.descriptor.digest} is an artifact: {kind}", expected="an image")
        blobs, diff_ids = self.manifest.layers, self.config.rootfs.diff_ids
        if len(blobs) != len(diff_ids):
            raise Invalid(
                f"{self.descriptor.digest} has {len(blobs)} layers and {len(diff_ids)} diff ids",
                expected="one diff id a layer",
            )
        pairs = zip(blobs, diff_ids, strict=True)
        return [Layer(self.source, blob, diff_id) for blob, diff_id in pairs]


def check_platform(image: Image, platform: Platform) -> None:
    """Raises Absent for an image, chosen from no index, that is for another platform. Artifacts are
    for all."""
    is_image = image.manifest.config.media_type in CONFIGS
    if is_image and not image.config.platform.fits(platform):
        raise Absent(f"no image for {platform}", f"one of its platforms: {image.config.platform}")


def image_in(source: Content, descriptor: Descriptor, platform: Platform) -> Image:
    """The image that a descriptor means: itself, or that of an index for the platform. Raises
    Absent, with the platforms that there are; Invalid for an index that leads nowhere."""
    seen: set[str] = set()
    while descriptor.media_type in INDEXES:
        if descriptor.digest in seen or len(seen) > 4:
            raise Invalid(f"index {descriptor.digest} leads to itself")
        seen.add(descriptor.digest)
        index = Index.parse(read(source, descriptor), f"index {descriptor.digest}")
        fitting = [
            entry for entry in index.manifests if entry.platform and entry.platform.fits(platform)
        ]
        alone = [entry for entry in index.manifests if entry.platform is None]
        if not fitting and len(index.manifests) == 1:
            fitting = alone
        if not fitting:
            told = ", ".join(str(e.platform) for e in index.manifests if e.platform) or "none named"
            raise Absent(f"no image for {platform}", f"one of its platforms: {told}")
        descriptor = fitting[0]
    return Image(source, descriptor)
