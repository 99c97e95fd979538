"""What packages need: all that they depend on, in turn."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from tritonbuild.rule import Problem, UsageError, did_you_mean

from .pool import Package, Pool, Relation


def closure(pool: Pool, wanted: Iterable[str]) -> list[Package]:
    """The packages `NAME` or `NAME=VERSION`, and what they depend on, sorted by name: of
    alternatives one that is taken anyway, else the first that there is. What is merely recommended
    is left out; so is what is essential, unless something depends on it: an image need not be a
    whole Debian. Raises UsageError with everything that is wrong."""
    problems: list[Problem] = []
    taken: dict[str, Package] = {}
    for name, _, version in sorted(text.partition("=") for text in wanted):
        if version:
            pool.pin(name, version)
        package = pool.get(name)
        if package is None:
            problems.append(_missing(pool, name, version))
        else:
            taken[name] = package
    waiting = deque(taken.values())
    while waiting:
        package = waiting.popleft()
        for group in package.relations("Pre-Depends", "Depends"):
            if any(_satisfied(taken, relation) for relation in group):
                continue
            found = _choose(pool, taken, group)
            if found is None:
                problems.append(_unsatisfied(pool, taken, package, group))
            else:
                taken[found.name] = found
                waiting.append(found)
    problems += _conflicts(taken)
    if problems:
        raise UsageError(*problems)
    return [taken[name] for name in sorted(taken)]


def _choose(pool: Pool, taken: dict[str, Package], group: Sequence[Relation]) -> Package | None:
    """A package's one version that is taken already does not do, or it would not be asked for."""
    return next(
        (p for relation in group for p in pool.satisfying(relation) if p.name not in taken), None
    )


def _satisfied(taken: dict[str, Package], relation: Relation) -> bool:
    own = taken.get(relation.name)
    if own is not None and own.satisfies(relation):
        return True
    return any(p.satisfies(relation) for p in taken.values() if "Provides" in p.fields)


def _missing(pool: Pool, name: str, version: str) -> Problem:
    if versions := pool.versions(name):
        found = f"there is no {name} {version}; mirrors drop old versions"
        return Problem(found, f"{name}={' or '.join(versions)}")
    if providers := sorted(package.name for package in pool.satisfying(Relation(name))):
        return Problem(f"{name} is a virtual package", f"one of: {', '.join(providers)}")
    return Problem(f"there is no package {name!r}", remedy=did_you_mean(name, pool.names))


def _unsatisfied(
    pool: Pool, taken: dict[str, Package], package: Package, group: Sequence[Relation]
) -> Problem:
    found = f"{package.name} {package.version} needs {' | '.join(map(str, group))}"
    there = [taken.get(relation.name) or pool.get(relation.name) for relation in group]
    told = [f"{other.name} is {other.version}" for other in there if other is not None]
    return Problem(
        f"{found}, {'; '.join(told) or 'which there is not'}",
        "packages that go together",
        "take pinned versions away, or ask another mirror: this one may be changing",
    )


def _conflicts(taken: dict[str, Package]) -> Iterable[Problem]:
    for package in taken.values():
        for group in package.relations("Conflicts", "Breaks"):
            for relation in group:
                for other in taken.values():
                    if other is not package and other.satisfies(relation):
                        yield Problem(
                            f"{package.name} {package.version} cannot be installed together with "
                            f"{other.name} {other.version}",
                            "packages that go together",
                        )
