"""Triton's releases, in order."""

from __future__ import annotations

import re

FILE = "TRITON_VERSION"
"""In NVIDIA's images, beside the server's folders: what `release_in` reads."""


def release_in(content: bytes) -> str:
    """The release that such a file tells; empty when it tells none."""
    said = re.fullmatch(rb"\s*([0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4})(dev)?\s*", content)
    return said[1].decode() if said else ""


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
