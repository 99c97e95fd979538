"""Names of targets, made of the names of models."""

from __future__ import annotations

import re

RESERVED = {"all"}
"""Means every target of a package."""


class Names:
    """The targets of one package."""

    def __init__(self) -> None:
        self._taken = set(RESERVED)

    def take(self, wanted: str, otherwise: str) -> str:
        """The name itself where it can be a target's and is free; else one like it, which ends in
        `otherwise` if need be, and in a number if even that is taken."""
        name = re.sub(r"[^A-Za-z0-9_.+=,@~-]", "_", wanted)
        name = name if re.match(r"[A-Za-z0-9_]", name) else f"_{name}"
        free = name
        number = 1
        while free in self._taken:
            free = f"{name}_{otherwise}" if number == 1 else f"{name}_{otherwise}{number}"
            number += 1
        self._taken.add(free)
        return free
