"""NVIDIA's releases: what their images are called, and what of their contents is known by name
before any is looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

REPOSITORY = "nvcr.io/nvidia/tritonserver"
_OLDEST = (23, 10)
"""The first release of which it is known what is in it."""
_RELEASE = re.compile(r"(\d\d)\.(0[1-9]|1[0-2])")


class Release(NamedTuple):
    """Such as 24.09; compared by time."""

    year: int
    month: int

    @classmethod
    def parse(cls, text: str) -> Release | None:
        """None for what is none."""
        match = _RELEASE.fullmatch(text)
        return cls(int(match[1]), int(match[2])) if match else None

    def __str__(self) -> str:
        return f"{self.year}.{self.month:02}"

    @property
    def min(self) -> str:
        return f"{REPOSITORY}:{self}-py3-min"

    @property
    def full(self) -> str:
        return f"{REPOSITORY}:{self}-py3"

    @property
    def python(self) -> str:
        """Of Ubuntu 22.04, and from 24.11 on of 24.04; empty: not known, of releases before."""
        return self._of_system("3.10", "3.12")

    @property
    def glibc(self) -> str:
        """Likewise."""
        return self._of_system("2.35", "2.39")

    def _of_system(self, jammy: str, noble: str) -> str:
        if self < _OLDEST:
            return ""
        return jammy if self < (24, 11) else noble

    @property
    def components(self) -> Mapping[str, tuple[str, ...]] | None:
        """What its `full` is built with by build.py, by kind; None: not known."""
        if self < _OLDEST:
            return None
        backends = {
            "dali", "fil", "identity", "onnxruntime", "openvino", "python", "pytorch", "repeat",
            "square", "tensorrt", *(["tensorflow"] if self < (25, 3) else []),
        }  # fmt: skip
        return {
            "backends": tuple(sorted(backends)),
            "repoagents": ("checksum",),
            "caches": ("local", "redis"),
        }


def release_of(reference: str) -> Release | None:
    """The release that an image's tag names; None for other people's images too."""
    repository, _, tag = reference.partition(":")
    return Release.parse(tag.partition("-")[0]) if repository == REPOSITORY else None
