"""Resolvers: what a name that can move stands for, as triton.lock keeps it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tritonbuild.digest import Digest
from tritonbuild.lock import LockedFile, Request


class Desk(Protocol):
    """Where a resolver works, if it has to look at content."""

    @property
    def scratch(self) -> Path:
        """A private folder, removed afterwards."""

    def keep(self, file: Path) -> Digest:
        """Moves a file into the cache, where tools find it by its digest."""


Resolve = Callable[[Request, Desk], Sequence[LockedFile]]


@dataclass(frozen=True)
class Resolver:
    """Answers a lock request of its kind; the only step of planning that may use the network."""

    kind: str
    function: Resolve = field(compare=False)


def resolver(kind: str) -> Callable[[Resolve], Resolver]:
    """Makes a resolver of a function."""
    return lambda function: Resolver(kind, function)
