"""An open workspace: its files, its manifests, its cache, and what runs actions for it."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType

from tritonbuild import outputs
from tritonbuild.action import ActionId
from tritonbuild.cache import FirstOf
from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.state import State
from tritonbuild.cache.trees import Trees
from tritonbuild.cancel import Cancellation
from tritonbuild.digest import Digest
from tritonbuild.errors import AnalysisError, Problem, UsageError, did_you_mean, of_os_error
from tritonbuild.events import Listener, Note
from tritonbuild.executors import Executor
from tritonbuild.executors.cached import Cached
from tritonbuild.executors.inprocess import InProcess
from tritonbuild.executors.local import Local
from tritonbuild.executors.steady import Steady
from tritonbuild.explain import Diary
from tritonbuild.graph import Graph
from tritonbuild.label import Label, Pattern
from tritonbuild.lock import FILE as LOCK_FILE
from tritonbuild.lock import Lock, LockedFile, Request
from tritonbuild.manifest import Manifests
from tritonbuild.places import cache_root, state_folder
from tritonbuild.plan import Plan, Resolve, make_plan
from tritonbuild.pointers import Pointers
from tritonbuild.registry import installed
from tritonbuild.rule import RUN, Ask, Rule
from tritonbuild.scheduler import Job, Scheduler
from tritonbuild.sources import Sources
from tritonbuild.workspace import Workspace


class Session:
    """Everything that verbs share. Close it."""

    def __init__(
        self,
        root: Path,
        listener: Listener,
        cancellation: Cancellation,
        *,
        dry_run: bool = False,
    ):
        """In a dry run nothing is resolved."""
        self.root = root
        self.dry_run = dry_run
        self.listener = listener
        self.cancellation = cancellation
        self.workspace = Workspace(root)
        self.cache = DiskCache(cache_root(), lambda text: listener(Note(text)))
        self.state_folder = state_folder(self.cache.root, root)
        self.state = State(self.state_folder)
        pointers = Pointers(root, self.cache, cancellation.check, fetches=not dry_run)
        self.sources = Sources(self.workspace, self.state, pointers, cancellation.check)
        self.blobs = FirstOf(self.cache, self.sources)
        self.diary = Diary(self.state)

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.state.close()

    @cached_property
    def manifests(self) -> Manifests:
        return Manifests(self.workspace, installed())

    @cached_property
    def graph(self) -> Graph:
        return Graph(self.manifests)

    @cached_property
    def tools(self) -> InProcess:
        return InProcess(*self._parts)

    def _programs(self) -> Executor:
        from tritonbuild.executors.sandboxed import Sandboxed

        return Sandboxed(*self._parts)

    @property
    def _parts(self) -> tuple[DiskCache, FirstOf, Trees, Path, Cancellation]:
        return (self.cache, self.blobs, Trees(self.cache), self.cache.tmp, self.cancellation)

    def plan(
        self,
        labels: Iterable[Label],
        *,
        locked: bool = False,
        to_run: Label | None = None,
        ask: Ask = RUN,
    ) -> Plan:
        """Analyses targets; triton.lock is written when something had to be resolved."""
        self.workspace.look(LOCK_FILE)
        before = Lock.read(self.root)
        resolve = None if self.dry_run else self._resolve
        plan, lock = make_plan(
            self.graph, labels, before, resolve, locked=locked, to_run=to_run, ask=ask
        )
        for request in plan.unresolved:
            note = f"would resolve {request}; what that leads to is not known yet"
            self.listener(Note(note))
        if lock is not before:
            Lock.read(self.root).with_entries(lock.entries).write(self.root)
            self.workspace.look(LOCK_FILE)
            self.listener(Note(f"{LOCK_FILE} has new entries; commit it"))
        return plan

    def lock(
        self,
        patterns: Iterable[Pattern],
        *,
        keep: bool,
        others: bool,
        resolve: Resolve | None = None,
    ) -> int:
        """Resolves anew what targets need to be built and run (with `keep`, only what triton.lock
        lacks) and writes triton.lock; the number of its entries. `others`: entries that these
        targets do not need stay. `resolve`: by something else than the resolvers."""
        resolve = resolve or self._resolve
        declarations = self.graph.expand(patterns)
        before = Lock.read(self.root)
        lock = before if keep else Lock()
        _, lock = make_plan(self.graph, (d.label for d in declarations), lock, resolve)
        for label in [d.label for d in declarations if type(d.rule).run is not Rule.run]:
            with suppress(AnalysisError):  # it builds, but cannot be run here: nothing to resolve
                _, lock = make_plan(Graph(self.manifests), [label], lock, resolve, to_run=label)
        if others:
            lock = before.with_entries(lock.entries)
        lock.write(self.root)
        return len(lock.entries)

    def output_lock(self, *, wait: bool) -> AbstractContextManager[None]:
        """Held while outputs are made. Raises OutputsLocked."""
        return outputs.locked(self.root, wait=wait, waits=lambda text: self.listener(Note(text)))

    def executor(self, *, reuse_tests: bool = True) -> Cached:
        local = Steady(Local(self.tools, self._programs), self.sources)
        return Cached(local, self.cache, self.cache, self.blobs, reuse_tests=reuse_tests)

    def scheduler(
        self,
        jobs: dict[ActionId, Job],
        *,
        slots: int = 0,
        keep_going: bool = False,
        reuse_tests: bool = True,
    ) -> Scheduler:
        """`slots`: actions at once; 0: one a core."""
        executor = self.executor(reuse_tests=reuse_tests)
        return Scheduler(
            jobs, executor, self.sources, self.diary, self.listener, self.cancellation,
            slots=slots, keep_going=keep_going,
        )  # fmt: skip

    def _resolve(self, request: Request) -> Iterable[LockedFile]:
        resolvers = self.manifests.registry.resolvers
        if request.kind not in resolvers:
            found = f"nothing resolves {request.kind!r}"
            raise UsageError(Problem(found, remedy=did_you_mean(request.kind, resolvers)))
        self.listener(Note(f"resolving {request}"))
        with TemporaryDirectory(dir=self.cache.tmp) as scratch:
            desk = _Desk(Path(scratch), self.cache)
            try:
                return resolvers[request.kind].function(request, desk)
            except OSError as error:
                raise of_os_error(error, f"{request} cannot be resolved") from None


@dataclass
class _Desk:
    """Implements resolver.Desk."""

    scratch: Path
    _cache: DiskCache

    def keep(self, file: Path) -> Digest:
        return self._cache.adopt(file)


def jobs_of(plan: Plan) -> dict[ActionId, Job]:
    """A fresh job for every action of a plan."""
    jobs: dict[ActionId, Job] = {}
    for target in plan.targets.values():
        table = ".".join(map(str, target.declaration.key))
        for id, action in target.actions.items():
            jobs[id] = Job(action, target.tools.get(id), table)
    return jobs
