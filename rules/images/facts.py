"""What analysis knows of an image, for the documents about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from tritonbuild.rule import LockedFile

from .bill import Kind, Public
from .provenance import Build


class _Facts(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Component(_Facts):
    """The core or a component, and the folder of the image that it lies in."""

    kind: Kind
    name: str
    path: str
    release: str = ""
    purl: str = ""
    source: Public = ""
    sha256: str = ""


class Model(_Facts):
    name: str
    path: str
    """Of its folder in the image."""
    sources: Mapping[str, str] = {}
    """As `ModelInfo.sources` has them."""


class Facts(_Facts):
    """What analysis knows."""

    name: str
    """Of the image: the last part of its references."""
    platform: str
    build: Build
    components: Sequence[Component] = ()
    models: Sequence[Model] = ()
    wheels: Sequence[LockedFile] = ()
