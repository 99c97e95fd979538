"""One JUnit XML report of a run, joined from those of its verifications."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from junitparser import Error, JUnitXml, Skipped, TestCase, TestSuite

from tritonbuild.errors import Problem, UsageError
from tritonbuild.events import Status, TargetEnded

NAME = "junit.xml"
"""What a verification calls its own report."""


def prepare(path: Path) -> None:
    """Makes the folder of a report. Raises UsageError when no report can be written there, before
    a long run shows it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, f"{error.filename}: {error.strerror}") from None
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise _unwritable(path, "is a folder" if path.is_dir() else "permission denied")


def _unwritable(path: Path, reason: str) -> UsageError:
    problem = Problem(f"--junit {path} cannot be written: {reason}", "a file that can be written")
    return UsageError(problem)


def write_report(path: Path, suites: Iterable[TestSuite]) -> None:
    report = JUnitXml()
    for suite in suites:
        report.add_testsuite(suite)
    report.update_statistics()
    report.write(str(path), pretty=True)


def suites(
    root: Path, targets: Iterable[TargetEnded], problems: Iterable[Problem], run: str = ""
) -> Iterator[TestSuite]:
    """One a verification; targets that could not be built or verified are errors or skips.
    `run` is added to the names of test cases."""
    told = {problem.label: str(problem) for problem in problems}
    for target in targets:
        own = [output.path for output in target.outputs if output.path.endswith(f"/{NAME}")]
        if own:
            found = JUnitXml.fromfile(str(root / own[0]))
            for suite in [found] if isinstance(found, TestSuite) else list(found):
                suite.name = target.label
                for case in suite:
                    case.name += run
                yield suite
        elif target.status in (Status.FAILED, Status.SKIPPED, Status.UNAVAILABLE):
            yield _unfinished(target, told.get(target.label, target.status), run)


def _unfinished(target: TargetEnded, text: str, run: str) -> TestSuite:
    case = TestCase(target.rule + run, classname=target.label)
    case.result = [Error(text) if target.status is Status.FAILED else Skipped(text)]
    suite = TestSuite(target.label)
    suite.add_testcase(case)
    return suite
