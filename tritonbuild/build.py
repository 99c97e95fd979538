"""Builds targets, and verifies them if asked: plans what patterns mean, runs the actions, puts
outputs in their place, and reports how each target ended.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from graphlib import TopologicalSorter
from pathlib import Path

from tritonbuild import snapshot
from tritonbuild.action import ActionId, Output, Source
from tritonbuild.analysis import Target
from tritonbuild.errors import (
    ActionError,
    EnvironmentFailure,
    ExitCode,
    Interrupted,
    Moved,
    Problem,
    TritonbuildError,
    Unsettled,
    UsageError,
    did_you_mean,
)
from tritonbuild.events import Metrics, Note, OutputFile, Started, Status, TargetEnded, to_json
from tritonbuild.executors import Work
from tritonbuild.hints import hinted
from tritonbuild.label import Label, Pattern
from tritonbuild.manifest import Declaration
from tritonbuild.merkle import Entry, File, Folder
from tritonbuild.oci.sparse import Sparse
from tritonbuild.outputs import Outputs, folder_for
from tritonbuild.plan import Plan, placed
from tritonbuild.rule import Dep, Files, ImageInfo, RunInfo, TestInfo
from tritonbuild.scheduler import DONE, Job, State, find_output
from tritonbuild.session import Session, jobs_of
from tritonbuild.verdict import problems


@dataclass(frozen=True)
class Options:
    """What the flags say."""

    test: bool = False
    jobs: int = 0
    """At once; 0: one a core."""
    keep_going: bool = False
    locked: bool = False
    dry_run: bool = False
    wait: bool = True
    rules: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    """Of verifications."""
    filter: str = ""
    """A part of verifications' labels."""
    reuse_tests: bool = True


@dataclass
class Report:
    """How a build ended."""

    targets: list[TargetEnded] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    exit_code: ExitCode = ExitCode.OK
    metrics: Metrics = field(default_factory=Metrics)
    told_by_files: bool = True
    """Whether the same build is known to have nothing to do where no file has changed. GPUs and
    their driver are seen in no file, nor is the commit that a manifest asks for."""


def build(session: Session, patterns: Sequence[Pattern], options: Options) -> Report:
    """Raises TritonbuildError where nothing could be built at all."""
    begun = time.monotonic()
    with ExitStack() as held:
        if not options.dry_run:
            held.enter_context(session.cache.in_use())
            held.enter_context(session.output_lock(wait=options.wait))
        chosen = choose(session, patterns, options)
        plan = session.plan(chosen, locked=options.locked)
        chosen = _select(plan, chosen, options)
        build = Build(session, plan, chosen, options)
        build.run()
    build.report.metrics.wall_s = round(time.monotonic() - begun, 3)
    return build.report


def choose(session: Session, patterns: Sequence[Pattern], options: Options) -> list[Label]:
    """The targets that patterns mean; with `test`, a target that is named by its own label brings
    the verifications of its package that verify it."""
    tables = session.manifests.registry.rules
    for table in sorted(set(options.rules) - set(tables)):
        remedy = did_you_mean(table, tables)
        raise UsageError(Problem(f"there is no rule {table!r}", remedy=remedy))
    declarations = session.graph.expand(patterns)
    chosen = {d.label for d in declarations if _matches(d, options)}
    if options.test:
        for pattern in [p for p in patterns if p.is_label]:
            package = session.manifests.package(pattern.package)
            others = package.declarations.values() if package else ()
            named = {d.label for d in session.graph.meant(pattern.label)}
            chosen |= {
                d.label for d in others if _verifies(session, d, named) and _matches(d, options)
            }
    if declarations and not chosen:
        raise _none_left(declarations, options)
    taken_away = [pattern for pattern in patterns if pattern.negative]
    return sorted(x for x in chosen if not any(p.matches(x) for p in taken_away))


def _matches(declaration: Declaration, options: Options) -> bool:
    if options.rules and declaration.rule.table not in options.rules:
        return False
    return not options.tags or bool(set(options.tags) & set(declaration.attributes.tags))


def _none_left(declarations: Sequence[Declaration], options: Options) -> UsageError:
    """The flags leave nothing of what the patterns mean."""
    flags = [f"--rule {rule}" for rule in options.rules] + [f"--tag {tag}" for tag in options.tags]
    tags = {tag for declaration in declarations for tag in declaration.attributes.tags}
    remedies = [did_you_mean(tag, tags) for tag in options.tags if tag not in tags]
    found = f"of {_count(declarations, 'target')}, {' '.join(flags)} leaves none"
    exit_code = ExitCode.NO_TESTS if options.test else None
    return UsageError(Problem(found, remedy=" ".join(filter(None, remedies))), exit_code=exit_code)


