"""Targets → actions: analyses what patterns mean and everything below it, and resolves what
triton.lock does not hold yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from tritonbuild.action import Action, ActionId, Output
from tritonbuild.analysis import Target, Unlocked, analyze
from tritonbuild.errors import Problem, TritonbuildError, UsageError
from tritonbuild.graph import Graph
from tritonbuild.label import Label
from tritonbuild.lock import Lock, LockedFile, Request
from tritonbuild.manifest import Declaration
from tritonbuild.rule import RUN, Ask, Files, ImageInfo, RunInfo, TestInfo
from tritonbuild.tools import Tool


@dataclass
class Plan:
    targets: dict[Label, Target]
    """Every analysed target, dependencies first."""
    unresolved: list[Request] = field(default_factory=list)
    """What has to be resolved before more can be known; targets that need it stand here empty."""

    @property
    def actions(self) -> dict[ActionId, Action]:
        return {
            id: action for target in self.targets.values() for id, action in target.actions.items()
        }

    @property
    def tools(self) -> dict[ActionId, Tool]:
        return {id: tool for target in self.targets.values() for id, tool in target.tools.items()}

    def wanted(self, target: Target, *, test: bool) -> set[ActionId]:
        """The actions whose outputs people want of a target: for a verification its verdict, or
        without `test` only what the verdict needs; for a target to run also what its tool needs,
        for one that is asked for a verdict only that."""
        runs = target.get(RunInfo)
        if runs is not None and runs.action.is_test:
            return runs.action.dependencies
        info = target.get(TestInfo)
        if info is not None:
            return {info.action} if test else target.actions[info.action].dependencies
        files, image = target.get(Files), target.get(ImageInfo)
        entries = [*(files.entries.values() if files else ()), *([image.layout] if image else ())]
        made = {artifact.action for artifact in entries if isinstance(artifact, Output)}
        return made | runs.action.dependencies if runs else made


Resolve = Callable[[Request], Iterable[LockedFile]]


def make_plan(
    graph: Graph,
    labels: Iterable[Label],
    lock: Lock,
    resolve: Resolve | None,
    *,
    locked: bool = False,
    to_run: Label | None = None,
    ask: Ask = RUN,
) -> tuple[Plan, Lock]:
    """Analyses targets. Returns the plan and the lock, with what had to be resolved; without
    `resolve` nothing is, and the plan tells what would be.

    `to_run` is the target that an interactive verb is about, and `ask` what that verb asks of it.
    Raises every AnalysisError at once; UsageError (exit 2) when `locked` and triton.lock lacks
    an entry.
    """
    graph.require(labels, to_run=to_run)
    order = list(graph.in_order())
    targets: dict[Label, Target] = {}
    while True:
        missing: dict[Request, Unlocked] = {}
        problems: list[TritonbuildError] = []
        for label in order:
            if label in targets or any(dep not in targets for dep in graph.targets[label]):
                continue
            try:
                targets[label] = analyze(
                    graph.declarations[label],
                    graph.resolved[label],
                    targets,
                    graph.manifests.workspace,
                    lock,
                    ask=ask if label == to_run else None,
                )
            except Unlocked as unlocked:
                missing.setdefault(unlocked.request, unlocked)
            except TritonbuildError as error:
                problems.append(error)
        if problems:
            raise type(problems[0])(
                *(problem for error in problems for problem in error.problems),
                exit_code=problems[0].exit_code,
            )
        if not missing:
            return Plan(targets), lock
        if locked:
            raise UsageError(
                *(
                    unlocked.declaration.problem(
                        f"triton.lock has no entry for {request}",
                        expected="an entry, since --locked is given",
                        remedy="tritonbuild lock",
                    )
                    for request, unlocked in missing.items()
                )
            )
        if resolve is None:
            known = {
                label: targets.get(label) or Target(graph.declarations[label]) for label in order
            }
            return Plan(known, sorted(missing)), lock
        lock = lock.with_entries(
            {request: _resolve(unlocked, resolve) for request, unlocked in missing.items()}
        )


def _resolve(unlocked: Unlocked, resolve: Resolve) -> list[LockedFile]:
    try:
        return list(resolve(unlocked.request))
    except TritonbuildError as error:
        raise type(error)(*placed(error.problems, unlocked.declaration)) from None


def placed(problems: Iterable[Problem], declaration: Declaration) -> Iterator[Problem]:
    """Problems that came up below a target, told at it where they name no place themselves."""
    yield from map(declaration.place, problems)
