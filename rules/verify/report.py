"""What a verification found, for people, for programs and for a CI server."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from .compare import Mismatch

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Outcome:
    """Of one case or one model."""

    name: str
    problems: Sequence[str]
    """Empty: it passed."""
    seconds: float
    mismatches: Sequence[Mismatch] = ()


@dataclass
class Report:
    kind: str
    models: Sequence[str]
    start_seconds: float = 0.0
    """Until the server was ready."""
    problems: list[str] = field(default_factory=list)
    """Why there are no outcomes, or not all."""
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.problems and not any(outcome.problems for outcome in self.outcomes)

    @property
    def text(self) -> str:
        """Every problem, a line each or more."""
        return "\n".join([*self.problems, *(p for o in self.outcomes for p in o.problems)])

    @property
    def json(self) -> bytes:
        """`result.json`."""
        document: dict[str, Any] = {
            "verdict": "passed" if self.passed else "failed",
            "kind": self.kind,
            "models": list(self.models),
            "start_seconds": round(self.start_seconds, 3),
            "problems": self.problems,
            "outcomes": [
                {
                    "name": outcome.name,
                    "status": "failed" if outcome.problems else "passed",
                    "seconds": round(outcome.seconds, 3),
                    "problems": list(outcome.problems),
                    "mismatches": [asdict(mismatch) for mismatch in outcome.mismatches],
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
        for outcome in (Outcome("server", self.problems, self.start_seconds), *self.outcomes):
            case = TestCase(
                _clean(outcome.name), classname=self.kind, time=round(outcome.seconds, 3)
            )
            if outcome.problems:
                failure = Failure(_clean(outcome.problems[0]))
                failure.text = _clean("\n".join(outcome.problems))
                case.result = [failure]
            suite.add_testcase(case)
        report = JUnitXml()
        report.add_testsuite(suite)
        report.update_statistics()
        return bytes(report.tostring())


def _clean(text: str) -> str:
    """Without what XML cannot hold."""
    return _NOT_XML.sub("\ufffd", text)
