"""Debian packages: where one is to be had, and what is in it."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, BinaryIO

from tritonbuild.rule import EnvironmentFailure, Problem

MIRROR = "TRITONBUILD_DEBIAN_MIRROR"
"""Environment variable: a mirror to ask first, as apt names it: `http://mirror.example/debian`.
Security updates lie beside it: `http://mirror.example/debian-security`."""
_CURRENT = "http://deb.debian.org/debian"
_SNAPSHOT = "https://snapshot.debian.org/archive"


def archive_url(snapshot: str, path: str, archive: str = "debian") -> str:
    """The lasting address of a file: mirrors drop old versions, the archive of all of them does
    not. `snapshot` is a time such as `20261121T000000Z`, `path` that of the Packages index,
    `archive` may be `debian-security`."""
    return f"{_SNAPSHOT}/{archive}/{snapshot}/{path}"


def addresses(url: str) -> list[str]:
    """Where to ask for a file: mirrors first for one of Debian's archive, which is slow."""
    match = re.fullmatch(rf"{re.escape(_SNAPSHOT)}/(debian(?:-security)?)/[0-9TZ]+/(.+)", url)
    if match is None:
        return [url]
    return [*(f"{mirror}/{match[2]}" for mirror in mirrors(match[1])), url]


def mirrors(archive: str) -> list[str]:
    """Of `debian` or `debian-security`, the one that the user names first."""
    named = (os.environ.get(MIRROR), _CURRENT)
    suffix = archive.removeprefix("debian")
    return [f"{mirror.rstrip('/')}{suffix}" for mirror in named if mirror]


@dataclass(frozen=True)
class Member:
    """A file of a package."""

    path: str
    """Without the root: `usr/bin/python3.11`."""
    executable: bool
    content: IO[bytes]
    """To be read before the next member is asked for."""
    alias: bool
    """It is a link to another file of the package, whose content this is."""


def members(package: BinaryIO) -> Iterator[Member]:
    """The files of a .deb; links that leave it are left out. Raises EnvironmentFailure."""
    from debian.debfile import DebFile

    need_lzma()
    with DebFile(fileobj=package) as deb, deb.data.tgz() as archive:
        for info in archive:
            path = posixpath.normpath(info.name).lstrip("/")
            if info.isfile() or info.issym() or info.islnk():
                try:
                    content = archive.extractfile(info)
                except KeyError:  # the link's target is in another package
                    continue
                if content is not None:
                    with content:
                        yield Member(path, bool(info.mode & 0o100), content, not info.isfile())


def need_lzma() -> None:
    """Debian's indexes and packages are compressed with it. Raises EnvironmentFailure."""
    try:
        import lzma  # noqa: F401
    except ImportError:
        raise EnvironmentFailure(
            Problem(
                "this Python has no lzma module, so Debian packages cannot be read",
                "a Python built with liblzma",
                "install liblzma-dev and build this Python again, or use the system's Python",
            )
        ) from None
