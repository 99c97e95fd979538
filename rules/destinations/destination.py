"""What a place that models are pushed to has to offer; `KINDS` says which module knows which."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tritonbuild.rule import Digest, Problem

from ..origins.secrets import secret_in
from ..origins.source import Source, source_of

KINDS = ("s3", "gs", "az")
"""Modules that implement Place, beside those of the same names that files come from."""
EXPECTED = (
    "s3://BUCKET/PREFIX/, gs://BUCKET/PREFIX/, az://ACCOUNT/CONTAINER/PREFIX/, "
    "oci://HOST/REPOSITORY:TAG or a folder"
)
SHA256 = "sha256"
"""In the metadata of what was pushed: the digest of its content."""


@dataclass(frozen=True)
class Item:
    """A file that is to be at a place."""

    path: str
    """Below the place."""
    digest: Digest
    executable: bool = False


Held = Callable[[Item], bool]
"""Whether what is there is the item; it may have to ask. Raises Refused and Passing."""
Check = Callable[[], None]
"""Raises what ends everything; whoever takes long calls it now and then."""


class Destination(Protocol):
    """A place, opened; of use from several threads. All methods raise Refused and Passing, those
    of a folder OSError."""

    def held(self, folder: str) -> Mapping[str, Held]:
        """All files below a folder of the place, by path below the place."""

    def put(self, item: Item, file: Path, check: Check) -> None:
        """Whole, or as it was before."""

    def remove(self, path: str) -> None:
        """A file."""

    def close(self) -> None: ...


class Place(Protocol):
    """A module that implements this knows one kind of place."""

    def opened(self, url: str) -> Destination:
        """A URL that ends in `/`. Raises Refused, EnvironmentFailure where a library is missing."""


def problem(to: str) -> Problem | None:
    """What is wrong with an address that somebody wrote; never a secret that it holds."""
    if "://" not in to:
        return None
    if secret_in(to):
        remedy = "credentials belong in the environment, as for each cloud's own tools"
        return Problem("the address that --to says holds a secret", EXPECTED, remedy)
    source = _source(to)
    wrong = source.check(_prefix(to)) if source else "nothing is known of such addresses"
    # Of a prefix there is no version.
    if not wrong and ("?" in to or "#" in to):
        wrong = "it has a query or a fragment"
    return Problem(f"--to {to}: {wrong}", EXPECTED) if wrong else None


def opened(to: str) -> Destination:
    """An address that has no problem; a folder's is absolute."""
    source = _source(to)
    kind = _kind(source) if source else "folder"
    place: Place = importlib.import_module(f".{kind}", __package__)
    return place.opened(_prefix(to))


def _source(to: str) -> Source | None:
    source = source_of(to) if "://" in to else None
    return source if source and _kind(source) in KINDS else None


def _kind(source: Source) -> str:
    return str(getattr(source, "__name__", "")).rpartition(".")[2]


def _prefix(to: str) -> str:
    return to if to.endswith("/") else f"{to}/"
