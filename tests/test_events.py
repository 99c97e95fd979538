"""Events, and their JSON."""

from __future__ import annotations

import json

import pytest

from tritonbuild.errors import ExitCode, Problem
from tritonbuild.events import (
    ActionEnded,
    ActionStarted,
    Event,
    Finished,
    Metrics,
    Note,
    OutputFile,
    Started,
    Status,
    TargetEnded,
    to_json,
)


def told(event: Event) -> object:
    """What a program reads."""
    return json.loads(json.dumps(to_json(event)))


def test_a_target_that_ended_is_told_with_its_outputs() -> None:
    output = OutputFile("tritonbuild-out/_/a/x", "ab" * 32, 3, "application/octet-stream")
    assert told(TargetEnded("//:a", "models", Status.BUILT, (output,))) == {
        "event": "target",
        "label": "//:a",
        "rule": "models",
        "status": "built",
        "outputs": [
            {
                "path": "tritonbuild-out/_/a/x",
                "digest": "ab" * 32,
                "size": 3,
                "media_type": "application/octet-stream",
            }
        ],
    }


def test_the_end_is_told_with_every_field() -> None:
    problem = Problem("found", "expected", "remedy", "//:a", "triton.toml", 3, "models.a")
    assert told(Finished(ExitCode.BUILD_FAILED, (problem,), Metrics(5, 1, 3, 0.5, 6, 7, 8))) == {
        "event": "finished",
        "exit_code": 1,
        "errors": [
            {
                "label": "//:a",
                "file": "triton.toml",
                "line": 3,
                "key": "models.a",
                "found": "found",
                "expected": "expected",
                "remedy": "remedy",
            }
        ],
        "metrics": {
            "actions": 5,
            "executed": 1,
            "cached": 3,
            "wall_s": 0.5,
            "bytes_hashed": 6,
            "bytes_pulled": 7,
            "bytes_pushed": 8,
        },
    }


def test_a_note_is_told() -> None:
    assert told(Note("triton.lock has new entries")) == {
        "event": "note",
        "text": "triton.lock has new entries",
    }


@pytest.mark.parametrize(
    "event",
    [Started(1, 2), ActionStarted("//:a (x)"), ActionEnded("//:a (x)", Status.CACHED, ("why",))],
)
def test_what_only_displays_want_is_not_told(event: Event) -> None:
    assert to_json(event) is None


def test_states_of_targets_have_the_words_of_the_contract() -> None:
    assert {str(status) for status in Status} == {
        "built",
        "cached",
        "failed",
        "skipped",
        "passed",
        "unavailable",
    }