def _select(plan: Plan, chosen: Sequence[Label], options: Options) -> list[Label]:
    """Without the verifications that `--kind` and `--filter` leave out. Raises UsageError when they
    leave out all."""
    left = [label for label in chosen if _selected(plan.targets[label], options)]
    tests = {label: plan.targets[label].get(TestInfo) for label in chosen}
    kinds = {info.kind for info in tests.values() if info is not None}
    if options.test and kinds and not any(tests[label] for label in left):
        flags = [f"--kind {kind}" for kind in options.kinds]
        flags += [f"--filter {options.filter}"] if options.filter else []
        count = _count([info for info in tests.values() if info], "verification")
        found = f"of {count}, {' '.join(flags)} leaves none"
        expected = f"kinds: {', '.join(sorted(kinds))}" if options.kinds else ""
        raise UsageError(Problem(found, expected), exit_code=ExitCode.NO_TESTS)
    return left


def _count(things: Sequence[object], word: str) -> str:
    return f"{len(things)} {word}{'s' if len(things) != 1 else ''}"


def _verifies(session: Session, declaration: Declaration, named: set[Label]) -> bool:
    target = getattr(declaration.attributes, "target", None)
    if TestInfo not in declaration.rule.provides or not isinstance(target, Dep):
        return False
    return not named.isdisjoint(session.graph.means(declaration, target))


def _selected(target: Target, options: Options) -> bool:
    """Whether a verification is of the kinds and names that are asked for."""
    info = target.get(TestInfo)
    if info is None or not options.test:
        return True
    if options.kinds and info.kind not in options.kinds:
        return False
    return options.filter in str(target.label)


