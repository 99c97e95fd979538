"""The graph of targets: which ones patterns mean, and what each depends on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from tritonbuild.errors import Problem, TritonbuildError, UsageError, did_you_mean
from tritonbuild.keys import KeyPath
from tritonbuild.label import Label, Pattern
from tritonbuild.manifest import Declaration, Manifests, Package
from tritonbuild.rule import ByName, Dep, SourceRef
from tritonbuild.workspace_settings import WORKSPACE

if TYPE_CHECKING:
    import networkx as nx

Reference = Dep[Any] | SourceRef
SHOWN = 8
"""Labels that a message lists."""


class Graph:
    """Labels, with edges from a target to those that it depends on."""

    def __init__(self, manifests: Manifests):
        self.manifests = manifests
        self.targets: dict[Label, dict[Label, None]] = {}
        """Target → those that it depends on."""
        self.declarations: dict[Label, Declaration] = {}
        self.resolved: dict[Label, Mapping[Reference, list[Label]]] = {}
        """For each target, the labels that each of its references means."""

    def require(self, labels: Iterable[Label], *, to_run: Label | None = None) -> None:
        """Adds targets and all that they depend on; for one target also what only `run` needs.
        Raises UsageError with every missing label, or with a cycle."""
        problems: list[Problem] = []
        queue = list(labels)
        while queue:
            label = queue.pop()
            if label in self.resolved:
                continue
            declaration = self.declaration(label)
            self.declarations[label] = declaration
            needs = self.targets[label] = {}
            resolved: dict[Reference, list[Label]] = {}
            for ref, key in declaration.references.items():
                if key[0] in declaration.rule.needed_to_run and label != to_run:
                    continue
                try:
                    resolved[ref] = self.means(declaration, ref)
                except UsageError as error:
                    problems.extend(error.problems)
                    continue
                needs.update(dict.fromkeys(resolved[ref]))
                queue.extend(resolved[ref])
            self.resolved[label] = resolved
        if problems:
            raise UsageError(*sorted(set(problems), key=str))
        self._refuse_cycles()

    def means(self, declaration: Declaration, ref: Reference) -> list[Label]:
        """The labels of a reference. Raises UsageError, placed where the reference stands."""
        try:
            return list(self._resolve(declaration, ref))
        except TritonbuildError as error:
            key = declaration.references[ref]
            raise UsageError(
                *(p if p.file else self._placed(declaration, key, p) for p in error.problems)
            ) from None

    def _placed(self, declaration: Declaration, key: KeyPath, problem: Problem) -> Problem:
        """A problem with a reference, where it is written: a default stands in `[workspace]`."""
        rest = {"expected": problem.expected, "remedy": problem.remedy}
        if key[0] in declaration.defaults:
            root = self.manifests.package(declaration.package.root)
            assert root is not None, "its defaults were read from it"
            return root.problem(problem.found, (WORKSPACE, *key), **rest)
        return declaration.problem(problem.found, key, **rest)

    def declaration(self, label: Label) -> Declaration:
        """Of exactly one target. Raises UsageError when there is none, and when a label means
        several variants."""
        found = self.meant(label)
        if len(found) > 1:
            raise UsageError(
                Problem(f"{label} means {len(found)} targets", f"one of: {some_of(found)}")
            )
        return found[0]

    def meant(self, label: Label) -> Sequence[Declaration]:
        """A target, or the variants of one that a label means: at least one. Raises UsageError
        when there is no such target."""
        package = self.manifests.package(label.package)
        if package is None:
            raise self._no_package(str(label), label.package)
        if declarations := package.named(label.name):
            return declarations
        found = f"//{label.package} has no target {label.name!r}"
        expected = ""
        if label.name == "all":
            found = f"{label} is a pattern"
            raise UsageError(Problem(found, "one label: //package:name or :name"))
        if others := package.variants.get(label.base):
            expected = f"one of: {some_of(others)}"
            raise UsageError(Problem(found, expected, _nearest(label, others)))
        if label.base in package.declarations:
            expected = f"{label.base!r}, which has no matrix"
        names = {*package.declarations, *package.variants}
        raise UsageError(Problem(found, expected, did_you_mean(label.name, names)))

    def expand(self, patterns: Iterable[Pattern]) -> list[Declaration]:
        """What patterns mean, sorted; later negative ones take away. Raises UsageError when a
        pattern that should add something matches nothing."""
        chosen: dict[Label, Declaration] = {}
        for pattern in patterns:
            if pattern.negative:
                chosen = {label: d for label, d in chosen.items() if not pattern.matches(label)}
                continue
            matched: Iterable[Declaration]
            if pattern.is_label:
                matched = self.meant(pattern.label)
            else:
                matched = [
                    d for package in self._packages(pattern) for d in package.declarations.values()
                ]
                if not matched:
                    raise UsageError(Problem(f"{pattern} matches no target"))
            chosen.update((declaration.label, declaration) for declaration in matched)
        return [chosen[label] for label in sorted(chosen)]

    def in_order(self) -> Iterator[Label]:
        """Every target after those that it depends on; among equals by label."""
        sorter = TopologicalSorter(self.targets)
        sorter.prepare()
        while ready := sorted(sorter.get_ready()):
            yield from ready
            sorter.done(*ready)

    @property
    def dag(self) -> nx.DiGraph[Label]:
        """The same for networkx, to ask it questions. It takes long to import."""
        import networkx as nx

        edges: Any = {target: list(needs) for target, needs in self.targets.items()}
        return nx.DiGraph(edges)

    def _packages(self, pattern: Pattern) -> Iterator[Package]:
        if pattern.recursive:
            yield from self.manifests.below(pattern.package)
        elif package := self.manifests.package(pattern.package):
            yield package
        else:
            raise self._no_package(str(pattern), pattern.package)

    def _no_package(self, text: str, package: str) -> UsageError:
        import difflib

        packages = self.manifests.workspace.packages("")
        near = difflib.get_close_matches(package, packages, n=1) if package else []
        meant = [text.replace(f"//{package}", f"//{other}") for other in near]
        remedy = f"did you mean {meant[0]!r}?" if meant else ""
        return UsageError(Problem(f"{text}: there is no package //{package}", remedy=remedy))

    def _resolve(self, declaration: Declaration, ref: Reference) -> Iterator[Label]:
        package = declaration.package
        if isinstance(ref, SourceRef):
            if ref.is_label:
                label = Label.parse(ref.label, package.path, package.root)
                yield from (d.label for d in _agreeing(declaration, self.meant(label), label))
            return
        if isinstance(ref, ByName) and not ref.text.startswith(("//", ":")):
            named = self._named(package, ref)
            label = Label(named[0].label.package, ref.text)
            yield from (d.label for d in _agreeing(declaration, named, label))
            return
        pattern = self._named_all(declaration, ref) or Pattern.parse(
            ref.text, package.path, package.root
        )
        if pattern.negative:
            raise UsageError(Problem(f"{ref.text!r} takes away", "a label or pattern that adds"))
        asked = pattern.label if pattern.is_label else None
        for found in _agreeing(declaration, self.expand([pattern]), asked):
            if _provides(found, ref.wants):
                if found.label != declaration.label or pattern.is_label:
                    yield found.label
            elif pattern.is_label:
                raise UsageError(
                    Problem(
                        f"{found.label} is one of [{found.rule.table}]",
                        f"a target that provides {ref.wants.__name__}: one of "
                        + ", ".join(f"[{table}]" for table in self._tables(ref.wants)),
                    )
                )

    def _named_all(self, declaration: Declaration, ref: Dep[Any]) -> Pattern | None:
        """`:all` means the target of that name where there is one that provides what is wanted."""
        here = declaration.package
        pattern = Pattern.parse(ref.text, here.path, here.root)
        if pattern.recursive or pattern.negative or pattern.name is not None:
            return None
        package = self.manifests.package(pattern.package)
        targets = package.named("all") if package else ()
        if any(target is declaration for target in targets):
            return None
        if not targets or not _provides(targets[0], ref.wants):
            return None
        return Pattern(pattern.package, "all")

    def _named(self, package: Package, ref: ByName[Any]) -> Sequence[Declaration]:
        """The target of a bare name, with its variants: of the same package, else of the root."""
        candidates: set[str] = set()
        for path in dict.fromkeys((package.path, package.root)):
            there = self.manifests.package(path)
            found = there.named(ref.text) if there else ()
            if found and _provides(found[0], ref.wants):
                return found
        for path in (package.path, package.root):
            there = self.manifests.package(path)
            declarations = there.declarations if there else {}
            candidates |= {d.label.base for d in declarations.values() if _provides(d, ref.wants)}
        tables = " or ".join(f"[{table}.{ref.text}]" for table in self._tables(ref.wants))
        raise UsageError(
            Problem(
                f"no {ref.text!r} is declared in //{package.path} or in the root",
                tables,
                did_you_mean(ref.text, candidates),
            )
        )

    def _tables(self, wants: type) -> list[str]:
        rules = self.manifests.registry.rules
        return sorted(table for table, rule in rules.items() if _provided(rule.provides, wants))

    def _refuse_cycles(self) -> None:
        try:
            TopologicalSorter(self.targets).prepare()
        except CycleError:
            import networkx as nx

            cycle = [edge[0] for edge in nx.find_cycle(self.dag)]
        else:
            return
        first = self.declarations[cycle[0]]
        key = next(
            key
            for ref, key in first.references.items()
            if cycle[1 % len(cycle)] in self.resolved[first.label].get(ref, [])
        )
        path = " → ".join(map(str, (*cycle, cycle[0])))
        raise UsageError(
            first.problem(f"a cycle: {path}", key, expected="targets that do not need themselves")
        )


def some_of(declarations: Sequence[Declaration]) -> str:
    """The labels of a few, for messages."""
    labels = [str(declaration.label) for declaration in declarations]
    more = [f"and {len(labels) - SHOWN} more"] if len(labels) > SHOWN else []
    return ", ".join([*labels[:SHOWN], *more])


def _nearest(label: Label, others: Iterable[Declaration]) -> str:
    """What is wrong with the parameters of a label, and the nearest that are right."""
    right: dict[str, dict[str, None]] = {}
    for other in others:
        for key, value in other.label.variant.items():
            right.setdefault(key, {})[value] = None
    for key, value in label.variant.items():
        if key not in right:
            return f"there is no parameter {key!r}: {did_you_mean(key, right)}"
        if value not in right[key]:
            return f"{key} is never {value!r}: {did_you_mean(value, right[key])}"
    return ""


def _agreeing(
    declaration: Declaration, found: Sequence[Declaration], asked: Label | None = None
) -> Sequence[Declaration]:
    """Within a variant, those that have its values in the parameters that both have and that a
    reference leaves open. Raises UsageError when a label means none of them."""
    own = declaration.label.variant
    if not own:
        return found
    said = asked.variant if asked else {}
    shared = {(key, value) for key, value in own.items() if key not in said}
    kept = [
        other
        for other in found
        if shared >= {item for item in other.label.variant.items() if item[0] in own} - said.items()
    ]
    if asked and not kept:
        raise UsageError(
            Problem(
                f"{asked} has no variant that agrees with {declaration.label}",
                f"one of: {some_of(found)}",
                "name one, or give both the same values in their matrix",
            )
        )
    return kept


def _provides(declaration: Declaration, wants: type) -> bool:
    return _provided(declaration.rule.provides, wants)


def _provided(provides: tuple[type, ...], wants: type) -> bool:
    return wants is object or any(issubclass(given, wants) for given in provides)
