"""Runs the actions of a plan: each after those that it needs, as many at once as slots, memory and
GPUs allow, and stops below a failure.

    waiting → ready → running → built | cached | failed        skipped: below a failure

An action's key holds the digests of its inputs, so where an input was made anew with the same
bytes, the actions above it are found in the cache: early cut-off needs no further rule.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache

from tritonbuild.action import Action, ActionId, Encoded, Literal, Output, Source, encode
from tritonbuild.cache import Result
from tritonbuild.cancel import Cancellation
from tritonbuild.digest import Digest
from tritonbuild.errors import (
    ActionError,
    EnvironmentFailure,
    Interrupted,
    Problem,
    TritonbuildError,
    of_os_error,
)
from tritonbuild.events import ActionEnded, ActionStarted, Listener, Status
from tritonbuild.executors import Execution, Executor, Work
from tritonbuild.explain import Diary, facts_of
from tritonbuild.gpus import Gpus, Lease
from tritonbuild.merkle import Conflict, Entry, File, Folder
from tritonbuild.sources import Sources
from tritonbuild.tools import Tool

POLL = 0.2
"""Seconds between looks at whether the build is being stopped."""
PATIENCE = 20.0
"""Seconds that actions have to end when the build is being stopped."""


class State(Enum):
    WAITING = "something that it needs is not made yet"
    READY = "it can run"
    RUNNING = "it runs, or its result is being looked up"
    BUILT = "it ran"
    CACHED = "its result was known"
    FAILED = "it ran and failed"
    SKIPPED = "something that it needs failed"


DONE = (State.BUILT, State.CACHED)


@dataclass
class Job:
    """An action on its way."""

    action: Action
    tool: Tool | None
    table: str
    """Where its target stands in the manifest: `models.densenet`."""
    state: State = State.WAITING
    execution: Execution | None = None
    error: TritonbuildError | None = None
    needed_by: list[ActionId] = field(default_factory=list)
    open_needs: int = 0
    lease: Lease | None = None
    """The GPUs that it holds."""

    @property
    def here(self) -> Action:
        """The action, with what of this machine is in its key."""
        if self.lease is None:
            return self.action
        return replace(self.action, platform={**self.action.platform, **self.lease.facts})

    @property
    def result(self) -> Result:
        assert self.execution is not None, f"{self.action.id} is not done"
        return self.execution.result


class Scheduler:
    """One run over the actions that are wanted and those that they need."""

    def __init__(
        self,
        jobs: Mapping[ActionId, Job],
        executor: Executor,
        sources: Sources,
        diary: Diary,
        listener: Listener,
        cancellation: Cancellation,
        *,
        slots: int = 0,
        keep_going: bool = False,
    ):
        self.jobs = jobs
        self._executor = executor
        self._sources = sources
        self._diary = diary
        self._listener = listener
        self._cancellation = cancellation
        self._slots = slots or os.cpu_count() or 1
        self._memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self._gpus = Gpus()
        self._keep_going = keep_going
        self._done: Callable[[Job], None] = lambda job: None
        self._failed = False

    def run(self, wanted: Iterable[ActionId], done: Callable[[Job], None]) -> None:
        """Until everything wanted is done, failed or skipped; `done` is told of each as it ends.
        Raises Interrupted."""
        self._done = done
        needed = self._needed(wanted)
        # Threads for actions that take a part of a slot; `_fitting` bounds what runs at once.
        pool = ThreadPoolExecutor(4 * self._slots, "action")
        try:
            with self._cancellation.shield():
                self._drain(needed, pool)
        finally:
            pool.shutdown(wait=not self._cancellation)
        if self._cancellation:
            raise Interrupted()
        for job in needed:
            if job.state in (State.WAITING, State.READY):
                self._skip(job)

    def _drain(self, needed: list[Job], pool: ThreadPoolExecutor) -> None:
        ready = [job for job in needed if job.open_needs == 0]
        running: dict[Future[Execution], Job] = {}
        stopping = 0.0
        while ready or running:
            if self._cancellation:
                ready.clear()
                stopping = stopping or time.monotonic()
                if time.monotonic() > stopping + PATIENCE:
                    return
            for job in self._fitting(ready, running.values()):
                ready.remove(job)
                job.state = State.RUNNING
                running[pool.submit(self._execute, job)] = job
            finished, _ = wait(running, timeout=POLL, return_when=FIRST_COMPLETED)
            for future in finished:
                job = running.pop(future)
                if job.lease is not None:
                    self._gpus.give_back(job.lease)
                    job.lease = None
                ready.extend(self._finish(job, future))
            if self._failed and not self._keep_going:
                ready.clear()

    def _needed(self, wanted: Iterable[ActionId]) -> list[Job]:
        """The wanted jobs and all below them, with their needs counted."""
        found: dict[ActionId, Job] = {}
        queue = sorted(wanted, reverse=True)
        while queue:
            id = queue.pop()
            if id in found:
                continue
            job = found[id] = self.jobs[id]
            needs = sorted(job.action.dependencies)
            job.open_needs = len(needs)
            for need in needs:
                self.jobs[need].needed_by.append(id)
            queue.extend(reversed(needs))
        return list(found.values())

    def _fitting(self, ready: Iterable[Job], running: Iterable[Job]) -> list[Job]:
        """Which of the ready jobs may start beside those that run. One always may."""
        held = [job.action.needs for job in running]
        slots = self._slots - sum(min(need.cpu, self._slots) for need in held)
        memory = self._memory - sum(need.memory for need in held)
        chosen: list[Job] = []
        for job in ready:
            if slots <= 0:
                break
            need = job.action.needs
            alone = not held and not chosen
            fits = alone or (min(need.cpu, self._slots) <= slots and need.memory <= memory)
            if fits and self._has_gpus(job):
                chosen.append(job)
                slots -= need.cpu
                memory -= need.memory
        return chosen

    def _has_gpus(self, job: Job) -> bool:
        """Whether it has the GPUs that it needs, or will never get them here, which is told as
        its failure; else they are taken for now."""
        need = job.action.needs.gpu
        if need is None:
            return True
        try:
            job.lease = self._gpus.take(need)
        except EnvironmentFailure as error:
            job.error = error
        return job.lease is not None or job.error is not None

    def _execute(self, job: Job) -> Execution:
        """Looks up or runs."""
        if job.error is not None:
            raise job.error
        entries, encoded = self.encode(job)
        facts = cache(lambda: facts_of(job.here, job.table, entries))
        name = str(job.action.id)
        reasons = self._diary.reasons(name, encoded.key, facts)
        self._listener(ActionStarted(name))
        execution = self._executor.execute(Work(job.here, encoded, job.tool, job.lease))
        executed = not execution.cached
        self._diary.keep(name, encoded.key, facts, executed=executed, reasons=reasons)
        status = Status.BUILT if executed else Status.CACHED
        self._listener(ActionEnded(name, status, tuple(reasons) if executed else ()))
        return execution

    def encode(self, job: Job) -> tuple[dict[str, Entry], Encoded]:
        """What its inputs are, by path, and the action made of them; what it needs must be done."""
        entries: dict[str, Entry] = {}
        for path, artifact in job.action.inputs.items():
            match artifact:
                case Source(source):
                    entries[path] = self._sources.entry(source)
                case Literal(content):
                    entries[path] = File(Digest.of_bytes(content))
                case Output(action, output):
                    entries[path] = find_output(self.jobs[action], output)
        try:
            return entries, encode(job.here, entries)
        except Conflict as error:
            raise ActionError(Problem(f"{error} in its inputs", "one content a path")) from None

    def _finish(self, job: Job, future: Future[Execution]) -> list[Job]:
        """Records the end of a job; the jobs that became ready by it."""
        try:
            job.execution = future.result()
        except (TritonbuildError, OSError) as error:
            job.error = of_os_error(error) if isinstance(error, OSError) else error
            job.state = State.FAILED
            self._failed = True
            if not isinstance(job.error, Interrupted):
                self._listener(ActionEnded(str(job.action.id), Status.FAILED))
                self._done(job)
            return []
        job.state = State.CACHED if job.execution.cached else State.BUILT
        self._done(job)
        ready = []
        for id in job.needed_by:
            above = self.jobs[id]
            above.open_needs -= 1
            if above.open_needs == 0 and above.state is State.WAITING:
                above.state = State.READY
                ready.append(above)
        return ready

    def _skip(self, job: Job) -> None:
        job.state = State.SKIPPED
        self._done(job)


def find_output(job: Job, path: str) -> Entry:
    """What a job made at a declared path, or below one. Raises ActionError."""
    outputs = job.result.outputs
    if path in outputs:
        return outputs[path]
    for declared, entry in outputs.items():
        if path.startswith(f"{declared}/") and isinstance(entry, Folder):
            found = entry.get(path[len(declared) + 1 :])
            if found is not None:
                return found
    raise ActionError(
        Problem(f"{job.action.id} did not make {path}", f"one of: {', '.join(sorted(outputs))}")
    )
