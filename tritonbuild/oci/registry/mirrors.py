"""Mirrors of registries: asked first, and believed as far as digests go.

TRITONBUILD_REGISTRY_MIRRORS="docker.io=https://mirror.example,…"; a path behind the host stands
before the names of repositories. A registry may have several.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Self, TypeVar
from urllib.parse import urlsplit

from tritonbuild.oci.documents import Descriptor
from tritonbuild.oci.errors import OciError, Refused
from tritonbuild.oci.registry.reference import Reference
from tritonbuild.oci.registry.repository import Download, Repository
from tritonbuild.oci.registry.session import Registry
from tritonbuild.oci.registry.transport import SILENCE, is_safe
from tritonbuild.redact import public

VARIABLE = "TRITONBUILD_REGISTRY_MIRRORS"
Found = TypeVar("Found")


class Mirrored:
    """A repository, to pull from: its mirrors', then its own. Implements Content."""

    def __init__(self, places: Sequence[Repository]):
        self._places = places

    @classmethod
    def of(cls, reference: Reference, *, silence: float = SILENCE) -> Self:
        """As the environment says. Raises Refused for mirrors that are none."""
        return cls([*_mirrors(reference, silence), Repository.of(reference, silence=silence)])

    @property
    def own(self) -> Repository:
        """The repository itself."""
        return self._places[-1]

    def __str__(self) -> str:
        return str(self.own)

    def resolve(self, reference: str) -> Descriptor:
        """As `Repository.resolve`."""
        return self._first(lambda place: place.resolve(reference))

    def open(self, descriptor: Descriptor, start: int = 0) -> BinaryIO:
        return self._first(lambda place: place.open(descriptor, start))

    def download(self, digest: str, start: int, attempts: int) -> Download:
        """As `Repository.download`."""
        return self._first(lambda place: place.download(digest, start, attempts))

    def _first(self, ask: Callable[[Repository], Found]) -> Found:
        for place in self._places[:-1]:
            try:
                return ask(place)
            except OciError:  # what counts is what the registry itself says
                continue
        return ask(self.own)

    def close(self) -> None:
        for place in self._places:
            place.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _mirrors(reference: Reference, silence: float) -> Iterator[Repository]:
    for entry in filter(None, map(str.strip, os.environ.get(VARIABLE, "").split(","))):
        registry, _, url = entry.partition("=")
        parts = urlsplit(url)
        if not registry or parts.scheme not in ("http", "https") or not parts.hostname:
            raise Refused(
                f"{VARIABLE} has the entry {public(entry)!r}",
                expected="REGISTRY=https://MIRROR, with commas between several",
            )
        if not is_safe(url):
            raise Refused(f"the mirror {public(url)} has no TLS", expected="https://…")
        if "@" in parts.netloc:
            raise Refused(
                f"{VARIABLE} has credentials in {public(url)}",
                remedy=f"take them away, and `docker login {parts.hostname}`",
            )
        if registry == reference.registry:
            prefix = parts.path.strip("/")
            name = f"{prefix}/{reference.repository}" if prefix else reference.repository
            mirror = Registry(parts.netloc, scheme=parts.scheme, silence=silence)
            yield Repository(mirror, name)
