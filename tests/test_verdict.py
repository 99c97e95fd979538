"""What is told of a verification that failed."""

from __future__ import annotations

import json
from typing import Any

from tritonbuild.cache import Result
from tritonbuild.digest import Digest
from tritonbuild.errors import Problem
from tritonbuild.merkle import File
from tritonbuild.verdict import MOST, problems


def told(log: str = "", **outputs: Any) -> list[Problem]:
    """Of a verification with these outputs, files in JSON unless they are bytes."""
    contents = [
        content if isinstance(content, bytes) else json.dumps(content).encode()
        for content in outputs.values()
    ]
    blobs = {Digest.of_bytes(content): content for content in (log.encode(), *contents)}
    files = {
        name.replace("_", "."): File(Digest.of_bytes(content))
        for name, content in zip(outputs, contents, strict=True)
    }
    return problems(Result(files, 1, Digest.of_bytes(log.encode())), blobs.__getitem__)


def test_problems_that_a_verification_lists_are_told_one_by_one() -> None:
    listed = [{"found": "8", "expected": "9", "file": "c.json"}, {"found": "late", "remedy": "run"}]
    assert told("a log", result_json={"problems": listed}) == [
        Problem("8", "9", file="c.json"),
        Problem("late", remedy="run"),
    ]


def test_the_log_stands_for_them_where_none_are_listed() -> None:
    results: list[Any] = [{"problems": []}, {"problems": "many"}, [], b"{", {"verdict": "failed"}]
    for result in results:
        assert told("the log says so\n", result_json=result) == [Problem("the log says so")]
    assert told("a log", other_json={"problems": [{"found": "no"}]}) == [Problem("a log")]


def test_what_is_no_problem_is_passed_over() -> None:
    listed = ["text", {"expected": "9"}, {"found": "8", "colour": "red"}, {"found": "7"}]
    assert told(result_json={"problems": listed}) == [Problem("7")]


def test_without_a_log_the_exit_code_is_told() -> None:
    assert told() == [Problem("exit code 1")]


def test_of_very_many_problems_the_first_are_told() -> None:
    listed = [{"found": str(number)} for number in range(MOST + 5)]
    found = told(result_json={"problems": listed})
    assert len(found) == MOST + 1
    assert found[-1] == Problem("and 5 more, in result.json")
