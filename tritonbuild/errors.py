"""What can go wrong, told the same way everywhere: where, what was found, what was expected,
and the remedy; and the exit code that says which kind of failure it was.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from typing import Any, ClassVar


class ExitCode(IntEnum):
    """Exit codes, as Bazel's."""

    OK = 0
    BUILD_FAILED = 1
    USAGE = 2
    TEST_FAILED = 3
    NO_TESTS = 4
    ANALYSIS_FAILED = 7
    INTERRUPTED = 8
    LOCKED = 9
    ENVIRONMENT = 36
    BUG = 37


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    found: str
    expected: str = ""
    remedy: str = ""
    label: str = ""
    file: str = ""
    """Relative to the workspace root."""
    line: int | None = None
    key: str = ""
    """Dotted path in the manifest, such as `models.densenet.config.max_batch_size`."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line is not None else self.file
        where = ": ".join(part for part in (place, self.label, self.key) if part)
        found = self.found.replace("\n", "\n  ")
        text = f"{where}: {found}" if where else found
        if self.expected:
            text += f"\n  expected: {self.expected}"
        if self.remedy:
            text += f"\n  remedy:   {self.remedy}"
        return text

    def at(self, **where: Any) -> Problem:
        """This problem with the places filled in that it does not name itself. A line and a key
        belong to their file."""
        if self.file and where.get("file") not in (None, self.file):
            where = {name: value for name, value in where.items() if name == "label"}
        missing = {
            name: value for name, value in where.items() if value and not getattr(self, name)
        }
        return replace(self, **missing)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class TritonbuildError(Exception):
    """Ends a build, or one target of it, with every problem that was found."""

    exit_code = ExitCode.BUG

    def __init__(self, *problems: Problem | str, exit_code: ExitCode | None = None, **where: Any):
        self.problems = tuple(
            (Problem(problem) if isinstance(problem, str) else problem).at(**where)
            for problem in problems
        )
        if exit_code is not None:
            self.exit_code = exit_code
        super().__init__(*self.problems)

    def __str__(self) -> str:
        return "\n".join(map(str, self.problems))


class UsageError(TritonbuildError):
    """The command line, the lock or a manifest is wrong."""

    exit_code = ExitCode.USAGE


class AnalysisError(TritonbuildError):
    """The manifests contradict each other, or a query has no answer."""

    exit_code = ExitCode.ANALYSIS_FAILED


class ActionError(TritonbuildError):
    """A step of the build failed."""

    exit_code = ExitCode.BUILD_FAILED


class Unsettled(ActionError):
    """What the build stood on gave way: to begin anew may mend it."""

    attempts: ClassVar[int] = 2
    """How often a build may begin, the first time counted."""


class Moved(Unsettled):
    """Files of the workspace changed while they were used."""

    def __init__(self, paths: Sequence[str]):
        self.paths = tuple(paths)
        super().__init__(
            *(
                Problem(
                    f"{path} changed while it was used, twice",
                    "inputs that stand still during a build",
                    "build again when nothing writes to it any more",
                    file=path,
                )
                for path in paths
            )
        )


class EnvironmentFailure(TritonbuildError):
    """This machine lacks something that the build needs."""

    exit_code = ExitCode.ENVIRONMENT


class OutputsLocked(TritonbuildError):
    """Another build holds the output tree."""

    exit_code = ExitCode.LOCKED


class Interrupted(TritonbuildError):
    """Ctrl-C, or a signal like it."""

    exit_code = ExitCode.INTERRUPTED


FREE_SPACE = "free space; the cache may lie elsewhere (--cache-dir)"


def of_os_error(error: OSError, what: str = "") -> TritonbuildError:
    """What the operating system refused: a failure of this machine (a full disk) or of a step.
    `what` says what could not be done, if not the error's own file name."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    reason = error.strerror or str(error)
    place = f" ({error.filename})" if error.filename else ""
    problem = Problem(
        f"{what}: {reason}" if what else f"{reason}{place}", remedy=FREE_SPACE if full else ""
    )
    return EnvironmentFailure(problem) if full else ActionError(problem)


def unreadable(path: str, error: OSError) -> UsageError:
    """A file that decides what is built cannot be read."""
    return UsageError(
        Problem(f"{path} cannot be read: {error.strerror}", "a readable file", file=path)
    )


def of_code(error: Exception, file: str) -> Problem:
    """What code of a rule author's raised, and in which line of its file."""
    import traceback

    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    line = frames[-1].lineno if frames else None
    if isinstance(error, SyntaxError) and error.filename == file:
        line = error.lineno
    return Problem(f"{type(error).__name__}: {error}", file=file, line=line)


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """A remedy that names the nearest of the options, or lists them all."""
    import difflib

    known = sorted(set(options))
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"one of: {', '.join(known)}" if known else ""
