"""Executes on this machine: tools in this process, programs in the sandbox."""

from __future__ import annotations

from tritonbuild.action import ToolCall
from tritonbuild.executors import Execution, Executor, Work


class Local:
    def __init__(self, tools: Executor, programs: Executor):
        self._tools, self._programs = tools, programs

    def execute(self, work: Work) -> Execution:
        executor = self._tools if isinstance(work.action.step, ToolCall) else self._programs
        return executor.execute(work)
