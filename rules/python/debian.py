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
"""Environment variable: a mirror to ask first, as apt names it: `http://mirror.example/debian`."""
_CURRENT = "http://deb.debian.org/debian"
_SNAPSHOT = "https://snapshot.debian.org/archive/debian"


def archive_url(snapshot: str, path: str) -> str:
    """The lasting address of a file: mirrors drop old versions, the archive of all of them does
    not. `snapshot` is a time such as `20261121T000000Z`, `path` that of the Packages index."""
    return f"{_SNAPSHOT}/{snapshot}/{path}"


def addresses(url: str) -> list[str]:
    """Where to ask for a file: mirrors first for one of Debian's archive, which is slow."""
    match = re.fullmatch(rf"{re.escape(_SNAPSHOT)}/[0-9TZ]+/(.+)", url)
    if match is None:
        return [url]
    mirrors = (os.environ.get(MIRROR), _CURRENT)
    return [*(f"{mirror.rstrip('/')}/{match[1]}" for mirror in mirrors if mirror), url]


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

    try:
        import lzma  # noqa: F401  # tarfile reads data.tar.xz with it
    except ImportError:
        raise EnvironmentFailure(
            Problem(
                "this Python has no lzma module, so Debian packages cannot be read",
                "a Python built with liblzma",
                "install liblzma-dev and build this Python again, or use the system's Python",
            )
        ) from None
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
