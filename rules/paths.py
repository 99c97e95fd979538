"""Relative paths that a manifest says: which are good, and which lie in one another's way."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

EXPECTED = "a relative path such as `a/b.txt`, without `.` and `..`"


def is_relative(path: str) -> bool:
    """Whether it names something below a folder, in its only spelling."""
    return path.isprintable() and not any(part in ("", ".", "..") for part in path.split("/"))


def overlap(paths: Iterable[str]) -> tuple[str, str] | None:
    """Two of the paths, the second equal to the first or inside it; None when there are none."""
    seen = sorted(tuple(path.split("/")) for path in paths)
    for one, other in pairwise(seen):
        if other[: len(one)] == one:
            return "/".join(one), "/".join(other)
    return None
