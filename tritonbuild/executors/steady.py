"""Throws a result away when files of the workspace changed while it was made."""

from __future__ import annotations

from tritonbuild.errors import Moved, TritonbuildError
from tritonbuild.executors import Execution, Executor, Work
from tritonbuild.sources import Sources


class Steady:
    """Wraps an executor. Raises Moved."""

    def __init__(self, executor: Executor, sources: Sources):
        self._executor = executor
        self._sources = sources

    def execute(self, work: Work) -> Execution:
        try:
            execution = self._executor.execute(work)
        except TritonbuildError:
            self._check(work)
            raise
        self._check(work)
        return execution

    def _check(self, work: Work) -> None:
        moved = self._sources.moved(work.action.sources, work.encoded.root)
        if moved:
            raise Moved(moved)
