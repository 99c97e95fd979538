"""What a distribution hands on whose Triton lies in images."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tritonbuild.rule import Artifact, LockedFile

from ..base_info import BaseInfo


@dataclass(frozen=True)
class ImagesInfo:
    """A Triton that is cut out of an image, or one that stays where it is."""

    base: BaseInfo | None
    """`min`, or the image that has everything; None: an image has to name its own."""
    whole: bool
    """The base has the server, and components, already."""
    layers: tuple[LockedFile, ...]
    """Of `full`, those that the base does not have, from the lowest up …"""
    all_layers: tuple[LockedFile, ...]
    """… and all of them."""
    facts: Artifact
    """facts.json (`check.Facts`): what `full` says of itself."""
    platform: str
    names: tuple[tuple[str, str], ...]
    """`min`, `full` → the reference that its manifest is pinned by."""
    slim: tuple[str, ...] = ()
    """What is left out of components, by the names of `slim.SLIM`."""
    component_cache: str = ""
    """A repository of a registry that keeps what was cut (`shared`)."""
    catalogue: Artifact | None = None
    """What a workspace adds to `catalogue.toml`."""

    @property
    def apart(self) -> ImagesInfo:
        """For an image that stands on something else than `min`."""
        return replace(self, base=None, layers=self.all_layers)
