"""Tools as functions of this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts.bench import Bench

from tritonbuild.errors import ActionError, Problem
from tritonbuild.merkle import Symlink
from tritonbuild.tools import ToolContext, tool


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "cache")


def test_a_tool_that_returns_non_zero_fails_with_the_end_of_its_log(bench: Bench) -> None:
    @tool("t", version=1)
    def run(ctx: ToolContext) -> int:
        ctx.write("out", b"x")
        ctx.log.write("first\nlast words")
        return 3

    with pytest.raises(ActionError) as caught:
        bench.run(run, outputs=["out"])
    (problem,) = caught.value.problems
    assert problem.found == "the tool ended with exit code 3\nfirst\nlast words"


def test_a_failure_shows_the_end_of_the_log(bench: Bench) -> None:
    @tool("t", version=1)
    def run(ctx: ToolContext) -> None:
        ctx.log.write("x" * 10_000 + "the end")
        raise ActionError(Problem("cannot go on", "more"))

    with pytest.raises(ActionError) as caught:
        bench.run(run, outputs=["out"])
    (problem,) = caught.value.problems
    assert problem.found.startswith("cannot go on\nxxx")
    assert problem.found.endswith("the end")
    assert len(problem.found) < 5000
    assert problem.expected == "more"


@pytest.mark.parametrize("log", ["", "no such file"])
def test_a_failure_that_says_all_is_not_made_longer(bench: Bench, log: str) -> None:
    @tool("t", version=1)
    def run(ctx: ToolContext) -> None:
        ctx.log.write(log)
        raise ActionError(Problem("cannot go on: no such file"))

    with pytest.raises(ActionError) as caught:
        bench.run(run, outputs=["out"])
    assert caught.value.problems[0].found == "cannot go on: no such file"


def test_a_link_is_no_output(bench: Bench) -> None:
    @tool("t", version=1)
    def run(ctx: ToolContext) -> None:
        ctx.link("out", Symlink("x"))

    with pytest.raises(ActionError, match="output out is a link to x"):
        bench.run(run, outputs=["out"])


def test_what_lies_behind_a_link_is_not_adopted(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("kept")

    @tool("t", version=1)
    def run(ctx: ToolContext) -> None:
        (ctx.scratch / "sub").symlink_to(tmp_path / "mine")
        ctx.adopt("out", ctx.scratch / "sub/file")

    with pytest.raises(ActionError, match="behind the link"):
        bench.run(run, outputs=["out"])
    assert (tmp_path / "mine/file").read_text() == "kept"


def test_a_link_is_not_adopted(bench: Bench) -> None:
    @tool("t", version=1)
    def run(ctx: ToolContext) -> None:
        (ctx.scratch / "link").symlink_to("x")
        ctx.adopt("out", ctx.scratch / "link")

    with pytest.raises(ActionError, match="link is a link"):
        bench.run(run, outputs=["out"])
