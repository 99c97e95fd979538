"""A root file system of its own for a program that a tool starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Bind:
    """A file or folder of the host that is seen in a container."""

    source: Path
    path: str
    """Absolute, inside; made where there is nothing."""
    writable: bool = False


@dataclass(frozen=True)
class Container:
    """Private namespaces around a root file system: nothing else of the host is seen but its
    network and what is bound. A program in it has no capabilities and gains none."""

    root: Path
    """Such as an image's. It is never changed: what is written lies in memory."""
    user: int = 0
    group: int = 0
    """Ids inside; outside all is done as who runs the build."""
    binds: Sequence[Bind] = ()
    shown: Sequence[Path] = ()
    """More of the host that is seen in its place: devices, and read-only files and folders."""
    scratch: Sequence[tuple[str, int]] = (("/tmp", 0),)  # noqa: S108
    """Folders in memory that everyone may write to, and their bytes (0: half of the machine's
    memory)."""
    writable: bool = False
    """Whether the program may write where the modes of the root's files let it."""
