"""Executes on this machine: tools in this process, programs in the sandbox."""

from __future__ import annotations

from collections.abc import Callable

from tritonbuild.action import ToolCall
from tritonbuild.executors import Execution, Executor, Work


class Local:
    def __init__(self, tools: Executor, programs: Callable[[], Executor]):
        """What runs programs is made when there is one."""
        self._tools, self._programs = tools, programs

    def execute(self, work: Work) -> Execution:
        is_tool = isinstance(work.action.step, ToolCall)
        return (self._tools if is_tool else self._programs()).execute(work)
