"""The graph of targets: which ones patterns mean, and what each depends on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import networkx as nx

from tritonbuild.errors import Problem, TritonbuildError, UsageError, did_you_mean
from tritonbuild.label import Label, Pattern
from tritonbuild.manifest import WORKSPACE, Declaration, Manifests, Package
from tritonbuild.manifest_errors import KeyPath
from tritonbuild.rule import ByName, Dep, SourceRef

Reference = Dep[Any] | SourceRef


class Graph:
    """A networkx DiGraph of labels, edges from a target to those that it depends on."""

    def __init__(self, manifests: Manifests):
        self.manifests = manifests
        self.targets: nx.DiGraph[Label] = nx.DiGraph()
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
            self.targets.add_node(label)
            resolved: dict[Reference, list[Label]] = {}
            for ref, key in declaration.references.items():
                if key[0] in declaration.rule.needed_to_run and label != to_run:
                    continue
                try:
                    resolved[ref] = self.means(declaration, ref)
                except UsageError as error:
                    problems.extend(error.problems)
                    continue
                self.targets.add_edges_from((label, other) for other in resolved[ref])
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
        package = declaration.package
        return package.problem(
            problem.found, (*declaration.key, *key), label=str(declaration.label), **rest
        )

    def declaration(self, label: Label) -> Declaration:
        """Raises UsageError when there is no such target."""
        package = self.manifests.package(label.package)
        if package is None:
            raise UsageError(Problem(f"{label}: there is no package //{label.package}"))
        declaration = package.declarations.get(label.name)
        if declaration is None:
            found = f"//{label.package} has no target {label.name!r}"
            raise UsageError(Problem(found, remedy=did_you_mean(label.name, package.declarations)))
        return declaration

    def expand(self, patterns: Iterable[Pattern]) -> list[Declaration]:
        """What patterns mean, sorted; later negative ones take away. Raises UsageError when a
        pattern that should add something matches nothing."""
        chosen: dict[Label, Declaration] = {}
        for pattern in patterns:
            if pattern.negative:
                chosen = {label: d for label, d in chosen.items() if not pattern.matches(label)}
                continue
            if pattern.is_label:
                matched = [self.declaration(Label(pattern.package, pattern.name or ""))]
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
        return nx.lexicographical_topological_sort(self.targets.reverse(copy=False))

    def _packages(self, pattern: Pattern) -> Iterator[Package]:
        if pattern.recursive:
            yield from self.manifests.below(pattern.package)
        elif package := self.manifests.package(pattern.package):
            yield package
        else:
            raise UsageError(Problem(f"{pattern}: there is no package //{pattern.package}"))

    def _resolve(self, declaration: Declaration, ref: Reference) -> Iterator[Label]:
        package = declaration.package
        if isinstance(ref, SourceRef):
            if ref.is_label:
                label = Label.parse(ref.label, package.path, package.root)
                yield self.declaration(label).label
            return
        if isinstance(ref, ByName) and not ref.text.startswith(("//", ":")):
            yield self._named(package, ref)
            return
        pattern = self._named_all(declaration, ref) or Pattern.parse(
            ref.text, package.path, package.root
        )
        if pattern.negative:
            raise UsageError(Problem(f"{ref.text!r} takes away", "a label or pattern that adds"))
        for found in self.expand([pattern]):
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
        target = package.declarations.get("all") if package else None
        if target is None or target.label == declaration.label or not _provides(target, ref.wants):
            return None
        return Pattern(pattern.package, "all")

    def _named(self, package: Package, ref: ByName[Any]) -> Label:
        """The target of a bare name: of the same package, else of the root."""
        candidates: set[str] = set()
        for path in dict.fromkeys((package.path, package.root)):
            there = self.manifests.package(path)
            declarations = there.declarations if there else {}
            found = declarations.get(ref.text)
            if found is not None and _provides(found, ref.wants):
                return found.label
        for path in (package.path, package.root):
            there = self.manifests.package(path)
            declarations = there.declarations if there else {}
            candidates |= {n for n, d in declarations.items() if _provides(d, ref.wants)}
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
        if nx.is_directed_acyclic_graph(self.targets):
            return
        cycle = [edge[0] for edge in nx.find_cycle(self.targets)]
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


def _provides(declaration: Declaration, wants: type) -> bool:
    return _provided(declaration.rule.provides, wants)


def _provided(provides: tuple[type, ...], wants: type) -> bool:
    return wants is object or any(issubclass(given, wants) for given in provides)
