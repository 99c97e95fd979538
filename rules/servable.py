"""What models hand to targets that serve, hold or verify them."""

from __future__ import annotations

from dataclasses import dataclass

from tritonbuild.rule import Artifact, Label

from .component import BackendInfo


@dataclass(frozen=True)
class ModelInfo:
    """Provider: a model."""

    label: Label
    name: str
    """Triton's name of it."""
    tree: Artifact
    """The folder that stands in a repository under that name."""
    backend: BackendInfo
    requirements: tuple[str, ...]
    """Python packages that it needs, as PEP 508 writes them."""


@dataclass(frozen=True)
class ServableInfo:
    """Provider: models that one server can serve together."""

    models: tuple[ModelInfo, ...]
