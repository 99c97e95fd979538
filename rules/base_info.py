"""What bases hand to images that stand on them."""

from __future__ import annotations

from dataclasses import dataclass

from tritonbuild.rule import Artifact, Label, LockedFile, Output

IMAGE = "image"
"""What tools that make images call their output, a sparse layout."""


@dataclass(frozen=True)
class BaseInfo:
    """Provider: a root file system that images are built on."""

    label: Label
    image: Output
    """A sparse layout (`tritonbuild.oci.sparse`) of one image."""
    platform: str = "linux/amd64"
    python: str = ""
    """The Python that it has, such as `3.11`; empty where it has none, or that is not known."""
    wheels: str = ""
    """What wheels may need of it, such as `x86_64-linux-gnu2.36`."""
    origins: tuple[str, ...] = ()
    """References of images in registries that have its layers."""
    suite: str = ""
    """Of a base of Debian packages: `bookworm`."""
    locked: tuple[LockedFile, ...] = ()
    """Its Debian packages; or the manifest of an image."""
    layers: tuple[Artifact, ...] = ()
    statuses: tuple[Artifact, ...] = ()
    """Of a base of Debian packages: its layers but the one on top (`deb_state`), and their parts of
    dpkg's status."""
