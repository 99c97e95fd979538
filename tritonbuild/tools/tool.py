"""A tool: a named, versioned function from inputs to outputs, registered beside the rules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import metadata

from tritonbuild.errors import ActionError, TritonbuildError, of_code
from tritonbuild.tools.context import ToolContext

REVISION = "__tritonbuild_revision__"
"""In a module whose tools are versioned by its content: the content's digest."""


@dataclass(frozen=True)
class Tool:
    """What `@tool` makes of a function. Part of the key: name, version and the installed versions
    of the libraries that make its bytes; or NAME=VERSION, for code that several tools share."""

    name: str
    revision: str
    libraries: tuple[str, ...]
    function: Callable[[ToolContext], int | None]

    @cached_property
    def version(self) -> str:
        """Such as `2,protobuf=6.33.6`."""
        return ",".join((self.revision, *map(_versioned, self.libraries)))

    def __call__(self, context: ToolContext) -> int:
        """Runs it; the exit code. Raises ActionError for what a rule author's own code raises."""
        try:
            return self.function(context) or 0
        except (TritonbuildError, OSError):
            raise
        except Exception as error:
            if self.function.__module__.partition(".")[0] == "tritonbuild":
                raise
            raise ActionError(of_code(error, self.function.__code__.co_filename)) from error


def tool(
    name: str, *, version: int, libraries: tuple[str, ...] = ()
) -> Callable[[Callable[[ToolContext], int | None]], Tool]:
    """Makes a tool of a function. `version` rises when the same inputs would give other bytes."""

    def decorate(function: Callable[[ToolContext], int | None]) -> Tool:
        source = getattr(sys.modules.get(function.__module__), REVISION, "")
        revision = f"{version}+{source}" if source else str(version)
        return Tool(name, revision, libraries, function)

    return decorate


@cache
def _versioned(library: str) -> str:
    return library if "=" in library else f"{library}={metadata.version(library)}"
