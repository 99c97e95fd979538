"""The JSON documents of an image, as the OCI image specification 1.1 and Docker's schema 2 write
them: https://github.com/opencontainers/image-spec

What is read keeps its own bytes, and with them its digest; what we write is canonical: keys
sorted, no spaces.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from tritonbuild.digest import Digest
from tritonbuild.oci.errors import Invalid

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = f"{LAYER}+gzip"
LAYER_ZSTD = f"{LAYER}+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = f"{DOCKER_LAYER}.gzip"

MANIFESTS = (MANIFEST, DOCKER_MANIFEST)
INDEXES = (INDEX, DOCKER_INDEX)
CONFIGS = (CONFIG, DOCKER_CONFIG)
LIMIT = 4 << 20
"""Bytes of a document that are read: what registries take of a manifest."""

Name = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Size = Annotated[int, Field(ge=0, lt=1 << 63)]
Document = TypeVar("Document", bound="_Document")


class _Document(BaseModel):
    """Keys that are not named here are kept."""

    model_config = ConfigDict(
        extra="allow", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True,
        defer_build=True,  # until it is used
    )  # fmt: skip

    @classmethod
    def parse(cls: type[Document], content: bytes, what: str) -> Document:
        """Raises Invalid with every fault, each at its key."""
        if len(content) > LIMIT:
            raise Invalid(f"{what} has {len(content)} bytes", expected=f"at most {LIMIT}")
        try:
            return cls.model_validate_json(content)
        except (ValidationError, RecursionError) as error:
            faults = error.errors() if isinstance(error, ValidationError) else []
            told = [_fault(what, fault) for fault in faults[:20]] or [f"{what} is nested too deep"]
            raise Invalid(*told, expected=f"a {cls.__doc__ or cls.__name__}") from None

    @property
    def encoded(self) -> bytes:
        return encode(self.model_dump(by_alias=True, exclude_none=True))


def encode(document: Any) -> bytes:
    """Canonical JSON."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def _fault(what: str, fault: Any) -> str:
    key = ".".join(map(str, fault["loc"]))
    return f"{what}: {key}: {fault['msg']}" if key else f"{what}: {fault['msg']}"


class Platform(_Document):
    """platform of an image."""

    architecture: str
    os: str
    variant: str | None = None
    os_version: str | None = Field(default=None, alias="os.version")

    @classmethod
    def of(cls, text: str) -> Platform:
        """Of `linux/amd64` or `linux/arm/v7`. Raises ValueError."""
        parts = text.split("/")
        if len(parts) not in (2, 3) or not all(parts):
            raise ValueError(f"{text!r} is not OS/ARCHITECTURE[/VARIANT]")
        return cls(os=parts[0], architecture=parts[1], variant=parts[2] if parts[2:] else None)

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))

    def fits(self, wanted: Platform) -> bool:
        """Whether an image for this platform is what somebody means who names `wanted`."""
        same = (self.os, self.architecture) == (wanted.os, wanted.architecture)
        return same and (wanted.variant is None or self.variant in (None, wanted.variant))


class Descriptor(_Document):
    """descriptor of content."""

    media_type: str
    digest: Name
    size: Size
    annotations: dict[str, str] | None = None
    platform: Platform | None = None
    artifact_type: str | None = None

    @property
    def content(self) -> Digest:
        return Digest(self.digest.removeprefix("sha256:"), self.size)

    @classmethod
    def of(cls, media_type: str, digest: Digest, **more: Any) -> Descriptor:
        return cls(media_type=media_type, digest=f"sha256:{digest.hash}", size=digest.size, **more)


class Manifest(_Document):
    """manifest of an image or artifact."""

    schema_version: Annotated[int, Field(ge=2, le=2)] = 2
    media_type: str = MANIFEST
    artifact_type: str | None = None
    config: Descriptor
    layers: list[Descriptor]
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class Index(_Document):
    """index of images."""

    schema_version: Annotated[int, Field(ge=2, le=2)] = 2
    media_type: str = INDEX
    artifact_type: str | None = None
    manifests: list[Descriptor]
    subject: Descriptor | None = None
    annotations: dict[str, str] | None = None


class RootFs(_Document):
    """rootfs of an image's config."""

    type: str = "layers"
    diff_ids: list[Name] = Field(default=[], alias="diff_ids")


class Execution(_Document):
    """config of containers; its keys begin with capitals."""

    model_config = ConfigDict(
        alias_generator=lambda name: "".join(word.capitalize() for word in name.split("_"))
    )

    user: str | None = None
    env: list[str] | None = None
    entrypoint: list[str] | None = None
    cmd: list[str] | None = None
    working_dir: str | None = None
    labels: dict[str, str] | None = None
    exposed_ports: dict[str, dict[str, Any]] | None = None
    stop_signal: str | None = None
    healthcheck: dict[str, Any] | None = None
    """Docker's extension."""


class ImageConfig(_Document):
    """config of an image."""

    architecture: str
    os: str
    variant: str | None = None
    created: str | None = None
    author: str | None = None
    config: Execution | None = None
    rootfs: RootFs = Field(default_factory=lambda: RootFs())
    history: list[dict[str, Any]] | None = None

    @property
    def platform(self) -> Platform:
        return Platform(os=self.os, architecture=self.architecture, variant=self.variant)
