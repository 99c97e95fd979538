"""What dpkg knows of an image: which package a file is of, and what it says of each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from tritonbuild.oci import Invalid
from tritonbuild.oci.listing import TEXT_LIMIT
from tritonbuild.oci.untar import Head

STATUS = "var/lib/dpkg/status"
INFO = "var/lib/dpkg/info"
KEPT = re.compile(rf"{INFO}/([^/]+)\.(list|md5sums)")
"""Its files that are copied with a package; scripts stay behind, for they have been run."""


class Texts:
    """Implements Watch: what dpkg keeps of packages."""

    def __init__(self) -> None:
        self._texts: dict[str, bytearray] = {}
        self._path = ""
        self._left = TEXT_LIMIT

    def member(self, path: str, head: Head) -> None:
        """Raises Invalid where they are too much together."""
        self._path = path if head.kind == "file" and KEPT.fullmatch(path) else ""
        if self._path:
            self._left -= head.size
            if self._left < 0:
                raise Invalid(f"{path!r} makes more than {TEXT_LIMIT >> 20} MiB of dpkg's lists")

    def content(self, piece: bytes) -> None:
        if self._path:
            self._texts.setdefault(self._path, bytearray()).extend(piece)

    @property
    def texts(self) -> dict[str, str]:
        """Path → content."""
        return {path: text.decode(errors="surrogateescape") for path, text in self._texts.items()}


@dataclass(frozen=True)
class Packages:
    """Of one file system."""

    status: str
    files: Mapping[str, str]
    """Path → content, of those that `KEPT` matches."""

    @cached_property
    def paragraphs(self) -> dict[str, str]:
        """Name → its paragraph of `status`, of those that are installed."""
        found = {}
        for text in re.split(r"\n{2,}", self.status.strip("\n")):
            name = re.search(r"^Package: *(\S+)$", text, re.MULTILINE)
            if name and re.search(r"^Status: .* installed$", text, re.MULTILINE):
                found[name[1]] = f"{text}\n"
        return found

    @cached_property
    def _lists(self) -> dict[str, list[str]]:
        """Name → the paths of `KEPT` that are about it."""
        found: dict[str, list[str]] = {}
        for path in self.files:
            match = KEPT.fullmatch(path)
            assert match
            found.setdefault(match[1].partition(":")[0], []).append(path)
        return found

    def info(self, package: str) -> dict[str, str]:
        """What dpkg has of a package besides its paragraph: path → content."""
        return {path: self.files[path] for path in self._lists.get(package, ())}

    def paths(self, package: str) -> Iterator[str]:
        """All that a package brought, as dpkg says them."""
        for path, text in self.info(package).items():
            if path.endswith(".list"):
                yield from (line.strip("/") for line in text.splitlines() if line.strip("/"))

    @cached_property
    def owners(self) -> dict[str, str]:
        """Path, as dpkg says it → package."""
        return {path: name for name in self._lists for path in self.paths(name)}
