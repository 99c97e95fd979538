"""Triton's releases, in order."""

from __future__ import annotations


def number(release: str) -> tuple[int, int]:
    """Of `2.51.0`: (2, 51). An unknown release (`""`) counts as newer than any."""
    major, _, rest = release.partition(".")
    minor = rest.partition(".")[0]
    if not (major.isdecimal() and minor.isdecimal()):
        return (1 << 30, 0)
    return int(major), int(minor)


def before(release: str, other: str) -> bool:
    """Whether a release is older than another."""
    return number(release) < number(other)
