"""What an `[images.X]` table may say."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator
from pydantic_core import PydanticCustomError

from tritonbuild.oci import OciError
from tritonbuild.oci.registry.reference import Reference
from tritonbuild.rule import ByName, Dep, Field, ImageInfo, Rule, SourceRef, workspace_default

from ..base_info import BaseInfo
from ..component import BackendInfo, CacheInfo, RepoAgentInfo
from ..distribution import DistributionInfo
from ..servable import ModelInfo
from .accounts import TRITON
from .options import Option


class ImageAttributes(Rule.Attributes):
    images: list[Dep[ImageInfo]] = Field(
        default=[],
        description="Makes it an index of these images, one a platform; then nothing else is said "
        "but `tags` and `annotations`.",
    )
    form: Literal["server", "modelpack", "modelcar", "modelcar-sidecar"] = Field(
        default="server",
        description="`server`: what runs. Or models alone, over the same blobs: `modelpack`, as "
        "CNCF's specification has them; `modelcar`, an image that KServe mounts as a volume; "
        "`modelcar-sidecar`, one that can also run beside a server, with a static shell.",
    )
    distribution: Dep[DistributionInfo] | None = workspace_default("The Triton that is in it.")
    base: Dep[BaseInfo] | None = Field(
        default=None,
        description="What lies below. If not said: a root file system of Debian packages that is "
        "just enough for Triton and its python backend.",
    )

    models: list[Dep[ModelInfo]] = Field(
        default=[], description="Labels and patterns of the models that it carries, in /models."
    )
    backends: list[ByName[BackendInfo]] = Field(
        default=[], description="More than those that the models need."
    )
    repoagents: list[ByName[RepoAgentInfo]] = Field(default=[], description="Likewise.")
    caches: list[ByName[CacheInfo]] = Field(
        default=[], description="Likewise; one is what the server can use."
    )
    packages: list[str] = Field(
        default=[], description="Debian packages on top, of the base's release."
    )
    requirements: list[str] = Field(
        default=[],
        description="Python packages that every model without an environment of its own sees.",
    )
    files: dict[str, SourceRef] = Field(
        default={}, description="Path in the image → a file or folder of the workspace."
    )
    env: dict[str, str] = Field(default={}, description="Variables of its processes.")
    labels: dict[str, str] = Field(default={}, description="Labels of its containers.")
    annotations: dict[str, str] = Field(
        default={},
        description="Of its manifest; `{git.commit}`, `{git.short}`, `{git.branch}`, `{git.tag}`, "
        "`{git.describe}` and `{git.date}` are replaced.",
    )
    tags: list[str] = Field(
        default=[],
        description="What `push` and `load` call it: `registry.example/acme/server:{git.short}`.",
    )
    user: str = Field(
        default=TRITON,
        description="Who it runs as: a name, `UID` or `UID:GID`. A name that the base does not "
        "have is made.",
    )
    entrypoint: list[str] | None = Field(default=None, description="Instead of the base's.")
    command: list[str] | None = Field(
        default=None,
        description="Instead of tritonserver with the `server` options; empty: the base's.",
    )
    working_dir: str = Field(default="", description="Instead of the base's.")
    server: dict[str, Option] = Field(
        default={},
        description="Flags of tritonserver, with _ for -, checked against the release: "
        '`{ model_control_mode = "explicit", cache_config = { local = { size = "64MiB" } } }`.',
    )
    ports: list[int] = Field(default=[8000, 8001, 8002], description="That it listens on.")
    stop_signal: str = Field(default="SIGTERM", description="What stops it.")
    healthcheck: bool | list[str] = Field(
        default=False,
        description='For Docker: a command in its form (`["CMD", …]`), or true to ask the server '
        "whether it is ready.",
    )
    platform: str = Field(default="linux/amd64", description="OS/ARCHITECTURE.")
    compression: Literal["gzip", "zstd", "none"] = Field(
        default="gzip",
        description="Of layers but the models'. `zstd` is smaller and faster; Docker before 23 "
        "does not know it.",
    )
    attach: list[Literal["spdx", "cyclonedx", "provenance"]] = Field(
        default=[],
        description="Documents that are made of it, and pushed with it as referrers: what is in it "
        "as SPDX or CycloneDX, and how it came about (SLSA provenance).",
    )
    size_budget: str | None = Field(
        default=None, description="Bytes that may be pulled, such as `6GiB`; more is an error."
    )

    @field_validator("base", mode="before")
    @classmethod
    def _is_label(cls, value: object) -> object:
        """Dockerfiles name an image there."""
        if not isinstance(value, str) or value.startswith(("//", ":")):
            return value
        try:
            Reference.parse(value)
        except OciError:
            return value  # told as any other that is no label
        remedy = f'an image is a base: [bases.X] image = "{value}", and base = ":X"'
        raise PydanticCustomError("value_error", "a label, such as //:X", {"remedy": remedy})
