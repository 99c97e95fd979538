"""The packages that there are, from indexes of which only those paragraphs are parsed that are
asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .archive import Index

_NAME, _PROVIDES = b"Package: ", b"\nProvides: "
_PRIORITIES = ("required", "important", "standard", "optional", "extra")
_MEANS: Mapping[str, Callable[[int], bool]] = {
    "<<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
    "=": lambda order: order == 0,
    ">=": lambda order: order >= 0,
    ">>": lambda order: order > 0,
}
"""Operator of a relation → whether it holds for a comparison of the version with its own."""


@dataclass(frozen=True)
class Relation:
    """A package, in some versions, on which another depends."""

    name: str
    architecture: str = ""
    """`any`, `native`, or one by its name."""
    operator: str = ""
    version: str = ""

    def __str__(self) -> str:
        name = f"{self.name}:{self.architecture}" if self.architecture else self.name
        return f"{name} ({self.operator} {self.version})" if self.operator else name

    def holds(self, version: str) -> bool:
        """Of a version; an empty one, that of a plain Provides, satisfies no constraint."""
        from debian.debian_support import version_compare

        if not self.operator:
            return True
        return bool(version) and _MEANS[self.operator](version_compare(version, self.version))


@dataclass(frozen=True, eq=False)
class Package:
    """One version of a package."""

    index: Index
    paragraph: bytes

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        from debian.deb822 import Packages

        return Packages(self.paragraph)

    @property
    def name(self) -> str:
        return str(self.fields["Package"])

    @property
    def version(self) -> str:
        return str(self.fields["Version"])

    def relations(self, *names: str) -> list[list[Relation]]:
        """Of the fields with these names; each a list of alternatives."""
        return [group for name in names for group in relations(self.fields.get(name, ""))]

    def satisfies(self, relation: Relation) -> bool:
        """By itself, or by what it provides."""
        if relation.architecture not in ("", "any", "native", self.fields["Architecture"]):
            return False
        if relation.name == self.name and relation.holds(self.version):
            return True
        return any(
            provided.name == relation.name and relation.holds(provided.version)
            for (provided,) in self.relations("Provides")
        )


def relations(text: str) -> list[list[Relation]]:
    """Of a field such as Depends; each a list of alternatives."""
    from debian.deb822 import PkgRelation

    groups = PkgRelation.parse_relations(text) if text else []
    return [[_relation(one) for one in group] for group in groups]


def _relation(parsed: Mapping[str, Any]) -> Relation:
    operator, version = parsed.get("version") or ("", "")
    operator = {"<": "<=", ">": ">="}.get(operator, operator)  # as deb-control(5) says
    return Relation(parsed["name"], parsed.get("archqual") or "", operator, version)


class Pool:
    """Of several versions the newest is taken, or the one that is pinned."""

    def __init__(self, indexes: Iterable[Index]):
        self._named: dict[str, list[Package]] = {}
        self._providing: dict[str, set[str]] = {}
        """Name of what is provided → of the packages that do."""
        self._pins: dict[str, str] = {}
        for index in indexes:
            for paragraph in index.packages.split(b"\n\n"):
                if paragraph.startswith(_NAME):
                    self._add(Package(index, paragraph))

    def _add(self, package: Package) -> None:
        paragraph = package.paragraph
        end = paragraph.find(b"\n")
        name = paragraph[len(_NAME) : end].decode()
        self._named.setdefault(name, []).append(package)
        start = paragraph.find(_PROVIDES)
        if start >= 0:
            start += len(_PROVIDES)
            end = paragraph.find(b"\n", start)
            line = paragraph[start : end if end >= 0 else None].decode()
            for provided in line.split(","):
                words = provided.replace("(", " ").replace(":", " ").split()
                self._providing.setdefault(words[0], set()).add(name)

    @property
    def names(self) -> Iterable[str]:
        return self._named

    def pin(self, name: str, version: str) -> None:
        """As far as there is such a version; it may be told without its epoch, as file names do."""
        self._pins[name] = version

    def versions(self, name: str) -> list[str]:
        return [package.version for package in self._named.get(name, ())]

    def get(self, name: str) -> Package | None:
        """The one version that is taken."""
        from debian.debian_support import Version

        found = self._named.get(name, [])
        if (pin := self._pins.get(name)) is not None:
            found = [p for p in found if pin in (p.version, p.version.partition(":")[2])]
        if len(found) < 2:
            return found[0] if found else None
        return max(found, key=lambda package: Version(package.version))

    def satisfying(self, relation: Relation) -> Iterator[Package]:
        """The package itself, then those that provide it: the more important first, as apt does,
        then by name."""
        own = self.get(relation.name)
        if own is not None and own.satisfies(relation):
            yield own
        others = (self.get(name) for name in self._providing.get(relation.name, ()))
        yield from sorted(
            (p for p in others if p is not None and p is not own and p.satisfies(relation)),
            key=lambda p: (_priority(p), p.name),
        )


def _priority(package: Package) -> int:
    priority = package.fields.get("Priority", "optional")
    return _PRIORITIES.index(priority) if priority in _PRIORITIES else len(_PRIORITIES)
