"""What a place that files come from has to offer; `PLACES` says which module knows which."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlsplit

from tritonbuild.rule import EnvironmentFailure, Problem

from .secrets import secret_in

PLACES: Mapping[str, str] = {
    "https": "https",
    "http": "https",
    "s3": "s3",
    "gs": "gs",
    "az": "az",
    "hf": "hf",
    "oci": "oci",
    "models": "mlflow",
    "mlflow-artifacts": "mlflow",
}
"""Scheme of a URL → the module that implements Source."""
CONNECT, SILENCE = 10.0, 60.0
"""Seconds to connect, and without a byte."""
RETRIES = 3
"""By the libraries, of a request that a busy server or a broken connection refused."""


class Refused(Exception):
    """The place says no, and would say it again."""

    def __init__(self, found: str, remedy: str = ""):
        super().__init__(found)
        self.found = found
        self.remedy = remedy


class Passing(Exception):
    """It may work later."""


class Broken(Passing):
    """A transfer broke off, or nothing came any more: what is there stays of use."""

    attempts = 5
    """In a row that bring not one byte."""


class Silent(Broken):
    """Nothing came for so long that there is no sense in waiting often."""

    attempts = 2


@dataclass(frozen=True)
class Wanted:
    """What a manifest asks for."""

    url: str
    revision: str = ""
    """Of a Hugging Face repository: a branch, tag or commit."""
    path: str = ""
    """Of an OCI artifact: the title of one file."""


@dataclass(frozen=True)
class Remote:
    """One file at its place."""

    name: str
    """Of the file; or its path, the folder's own name first, when a folder is asked for."""
    url: str
    """Public, as precise as the place allows: it may name a commit, a version or a digest."""
    sha256: str = ""
    """Empty where the place does not say."""
    size: int = 0


@dataclass
class Stream:
    """Bytes on their way. Iterating raises Broken when they end too early."""

    chunks: Iterator[bytes]
    start: int = 0
    """Which byte is first: the one that was asked for, or 0 where that cannot be had."""
    total: int = 0
    """Bytes of the whole file; 0: not known."""
    validator: str = field(default="")
    """Tells this content from what may take its place; empty where nothing does."""


class Opening(Protocol):
    """An open connection to one file's place."""

    def open(self, start: int, validator: str) -> Stream:
        """Content from a byte on, or from 0 when it is not what the validator knew. Raises
        Refused and Passing."""

    def close(self) -> None: ...


class Source(Protocol):
    """A module that implements this knows one kind of place."""

    def check(self, url: str) -> str:
        """What is wrong with a URL's form; empty if nothing. Asks nobody."""

    def name(self, url: str) -> str:
        """What the file, or folder, is called if the manifest does not say; empty if unknown."""

    def direct(self, wanted: Wanted) -> str:
        """The URL of a Remote for one file whose digest is known already; empty where the place
        has to be asked first, and for a folder. Asks nobody."""

    def files(self, wanted: Wanted) -> Sequence[Remote]:
        """The file, or all files of the folder. Raises Refused and Passing."""

    def opening(self, url: str) -> Opening:
        """To fetch a Remote's content. Raises Refused and Passing."""


def source_of(url: str) -> Source | None:
    """By the URL's scheme; None for one that nobody knows."""
    module = PLACES.get(url.partition(":")[0].lower())
    if module == "https" and (urlsplit(url).hostname or "").endswith(".blob.core.windows.net"):
        module = "az"
    if module is None:
        return None
    found: Source = importlib.import_module(f".{module}", __package__)
    return found


def wrong(url: str) -> str:
    """What is wrong with a URL that somebody wrote: it holds a secret, or nobody knows its form.
    Empty if nothing; never a part of the URL but the name of a secret."""
    source = source_of(url)
    if source is None:
        return "it is no address that is known"
    return secret_in(url) or source.check(url)


def lacks(extra: str, what: str, error: ImportError) -> EnvironmentFailure:
    """A library that only those need who use a place is not installed."""
    return EnvironmentFailure(
        Problem(
            f"{what} need {error.name}, which is not installed",
            f"tritonbuild with its extra [{extra}]",
            f"pip install 'tritonbuild[{extra}]'",
        )
    )