class Build:
    """One build on its way."""

    def __init__(self, session: Session, plan: Plan, chosen: Sequence[Label], options: Options):
        self.report = Report()
        self._session = session
        self._plan = plan
        self._options = options
        self.jobs = jobs_of(plan)
        self._outputs = Outputs(session.root, session.blobs, session.sources, session.state)
        self._wanted: dict[Label, set[ActionId]] = {
            label: plan.wanted(plan.targets[label], test=options.test) for label in chosen
        }
        self._open: dict[Label, set[ActionId]] = {}
        """Chosen targets that have not ended yet → their actions that have not."""
        self._waiting: dict[ActionId, list[Label]] = {}
        """Action → the chosen targets that it belongs to."""
        for label, ids in self._wanted.items():
            for id in ids:
                self._waiting.setdefault(id, []).append(label)
        self._told: dict[str, TargetEnded] = {}
        self._remarks: set[Note] = set()
        """Those that were told."""
        self._ran: set[ActionId] = set()
        self._tries: Counter[type[Unsettled]] = Counter()
        self._again: Unsettled | None = None
        """Why the build has to begin anew."""
        self._problems: dict[Problem, None] = {}
        self._misplaced: list[TritonbuildError] = []
        """Why outputs could not be put in their place."""

    def run(self) -> None:
        wanted = {id for ids in self._wanted.values() for id in ids}
        needed = self._below(wanted)
        self.report.metrics.actions = len(needed)
        gpus = (self.jobs[id].action.needs.gpu for id in needed)
        self.report.told_by_files = all(gpu is None for gpu in gpus) and not any(
            target.stamped for target in self._plan.targets.values()
        )
        self._session.listener(Started(len(self._wanted), len(needed)))
        if self._options.dry_run:
            self._foresee(needed)
            return
        try:
            while True:
                self._attempt(wanted)
                if self._again is None:
                    break
                self._tries[type(self._again)] += 1
                if isinstance(self._again, Moved):
                    self._session.sources.look_again(self._again.paths)
        finally:
            self._count(needed)
            self.report.targets = list(self._told.values())
        self.report.exit_code = self._exit_code()

    def _foresee(self, needed: set[ActionId]) -> None:
        """Tells what would become of each action, as far as that is known without running one."""
        options, jobs = self._options, self.jobs
        executor = self._session.executor(reuse_tests=options.reuse_tests)
        scheduler = self._session.scheduler(jobs)
        order = TopologicalSorter({id: sorted(jobs[id].action.dependencies) for id in needed})
        for id in order.static_order():
            job = jobs[id]
            below = [jobs[need].state for need in job.action.dependencies]
            told = "may run"
            # Which GPU it would get, and so its key, is not known.
            if job.action.needs.gpu is None and all(state is State.CACHED for state in below):
                with suppress(TritonbuildError):  # such as a source that lies elsewhere
                    _, encoded = scheduler.encode(job)
                    job.execution = executor.known(Work(job.action, encoded, job.tool))
                    told = "cached" if job.execution else "would run"
                    job.state = State.CACHED if job.execution else State.WAITING
            self._session.listener(Note(f"{told}: {id}"))

    def _attempt(self, wanted: set[ActionId]) -> None:
        self.jobs = jobs_of(self._plan)
        self._again = None
        self._open = {label: set(ids) for label, ids in self._wanted.items()}
        scheduler = self._session.scheduler(
            self.jobs,
            slots=self._options.jobs,
            keep_going=self._options.keep_going,
            reuse_tests=self._options.reuse_tests,
        )
        for label in [label for label, ids in self._open.items() if not ids]:
            self._end(label)
        scheduler.run(wanted, self._ended)

    def _begins_anew(self, error: TritonbuildError | None) -> bool:
        """Whether an error is a reason to begin anew, rather than the end of a target."""
        if not isinstance(error, Unsettled) or self._tries[type(error)] + 1 >= error.attempts:
            return False
        self._again = error
        return True

    def _below(self, wanted: set[ActionId]) -> set[ActionId]:
        needed: set[ActionId] = set()
        queue = list(wanted)
        while queue:
            id = queue.pop()
            if id not in needed:
                needed.add(id)
                queue.extend(self.jobs[id].action.dependencies)
        return needed

    def _ended(self, job: Job) -> None:
        """An action ended: its failure is reported, and targets that waited for it end."""
        if self._begins_anew(job.error):
            return
        if job.state in (State.BUILT, State.FAILED):
            self._ran.add(job.action.id)
        if job.error is not None:
            declaration = self._plan.targets[job.action.id.label].declaration
            told = [
                hinted(problem, job.action, declaration, self._session.root)
                for problem in job.error.problems
            ]
            self._blame(placed(told, declaration))
            if job.action.id.label not in self._wanted:
                self._report(
                    TargetEnded(str(declaration.label), declaration.rule.table, Status.FAILED)
                )
        if self._again is not None and job.state not in DONE:
            return  # it is not over
        for label in self._waiting.get(job.action.id, ()):
            self._open[label].discard(job.action.id)
            if not self._open[label]:
                self._end(label)

    def _end(self, label: Label) -> None:
        target = self._plan.targets[label]
        jobs = [self.jobs[id] for id in self._wanted[label]]
        made: tuple[OutputFile, ...] = ()
        status = self._status(target, jobs)
        if all(job.state in DONE for job in jobs) and not self._only_inputs(target):
            try:
                made = self._place(target)
                self._tell(target)
            except TritonbuildError as error:
                if self._begins_anew(error):
                    return
                self._misplaced.append(error)
                self._blame(problem.at(label=str(target.label)) for problem in error.problems)
                status = Status.FAILED
        self._report(TargetEnded(str(target.label), target.declaration.rule.table, status, made))

    def _place(self, target: Target) -> tuple[OutputFile, ...]:
        """An image is told by its manifest's digest, whatever stands beside it."""
        entries = self._entries(target)
        image = self.image(target)
        if image is None:
            return self._outputs.place(target.label, entries)
        self._outputs.place(target.label, {**image.files, **entries}, image.recipes)
        told = image.descriptor
        return (
            OutputFile(folder_for(target.label), told.content.hash, told.size, told.media_type),
        )

    def _tell(self, target: Target) -> None:
        """What is no error and yet to be known."""
        info = target.get(ImageInfo)
        for remarks in info.remarks if info is not None else ():
            file = find_output(self.jobs[remarks.action], remarks.path)
            assert isinstance(file, File)
            for text in json.loads(self._session.cache.read(file.digest)):
                note = Note(f"{target.label}: {text}")
                if note not in self._remarks:
                    self._remarks.add(note)
                    self._session.listener(note)

    def image(self, target: Target) -> Sparse | None:
        """What was made of a target that is an image."""
        info = target.get(ImageInfo)
        if info is None:
            return None
        folder = find_output(self.jobs[info.layout.action], info.layout.path)
        assert isinstance(folder, Folder), "a sparse layout is a folder"
        return Sparse(folder, self._session.blobs)

    def _only_inputs(self, target: Target) -> bool:
        """Whether just what a verification or an answer needs was built."""
        runs = target.get(RunInfo)
        if runs is not None and runs.action.is_test:
            return True
        return target.get(TestInfo) is not None and not self._options.test

    def _status(self, target: Target, jobs: list[Job]) -> Status:
        states = {job.state for job in jobs}
        info = target.get(TestInfo) if self._options.test else None
        own = [self.jobs[id] for id in target.actions if id in self.jobs]
        failed = [job for job in (*own, *jobs) if job.state is State.FAILED]
        if any(job.action.id.label == target.label for job in failed):
            cannot = info is not None and isinstance(failed[0].error, EnvironmentFailure)
            return Status.UNAVAILABLE if cannot else Status.FAILED
        if failed or State.SKIPPED in states:
            return Status.SKIPPED
        if info is not None:
            verdict = self.jobs[info.action].result
            if verdict.exit_code == 0:
                return Status.PASSED
            told = problems(verdict, self._session.cache.read)
            self._blame(target.declaration.place(problem) for problem in told)
            return Status.FAILED
        its = self._wanted[target.label] | target.actions.keys()
        return Status.CACHED if self._ran.isdisjoint(its) else Status.BUILT

    def _entries(self, target: Target) -> dict[str, Entry]:
        files = target.get(Files)
        entries: dict[str, Entry] = {}
        for path, artifact in (files.entries if files else {}).items():
            match artifact:
                case Output(action, output):
                    entries[path] = find_output(self.jobs[action], output)
                case Source(source):
                    entries[path] = self._session.sources.entry(source)
                case _:
                    entries[path] = File(self._session.cache.put(artifact.content))
        return entries

    def _report(self, target: TargetEnded) -> None:
        if self._told.get(target.label) != target:
            self._told[target.label] = target
            self._session.listener(target)

    def _blame(self, problems: Iterable[Problem]) -> None:
        self._problems |= dict.fromkeys(problems)
        self.report.problems = list(self._problems)

    def _count(self, needed: set[ActionId]) -> None:
        cached = {id for id in needed if self.jobs[id].state is State.CACHED}
        self.report.metrics.executed = len(self._ran)
        self.report.metrics.cached = len(cached - self._ran)
        self.report.metrics.bytes_pulled = self._session.tools.bytes_pulled
        self.report.metrics.bytes_hashed = self._session.sources.bytes_hashed

    def _exit_code(self) -> ExitCode:
        """A build failure outranks a test failure."""
        errors = [job.error for job in self.jobs.values() if job.error is not None]
        errors += self._misplaced
        tests = {
            target.label
            for target in self._plan.targets.values()
            if self._options.test
            and target.get(TestInfo) is not None
            and target.label in self._wanted
        }
        verdicts = [t.status for t in self.report.targets if Label.parse(t.label) in tests]
        broken = [t for t in self.report.targets if Label.parse(t.label) not in tests]
        failures = [e for e in errors if not isinstance(e, EnvironmentFailure)]
        if any(isinstance(error, Interrupted) for error in errors):
            return ExitCode.INTERRUPTED
        if failures:
            return failures[0].exit_code
        if any(target.status is Status.FAILED for target in broken):
            return errors[0].exit_code if errors else ActionError.exit_code
        if Status.FAILED in verdicts:
            return ExitCode.TEST_FAILED
        if self._options.test and Status.PASSED not in verdicts:
            return ExitCode.NO_TESTS
        return ExitCode.OK


def remember(session: Session, folder: Path, request: Sequence[str], report: Report) -> None:
    """Keeps a successful build, so that the same request can be answered from `stat` alone."""
    if report.exit_code is not ExitCode.OK or session.sources.looked_again:
        return
    if not report.told_by_files:
        return
    placed: dict[str, list[int]] = {}
    for target in report.targets:
        if target.outputs:
            placed |= Outputs(session.root, session.blobs, session.sources, session.state).placed(
                Label.parse(target.label)
            )
    events = [
        replace(target, status=Status.CACHED) if target.status is Status.BUILT else target
        for target in report.targets
    ]
    snapshot.save(
        folder, request, session.root, session.workspace.seen, placed,
        [dict(to_json(event) or {}) for event in events], report.metrics.actions,
    )  # fmt: skip
