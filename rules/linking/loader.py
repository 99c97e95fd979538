"""The dynamic linker's search, ld.so(8), on a file system that is known by its listings."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain

from tritonbuild.oci import Listing, Root
from tritonbuild.oci.listing import is_text

from . import ldconfig
from .elf import Elf
from .ldconfig import HWCAPS, Library
from .linkage import Linkage
from .rpath import expanded, passed_on

_HOPS = 40
"""Links that the kernel follows in one path."""


@dataclass
class Files:
    """A file system."""

    root: Root
    elves: Mapping[str, Elf]
    """By canonical path."""
    _found: dict[str, str | None] = field(default_factory=dict)

    def real(self, path: str) -> str | None:
        """Where a path leads to, all links followed; None where there is no file."""
        if path not in self._found:
            entry = self.root.find(path)
            self._found[path] = entry.path if entry is not None and entry.kind == "file" else None
        return self._found[path]

    def elf(self, path: str) -> Elf | None:
        """Of what a path leads to."""
        real = self.real(path)
        return self.elves.get(real) if real is not None else None

    def links(self, path: str) -> Iterator[str]:
        """Every link on the way to a file, of folders too, and the file itself."""
        waiting = _names(path)
        here, hops = "", 0
        while waiting:
            name = waiting.pop()
            if name == "..":
                here = here.rpartition("/")[0]
                continue
            below = f"{here}/{name}" if here else name
            entry = self.root.get(below)
            if entry is not None and entry.kind == "link":
                yield below
                hops += 1
                if hops > _HOPS:
                    return
                here = "" if entry.target.startswith("/") else here
                waiting += _names(entry.target)
                continue
            here = below
            if entry is not None and not waiting and entry.kind != "folder":
                yield below

    def is_circle(self, path: str) -> bool:
        """Whether it is a link in a circle, which is not as if there were nothing."""
        entry = self.root.get(path)
        return (
            entry is not None and entry.kind == "link" and sum(1 for _ in self.links(path)) > _HOPS
        )

    def beside(self, folder: str, wanted: re.Pattern[str]) -> Iterator[str]:
        """Files below a folder, at most one folder deeper, whose path from there matches."""
        for name in ldconfig.names(self.root, folder):
            path = f"{folder}/{name}"
            if wanted.fullmatch(name):
                yield path
            for below in ldconfig.names(self.root, path):
                if wanted.fullmatch(f"{name}/{below}"):
                    yield f"{path}/{below}"

    def with_more(self, listing: Listing, linkage: Linkage) -> Files:
        """With a layer on top; this one is not to be used any more."""
        self.root.put(listing)
        return Files(self.root, {**self.elves, **linkage.elves})

    def copy(self) -> Files:
        entries = tuple(self.root.entries)
        said = ((e.path, self.root.text(e.path)) for e in entries if is_text(e.path))
        root = Root()
        root.put(Listing(entries, {path: text for path, text in said if text is not None}))
        return Files(root, self.elves)

    @cached_property
    def folders(self) -> dict[str, str]:
        """As `ldconfig.folders`."""
        return ldconfig.folders(self.root, self._machines)

    @cached_property
    def system(self) -> list[str]:
        return ldconfig.system(self.root, self._machines)

    @property
    def _machines(self) -> set[str]:
        return {elf.machine for elf in self.elves.values()}

    @cached_property
    def libraries(self) -> list[Library]:
        """What /etc/ld.so.cache says, or would."""
        return list(ldconfig.libraries(self.root, self.elves, self.folders))

    @cached_property
    def cached(self) -> Mapping[str, Sequence[str]]:
        """Of these: name → paths."""
        found: dict[str, list[str]] = {}
        for library in self.libraries:
            if not library.level:
                found.setdefault(library.name, []).append(library.path)
        return found


def files_of(listings: Sequence[Listing], linkages: Sequence[Linkage]) -> Files:
    """Of layers, from the lowest up. Raises Invalid for what does not fit together."""
    root = Root()
    for listing in listings:
        root.put(listing)
    elves: dict[str, Elf] = {}
    for linkage in linkages:
        for path, elf in linkage.elves.items():
            elves[root.canonical(path)] = elf
    for listing in listings:
        for entry in listing.entries:
            if entry.kind == "hardlink" and (same := elves.get(root.canonical(entry.target))):
                elves[root.canonical(entry.path)] = same
    return Files(root, elves)


@dataclass(frozen=True)
class Loader:
    """The search of one process."""

    files: Files
    library_path: Sequence[str] = ()
    """LD_LIBRARY_PATH."""

    def find(self, name: str, by: str, needing: Elf, inherited: Sequence[str] = ()) -> str | None:
        """Where a library is found, as the search names it, that the file `by` needs; `inherited`
        are folders of DT_RPATH of what loaded `by`. One for any CPU: see `newer`."""
        fits = (needing.machine, needing.bits)
        for paths in self._lists(name, by, needing, inherited):
            for path in paths:
                elf = self.files.elf(path)
                if elf is not None and (elf.machine, elf.bits) == fits:
                    return path
                if elf is None and self.files.is_circle(path):
                    break  # which glibc takes for an end of the list
        return None

    def newer(self, path: str) -> list[str]:
        """The same library for newer CPUs, which the search prefers there."""
        folder, _, name = path.rpartition("/")
        above = f"{folder}/{HWCAPS}"
        paths = [f"{above}/{level}/{name}" for level in ldconfig.names(self.files.root, above)]
        return [path for path in paths if self.files.elf(path) is not None]

    def places(self, name: str, by: str, needing: Elf, inherited: Sequence[str] = ()) -> list[str]:
        """Folders that are searched, or the one path, for people."""
        if "/" in name:
            return list(expanded([name], by, needing))
        lists = (*self._own(by, needing, inherited), self.files.folders)
        return list(dict.fromkeys(map(posixpath.normpath, chain.from_iterable(lists))))

    def _lists(
        self, name: str, by: str, needing: Elf, inherited: Sequence[str]
    ) -> Iterator[Iterable[str]]:
        if "/" in name:
            yield expanded([name], by, needing)
            return
        for folders in self._own(by, needing, inherited):
            yield (f"{folder}/{name}" for folder in folders)
        for path in self.files.cached.get(name, ()):
            if not (needing.no_default and posixpath.dirname(path) in self.files.system):
                yield [path]
        if not needing.no_default:
            yield (f"{folder}/{name}" for folder in self.files.system)

    def _own(self, by: str, needing: Elf, inherited: Sequence[str]) -> Iterator[Iterable[str]]:
        if not needing.runpath:
            yield passed_on(by, needing, inherited)
        yield expanded(self.library_path, by, needing)
        yield expanded(needing.runpath, by, needing)


def _names(path: str) -> list[str]:
    return [name for name in reversed(path.split("/")) if name not in ("", ".")]
