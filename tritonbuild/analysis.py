"""One target under analysis: the context that its rule sees, and what the rule made of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from tritonbuild import stamps
from tritonbuild.action import Action, ActionId, Artifact, Needs, Output, Program, Source, ToolCall
from tritonbuild.errors import AnalysisError, Problem, TritonbuildError, UsageError, of_code
from tritonbuild.globs import expand, is_glob
from tritonbuild.keys import KeyPath
from tritonbuild.label import Label
from tritonbuild.lock import Lock, LockedFile, Request
from tritonbuild.manifest import Declaration
from tritonbuild.rule import Ask, Dep, Files, RunInfo, SourceRef
from tritonbuild.tools import Tool
from tritonbuild.workspace import Workspace, normalise

P = TypeVar("P")
T = TypeVar("T")
SHOWN = 8
"""Labels that a remedy lists."""


class Unlocked(Exception):
    """Analysis needs a resolution that triton.lock does not have yet."""

    def __init__(self, request: Request, declaration: Declaration):
        super().__init__(str(request))
        self.request = request
        self.declaration = declaration


@dataclass
class Target:
    """A target after analysis."""

    declaration: Declaration
    providers: list[object] = field(default_factory=list)
    actions: dict[ActionId, Action] = field(default_factory=dict)
    tools: dict[ActionId, Tool] = field(default_factory=dict)
    stamped: bool = False
    """It depends on the repository's commit."""

    @property
    def label(self) -> Label:
        return self.declaration.label

    def get(self, wants: type[P]) -> P | None:
        for given in self.providers:
            if isinstance(given, wants):
                return given
        return None


def analyze(
    declaration: Declaration,
    references: Mapping[Dep[Any] | SourceRef, list[Label]],
    targets: Mapping[Label, Target],
    workspace: Workspace,
    lock: Lock,
    *,
    ask: Ask | None = None,
) -> Target:
    """Runs a rule on a target whose dependencies have been analysed; `ask` is what
    an interactive verb asks of it besides. Raises AnalysisError, or Unlocked."""
    target = Target(declaration)
    settings = ask.settings if ask else {}
    context = _Context(target, references, targets, workspace, lock, settings)
    rule = declaration.rule
    try:
        for provider in rule.analyze(context):
            if not isinstance(provider, rule.provides):
                raise TypeError(f"{type(rule).__name__} yields {provider!r}, not in its `provides`")
            target.providers.append(provider)
        if ask:
            target.providers.append(getattr(rule, ask.verb)(context))
    except UsageError:  # of the command line or the environment: it has no place in a manifest
        raise
    except TritonbuildError as error:
        located = (_located(problem, declaration) for problem in error.problems)
        raise AnalysisError(*located) from None
    except Unlocked:
        raise
    except Exception as error:
        if type(rule).__module__.partition(".")[0] == "tritonbuild":
            raise
        told = of_code(error, type(rule).analyze.__code__.co_filename)
        raise AnalysisError(told, label=str(declaration.label)) from error
    return target


def _located(problem: Problem, declaration: Declaration) -> Problem:
    if problem.line is not None:
        return problem
    return declaration.place(problem)


