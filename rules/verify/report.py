"""What a verification found, for people, for programs and for a CI server."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tritonbuild.rule import Problem

from .compare import Mismatch

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass
class Outcome:
    """Of one case or one model."""

    name: str
    model: str = ""
    """Triton's name of the one that was asked."""
    file: str = ""
    """The case's, relative to the workspace root."""
    problems: list[Problem] = field(default_factory=list)
    """Empty: it passed. Keys are places in the case."""
    mismatches: dict[str, Mismatch] = field(default_factory=dict)
    """By the key of their problem."""
    seconds: float = 0.0


@dataclass
class Report:
    kind: str
    models: Sequence[str]
    start_seconds: float = 0.0
    """Until the server was ready."""
    problems: list[Problem] = field(default_factory=list)
    """Why there are no outcomes, or not all."""
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.problems and not any(outcome.problems for outcome in self.outcomes)

    @property
    def all_problems(self) -> list[Problem]:
        """Those of the cases name their files."""
        told = (each.at(file=case.file) for case in self.outcomes for each in case.problems)
        return [*self.problems, *told]

    @property
    def text(self) -> str:
        """Every problem, a line each or more."""
        return "\n".join(map(str, self.all_problems))

    @property
    def json(self) -> bytes:
        """`result.json`."""
        document: dict[str, Any] = {
            "verdict": "passed" if self.passed else "failed",
            "kind": self.kind,
            "models": list(self.models),
            "start_seconds": round(self.start_seconds, 3),
            "problems": [_told(problem) for problem in self.all_problems],
            "outcomes": [
                {
                    "name": outcome.name,
                    "model": outcome.model,
                    "status": "failed" if outcome.problems else "passed",
                    "seconds": round(outcome.seconds, 3),
                    "problems": [_told(problem) for problem in outcome.problems],
                    "mismatches": [
                        {"key": key, **asdict(mismatch)}
                        for key, mismatch in outcome.mismatches.items()
                    ],
                }
                for outcome in self.outcomes
            ],
        }
        return (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()

    @property
    def junit(self) -> bytes:
        """`junit.xml`: a test case for each outcome, and one for the server's start."""
        from junitparser import Failure, JUnitXml, TestCase, TestSuite

        suite = TestSuite(self.kind)
        server = Outcome("server", problems=self.problems, seconds=self.start_seconds)
        for outcome in (server, *self.outcomes):
            case = TestCase(
                _clean(outcome.name), classname=self.kind, time=round(outcome.seconds, 3)
            )
            if outcome.problems:
                failure = Failure(_clean(str(outcome.problems[0])))
                failure.text = _clean("\n".join(map(str, outcome.problems)))
                case.result = [failure]
            suite.add_testcase(case)
        report = JUnitXml()
        report.add_testsuite(suite)
        report.update_statistics()
        return bytes(report.tostring())


def _told(problem: Problem) -> dict[str, Any]:
    """What it says."""
    return {name: value for name, value in problem.to_json().items() if value}


def _clean(text: str) -> str:
    """Without what XML cannot hold."""
    return _NOT_XML.sub("\ufffd", text)
