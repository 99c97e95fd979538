"""What has to be brought from one file system to another, so that programs and libraries find all
that they need there."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tritonbuild.oci import Listing
from tritonbuild.rule import Problem

from . import ldconfig
from .judge import Judge, Need, Object, find, lacks
from .linkage import Linkage
from .loader import Files, Loader
from .rpath import passed_on


@dataclass(frozen=True)
class Terms:
    """What no ELF file says."""

    brought: re.Pattern[str]
    """Libraries that come from the machine that runs the image."""
    loaded: frozenset[str]
    """Libraries that are in the process before."""
    opens: Sequence[tuple[re.Pattern[str], re.Pattern[str]]]
    """Name of a library → paths of what it opens by name, from its own folder."""
    library_path: Sequence[str]
    """LD_LIBRARY_PATH."""
    unwanted: Callable[[str], bool] = lambda path: False
    """Paths of what is opened by name and stays behind all the same."""


@dataclass
class Found:
    copied: list[str] = field(default_factory=list)
    """Paths of `there`: libraries, every link on the way to them, and what ldconfig must read to
    find them."""
    problems: list[Problem] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """Libraries of one name and several contents: no error where not both are in one process."""


def closure(
    here: Files, there: Files, start: Iterable[str], more: Iterable[str], terms: Terms
) -> Found:
    """`start`: files of `here` whose needs count; `more`: files of `there` that come along in any
    case.

    A file of `here` is never replaced. Where it lacks versions, that of `there` comes along if it
    lies elsewhere and is what all find from then on; else that is a problem, for a process that has
    loaded the one does not load the other. What `more` and libraries that are opened by name need,
    and `there` has not either, is no problem: it is told.
    """
    return _Closure(here, there, terms).run(start, more)


class _Closure:
    def __init__(self, here: Files, there: Files, terms: Terms):
        self._here, self._there = here, there
        self._terms = terms
        self._now = Loader(here.copy(), terms.library_path)
        """What there is once all is brought that is found so far."""
        self._then = Loader(there, terms.library_path)
        self._copied: set[str] = set()
        self._own: set[str] = set()
        """Of `start` and brought: by real path."""
        self._sonames: dict[str, list[str]] = {}
        """Of these, as far as they are loaded: soname → paths."""
        self._seen: set[tuple[str, str, tuple[str, ...]]] = set()
        self._waiting: list[Object] = []
        self._later: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = []
        """Opened by name, or asked for in any case: looked at once all is found that must be."""
        self._is_late = False
        self._needs: dict[Need, str | None] = {}
        """All that came up, and where it is found."""

    def run(self, start: Iterable[str], more: Iterable[str]) -> Found:
        first, others = list(start), list(more)
        self._own |= {self._here.real(path) or path for path in first}
        self._bring(others)
        self._later += ((path, (), ()) for path in others)
        for path in first:
            self._push(path, (), ())
        self._settle()
        self._is_late = True
        while self._later:
            later, self._later = self._later, []
            for path, chain, inherited in later:
                self._push(path, chain, inherited)
            self._settle()
        judge = Judge(self._here, self._now, self._then, self._own, self._needs)
        return Found(sorted(self._copied), list(judge.problems()), list(judge.told()))

    def _settle(self) -> None:
        while self._waiting:
            self._round()

    def _round(self) -> None:
        """What objects need that nothing has is brought at once: each time that something comes,
        the search begins anew."""
        objects, self._waiting = self._waiting, []
        opened = [(path, one) for one in objects for path in self._opened(one)]
        needs = [need for one in objects for need in self._needs_of(one)]
        lacking = [need for need in needs if not self._meet(need)]
        its = {need: path for need in lacking if (path := self._of_there(need)) is not None}
        self._bring([*its.values(), *(path for path, _ in opened)])
        lacking = [need for need in lacking if not self._meet(need)]
        self._bring(self._configuration(its[need] for need in lacking if need in its))
        for need in lacking:
            if not self._meet(need) and self._needs[need] is None:
                self._needs[need] = self._in_process(need)
        self._later += ((path, (one.path, *one.chain), one.inherited) for path, one in opened)

    def _needs_of(self, one: Object) -> Iterator[Need]:
        elf = one.elf
        wants = dict(elf.wants)
        for name in (*elf.needed, *filter(None, [elf.interpreter])):
            if not self._terms.brought.fullmatch(name) and name not in self._terms.loaded:
                need = Need(name, wants.get(name, ()), one)
                if need not in self._needs:
                    yield need

    def _meet(self, need: Need) -> bool:
        """Whether there is one as it has to be. Notes it, also one that lacks versions."""
        path = find(self._now, need) or self._in_process(need, near=True)
        self._needs[need] = path
        if path is None:
            return False
        one = need.one
        inherited = passed_on(one.path, one.elf, one.inherited)
        for found in (path, *self._now.newer(path)):
            self._push(found, (one.path, *one.chain), inherited)
        return not lacks(need, path, self._now.files)

    def _in_process(self, need: Need, *, near: bool = False) -> str | None:
        """Found by nobody's search, and yet loaded when it is needed: what comes with a component
        is loaded by what lies around it. `near`: from the same place alone."""
        paths = self._sonames.get(need.name, ())
        folder = posixpath.dirname(need.one.path)
        for path in paths:
            its = posixpath.dirname(path)
            if f"{its}/".startswith(f"{folder}/") or f"{folder}/".startswith(f"{its}/"):
                return path
        return None if near else next(iter(paths), None)

    def _of_there(self, need: Need) -> str | None:
        path = find(self._then, need)
        if path is None or not lacks(need, path, self._there):
            return path
        return None

    def _opened(self, one: Object) -> Iterator[str]:
        """What it opens by name, from where it lies."""
        real = self._now.files.real(one.path)
        if real not in self._own:
            return  # what a base's library opens, the base has
        folder, _, name = real.rpartition("/")
        for library, opened in self._terms.opens:
            if library.fullmatch(name):
                for path in self._there.beside(folder, opened):
                    driver = self._terms.brought.fullmatch(posixpath.basename(path))
                    unwanted = driver or self._terms.unwanted(path)
                    if not unwanted and self._here.real(path) is None:
                        yield path

    def _configuration(self, paths: Iterable[str]) -> Iterator[str]:
        """The files of ld.so.conf.d that make `there` search the folders of these."""
        for path in paths:
            folder = posixpath.dirname(path)
            by = self._there.folders.get(folder)
            if by and folder not in self._now.files.folders:
                yield ldconfig.CONFIG
                yield by

    def _bring(self, paths: Iterable[str]) -> None:
        root, entries, elves = self._now.files.root, [], {}
        known: set[str] = set()
        for path in paths:
            real = self._there.real(path)
            newer = self._then.newer(path) if real in self._there.elves else ()
            for each in (path, *newer):
                for step in self._there.links(each):
                    entry = self._there.root.get(step)
                    if entry is not None and step not in known and root.get(step) is None:
                        known.add(step)
                        entries.append(entry)
                        if step in self._there.elves:
                            elves[step] = self._there.elves[step]
        if not entries:
            return
        said = ((step, self._there.root.text(step)) for step in known)
        listing = Listing(tuple(entries), {path: text for path, text in said if text is not None})
        files = self._now.files.with_more(listing, Linkage(elves))
        self._now = Loader(files, self._terms.library_path)
        self._copied |= known
        self._own |= elves.keys()

    def _push(self, path: str, chain: tuple[str, ...], inherited: tuple[str, ...]) -> None:
        elf = self._now.files.elf(path)
        key = (self._now.files.real(path) or path, posixpath.dirname(path), inherited)
        if elf is not None and key not in self._seen:
            self._seen.add(key)
            if key[0] in self._own:
                soname = elf.soname or posixpath.basename(path)
                self._sonames.setdefault(soname, []).append(path)
            self._waiting.append(Object(elf, path, chain, inherited, self._is_late))
