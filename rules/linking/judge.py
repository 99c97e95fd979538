"""Whether all that is needed is there, as it has to be, in the file system that came about."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tritonbuild.rule import Problem

from . import problems
from .elf import Elf
from .loader import Files, Loader


@dataclass(frozen=True, eq=False)
class Object:
    """A program or library that is loaded."""

    elf: Elf
    path: str
    """As it was found: its own folder is that of the link."""
    chain: tuple[str, ...]
    """Who needs it, and who needs that."""
    inherited: tuple[str, ...]
    """Folders of DT_RPATH of those."""
    optional: bool = False
    """Nothing that has to work needs it."""


class Need(NamedTuple):
    name: str
    versions: tuple[str, ...]
    one: Object


class Judge:
    """`now`: the search on what came about; `then`: on `full`; `own`: real paths of what is no
    base's; `needs`: where each was found, if by nothing else."""

    def __init__(
        self, here: Files, now: Loader, then: Loader, own: Collection[str],
        needs: Mapping[Need, str | None],
    ):  # fmt: skip
        self._here, self._now, self._then, self._own = here, now, then, own
        self._found = {need: find(now, need) or path for need, path in needs.items()}

    def problems(self) -> Iterator[Problem]:
        for needs in self._nowhere(optional=False):
            yield self._lacking(needs)
        for real, needs in self._too_old().items():
            yield self._lacks_versions(real, needs)

    def _nowhere(self, *, optional: bool) -> Iterator[list[Need]]:
        """What is not found, by name; `optional`: what does without it."""
        lacking: dict[str, list[Need]] = {}
        for need, path in self._found.items():
            if path is None and need.one.optional == optional:
                lacking.setdefault(need.name, []).append(need)
        yield from lacking.values()

    def told(self) -> Iterator[str]:
        """Names that stand for several contents, and what `full` lacks itself."""
        for needs in self._nowhere(optional=True):
            yield problems.lacking_there(needs[0].name, needs[0].one.path, _others(needs))
        paths: dict[str, dict[str, tuple[str, str]]] = {}
        for need, path in self._found.items():
            if path is not None:
                real = self._real(path)
                entry = self._now.files.root.get(real)
                digest = entry.digest if entry is not None else ""
                paths.setdefault(need.name, {}).setdefault(digest, (real, need.one.path))
        for name, found in sorted(paths.items()):
            if len(found) > 1:
                yield problems.twice(name, list(found.values()))

    def _lacking(self, needs: Sequence[Need]) -> Problem:
        need, more = needs[0], _others(needs)
        one = need.one
        chain = (one.path, *one.chain)
        its = find(self._then, need)
        for step in self._then.files.links(its) if its is not None else ():
            mine, other = self._now.files.root.get(step), self._then.files.root.get(step)
            if mine and other and (mine.kind, mine.digest, mine.target) != (
                other.kind, other.digest, other.target
            ):  # fmt: skip
                return problems.clash(need.name, chain, more, its or step, step, mine, other)
        looked = self._now.places(need.name, one.path, one.elf, one.inherited)
        return problems.lacking(
            need.name, chain, more, one.elf, looked, self._here, self._then.files
        )

    def _too_old(self) -> dict[str, list[Need]]:
        """Libraries that lack versions, and who wants these. What somebody loads out of the base
        counts for all: a process has a name once."""
        loaded: dict[str, dict[str, None]] = {}
        for need, path in self._found.items():
            if path is not None and (real := self._real(path)) not in self._own:
                loaded.setdefault(need.name, {})[real] = None
        found: dict[str, list[Need]] = {}
        for need, path in self._found.items():
            if path is not None:
                for real in {self._real(path): None, **loaded.get(need.name, {})}:
                    if lacks(need, real, self._now.files):
                        found.setdefault(real, []).append(need)
        return found

    def _lacks_versions(self, real: str, needs: Sequence[Need]) -> Problem:
        need = needs[0]
        gives = self._now.files.elves[real].gives
        its = find(self._then, need)
        better = its if its is not None and not lacks(need, its, self._then.files) else ""
        return problems.lacks_versions(
            need.name, (need.one.path, *need.one.chain), _others(needs),
            lacks(need, real, self._now.files), real, gives, self._then.files,
            of_base=real not in self._own,
            better=self._then.files.real(better) or "",
        )  # fmt: skip

    def _real(self, path: str) -> str:
        return self._now.files.real(path) or posixpath.normpath(path)


def find(loader: Loader, need: Need) -> str | None:
    one = need.one
    return loader.find(need.name, one.path, one.elf, one.inherited)


def lacks(need: Need, path: str, files: Files) -> list[str]:
    """Versions. A library that names none has them all, to the dynamic linker."""
    elf = files.elf(path)
    gives = elf.gives if elf is not None else ()
    return [version for version in need.versions if version not in gives] if gives else []


def _others(needs: Sequence[Need]) -> int:
    """How many more files need it than the first."""
    return len({need.one.path for need in needs}) - 1
