"""What runs an action. Policies (caching, …) are wrappers with the same interface."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tritonbuild.action import Action, Encoded
from tritonbuild.cache import Result
from tritonbuild.gpus import Lease
from tritonbuild.tools import Tool


@dataclass(frozen=True)
class Work:
    """An action with its inputs known."""

    action: Action
    encoded: Encoded
    tool: Tool | None
    """The function behind a ToolCall."""
    lease: Lease | None = None
    """The GPUs that it may use."""


@dataclass(frozen=True)
class Execution:
    """A result and where it came from."""

    result: Result
    cached: bool = False


class Executor(Protocol):
    def execute(self, work: Work) -> Execution:
        """Raises ActionError when the step fails, EnvironmentFailure when this executor cannot
        run it, Interrupted when the build is being stopped."""
