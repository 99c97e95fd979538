"""Problems and the errors that carry them."""

from __future__ import annotations

import errno

import pytest

from tritonbuild.errors import (
    ActionError,
    AnalysisError,
    EnvironmentFailure,
    ExitCode,
    Interrupted,
    OutputsLocked,
    Problem,
    TritonbuildError,
    UsageError,
    did_you_mean,
    of_os_error,
)


def test_a_problem_is_told_with_its_place_what_was_expected_and_the_remedy() -> None:
    problem = Problem(
        "'4' is a string",
        "a valid integer",
        "write 4",
        label="//models:digits",
        file="models/triton.toml",
        line=7,
        key="models.digits.config.max_batch_size",
    )
    assert str(problem) == (
        "models/triton.toml:7: //models:digits: models.digits.config.max_batch_size: "
        "'4' is a string\n  expected: a valid integer\n  remedy:   write 4"
    )


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem("no disk"), "no disk"),
        (Problem("broken", file="triton.toml"), "triton.toml: broken"),
        (Problem("broken", file="triton.toml", line=1), "triton.toml:1: broken"),
        (Problem("failed", label="//:a"), "//:a: failed"),
        (Problem("failed", remedy="try again"), "failed\n  remedy:   try again"),
    ],
)
def test_what_is_not_known_is_left_out(problem: Problem, text: str) -> None:
    assert str(problem) == text


def test_a_problem_keeps_its_own_place() -> None:
    problem = Problem("wrong", label="//:a", file="config.pbtxt", line=3)
    assert problem.at(label="//:b", file="triton.toml", line=9, key="models.b") == problem


def test_a_problem_without_a_place_takes_the_given_one() -> None:
    placed = Problem("wrong").at(label="//:a", file="triton.toml", line=9, key="models.a")
    assert placed == Problem("wrong", "", "", "//:a", "triton.toml", 9, "models.a")


def test_a_line_of_one_file_is_not_told_of_another() -> None:
    placed = Problem("wrong", file="config.pbtxt").at(label="//:a", file="triton.toml", line=9)
    assert placed == Problem("wrong", label="//:a", file="config.pbtxt")


def test_json_has_every_field() -> None:
    assert Problem("wrong", file="triton.toml", line=2).to_json() == {
        "found": "wrong",
        "expected": "",
        "remedy": "",
        "label": "",
        "file": "triton.toml",
        "line": 2,
        "key": "",
    }


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (ActionError, 1),
        (UsageError, 2),
        (AnalysisError, 7),
        (Interrupted, 8),
        (OutputsLocked, 9),
        (EnvironmentFailure, 36),
        (TritonbuildError, 37),
    ],
)
def test_each_kind_of_error_has_bazels_exit_code(kind: type[TritonbuildError], code: int) -> None:
    assert kind("x").exit_code == code


def test_an_error_holds_several_problems_and_places_them_all() -> None:
    error = ActionError("one", Problem("two", label="//:b"), label="//:a")
    assert [problem.label for problem in error.problems] == ["//:a", "//:b"]
    assert str(error) == "//:a: one\n//:b: two"


def test_one_error_may_have_another_exit_code() -> None:
    assert ActionError("x", exit_code=ExitCode.LOCKED).exit_code == ExitCode.LOCKED
    assert ActionError("x").exit_code == ExitCode.BUILD_FAILED


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_a_fault_of_the_machine(number: int) -> None:
    error = of_os_error(OSError(number, "No space left on device", "/x"))
    assert isinstance(error, EnvironmentFailure)
    assert error.problems[0].found == "No space left on device (/x)"
    assert "--cache-dir" in error.problems[0].remedy


def test_any_other_refusal_is_the_steps_failure() -> None:
    error = of_os_error(PermissionError(errno.EACCES, "Permission denied", "/x"))
    assert isinstance(error, ActionError)
    assert error.problems == (Problem("Permission denied (/x)"),)


def test_the_nearest_word_is_offered() -> None:
    assert did_you_mean("modles", ["models", "backends"]) == "did you mean 'models'?"


def test_all_words_are_offered_where_none_is_near() -> None:
    assert did_you_mean("xyz", ["models", "backends"]) == "one of: backends, models"


def test_nothing_is_offered_where_there_is_nothing() -> None:
    assert did_you_mean("x", []) == ""