class _Context:
    """Implements rule.Context."""

    def __init__(
        self,
        target: Target,
        references: Mapping[Dep[Any] | SourceRef, list[Label]],
        targets: Mapping[Label, Target],
        workspace: Workspace,
        lock: Lock,
        settings: Mapping[str, str],
    ):
        self.settings = settings
        self.label = target.label
        self.attributes = target.declaration.attributes
        self._target = target
        self._references = references
        self._targets = targets
        self._workspace = workspace
        self._lock = lock

    @property
    def epoch(self) -> int:
        text = os.environ.get("SOURCE_DATE_EPOCH") or "0"
        if not text.isdecimal() or len(text) > 10:
            found, expected = f"SOURCE_DATE_EPOCH is {text!r}", "seconds since 1970"
            raise UsageError(Problem(found, expected))
        return int(text)

    def provider(self, dep: Dep[P]) -> P:
        found = self.providers(dep)
        if len(found) != 1:
            key = self._target.declaration.references[dep]
            raise self._wrong(
                key, f"{dep.text!r} means {len(found)} targets", "exactly one", self._name_one(dep)
            )
        return found[0]

    def own(self, wants: type[P]) -> P:
        provider: P | None = self._target.get(wants)
        assert provider is not None, f"{self.label} has not yielded {wants.__name__}"
        return provider

    def providers(self, deps: Dep[P] | Sequence[Dep[P]]) -> list[P]:
        wanted = {
            (label, dep.wants)
            for dep in ([deps] if isinstance(deps, Dep) else deps)
            for label in self._references[dep]
        }
        providers: list[P] = []
        for label, wants in sorted(wanted, key=lambda pair: (pair[0], pair[1].__name__)):
            provider: P | None = self._targets[label].get(wants)
            if provider is not None:
                providers.append(provider)
        return providers

    def source(self, ref: SourceRef) -> Artifact:
        if ref.is_label:
            if (count := len(self._references[ref])) > 1:
                found = f"{ref.label} means {count} targets"
                raise self._wrong(self._key(ref), found, "exactly one", self._name_one(ref))
            made = self._outputs(ref)
            if len(made) != 1:
                raise self._wrong(
                    self._key(ref),
                    f"{ref.label} makes {len(made)} things",
                    "one",
                    f"name one, such as '{ref.label}/{min(made, default='file')}'",
                )
            return next(iter(made.values()))
        if self._is_glob(ref):
            raise self._wrong(self._key(ref), f"{ref.text!r} is a glob", "one file or folder")
        return self._file(ref)

    def sources(self, refs: Iterable[SourceRef]) -> dict[str, Artifact]:
        found: dict[str, Artifact] = {}
        for ref in refs:
            if ref.is_label:
                new = self._outputs(ref)
            elif self._is_glob(ref):
                paths = self._placed(ref, partial(self._glob, ref.text))
                new = {self._relative(path): Source(path) for path in paths}
                if not new:
                    found_none = f"no file matches {ref.text!r}"
                    raise self._wrong(self._key(ref), found_none, "at least one file")
            else:
                source = self._file(ref)
                new = {self._relative(source.path): source}
            for path, artifact in new.items():
                if found.setdefault(path, artifact) != artifact:
                    raise self._wrong(
                        self._key(ref), f"two inputs want the path {path!r}", "one each"
                    )
        return found

    def names(self, ref: SourceRef) -> list[str]:
        if ref.is_label:
            return []
        path = self._file(ref).path
        return [
            f"{name}/" if is_folder else name
            for name, is_folder in self._workspace.names(path)
            if not self._workspace.ignored(f"{path}/{name}", is_folder)
        ]

    def tool(
        self,
        tool: Tool,
        *,
        name: str = "",
        parameters: Mapping[str, Any] | None = None,
        hints: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Artifact] | None = None,
        outputs: Iterable[str],
        needs: Needs = Needs(),  # noqa: B008  # frozen
        is_test: bool = False,
    ) -> dict[str, Output]:
        action = Action(
            ActionId(self.label, name or tool.name),
            ToolCall(tool.name, tool.version, parameters or {}, hints or {}),
            inputs or {},
            tuple(outputs),
            needs=needs,
            is_test=is_test,
        )
        self._target.tools[action.id] = tool
        return self._declare(action)

    def program(
        self,
        argv: Sequence[str],
        *,
        name: str = "",
        inputs: Mapping[str, Artifact],
        outputs: Iterable[str],
        environment: Mapping[str, str] | None = None,
        network: bool = False,
        needs: Needs = Needs(),  # noqa: B008  # frozen
        timeout: float | None = None,
    ) -> dict[str, Output]:
        return self._declare(
            Action(
                ActionId(self.label, name or "run"),
                Program(tuple(argv), environment or {}, network),
                inputs,
                tuple(outputs),
                timeout=timeout,
                needs=needs,
            )
        )

    def interactive(
        self,
        tool: Tool,
        *,
        parameters: Mapping[str, Any],
        inputs: Mapping[str, Artifact],
        outputs: Iterable[str] = (),
        is_test: bool = False,
    ) -> RunInfo:
        call = ToolCall(tool.name, tool.version, parameters)
        id = ActionId(self.label, tool.name)
        action = Action(id, call, inputs, tuple(outputs), cacheable=False, is_test=is_test)
        self._target.tools[action.id] = tool
        return RunInfo(action)

    def locked(self, request: Request) -> tuple[LockedFile, ...]:
        files = self._lock.get(request)
        if files is None:
            raise Unlocked(request, self._target.declaration)
        return files

    def stamped(self, text: str, key: str = "") -> str:
        with self._at(key):
            stamped = stamps.replace(text, self._workspace.root)
        self._target.stamped |= stamped != text
        return stamped

    def stampable(self, text: str, key: str = "") -> str:
        with self._at(key):
            stamps.check(text)
        return text

    @contextmanager
    def _at(self, key: str) -> Iterator[None]:
        try:
            yield
        except UsageError as error:
            (problem,) = error.problems
            raise self.error(
                problem.found, key=key, expected=problem.expected, remedy=problem.remedy
            ) from None

    def error(
        self, found: str, *, key: str = "", expected: str = "", remedy: str = ""
    ) -> AnalysisError:
        return self._wrong(self._target.declaration.key_below(key), found, expected, remedy)

    def _declare(self, action: Action) -> dict[str, Output]:
        if self._target.actions.get(action.id, action) != action:
            raise TypeError(f"{action.id} is declared as two things; give each a name of its own")
        self._target.actions[action.id] = action
        return {path: Output(action.id, path) for path in action.outputs}

    def _name_one(self, ref: Dep[Any] | SourceRef) -> str:
        """The remedy where a reference means several targets."""
        labels = self._references[ref]
        more = ", …" if len(labels) > SHOWN else ""
        return f"name one of {', '.join(map(str, labels[:SHOWN]))}{more}" if labels else ""

    def _outputs(self, ref: SourceRef) -> dict[str, Artifact]:
        """What targets make, or of each the one output that is meant."""
        found: dict[str, Artifact] = {}
        for label in self._references[ref]:
            files = self._targets[label].get(Files)
            made = self._meant(ref, label, files.entries if files else {})
            for path, artifact in made.items():
                if found.setdefault(path, artifact) != artifact:
                    raise self._wrong(
                        self._key(ref),
                        f"{ref.label} means several targets that make {path!r}",
                        "one, or outputs with a name of their own in each",
                        self._name_one(ref),
                    )
        return found

    def _meant(
        self, ref: SourceRef, label: Label, made: Mapping[str, Artifact]
    ) -> Mapping[str, Artifact]:
        if not ref.output:
            return made
        for path, artifact in made.items():
            if path == ref.output:
                return {path: artifact}
            if ref.output.startswith(f"{path}/") and isinstance(artifact, Output):
                return {ref.output: artifact / ref.output.removeprefix(f"{path}/")}
        raise self._wrong(
            self._key(ref),
            f"{label} does not make {ref.output!r}",
            f"one of: {', '.join(sorted(made))}",
        )

    def _file(self, ref: SourceRef) -> Source:
        path = self._placed(ref, lambda: normalise(self.label.package, ref.text))
        there = self._placed(ref, lambda: self._workspace.look(path))
        if there is None and self._workspace.tracked(path) is None:
            raise self._wrong(self._key(ref), f"there is no {path}", "a file or folder that exists")
        return Source(path)

    def _is_glob(self, ref: SourceRef) -> bool:
        """A file of that very name comes first."""
        if not is_glob(ref.text):
            return False
        path = self._placed(ref, partial(normalise, self.label.package, ref.text))
        return self._workspace.look(path) is None

    def _glob(self, text: str) -> list[str]:
        return list(expand(self._workspace, self.label.package, text))

    def _relative(self, path: str) -> str:
        package = self.label.package
        return path.removeprefix(f"{package}/") if package else path

    def _placed(self, ref: SourceRef, look: Callable[[], T]) -> T:
        """Runs something that may find fault with the path of a reference."""
        try:
            return look()
        except TritonbuildError as error:
            first = error.problems[0]
            raise self._wrong(self._key(ref), first.found, first.expected, first.remedy) from None

    def _key(self, ref: SourceRef) -> KeyPath:
        return self._target.declaration.references[ref]

    def _wrong(
        self, key: KeyPath, found: str, expected: str = "", remedy: str = ""
    ) -> AnalysisError:
        declaration = self._target.declaration
        return AnalysisError(declaration.problem(found, key, expected=expected, remedy=remedy))
