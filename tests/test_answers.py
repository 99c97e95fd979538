"""Verbs that ask one target, and where what is wrong with a target is told: on a workspace's own
rule, since the engine knows no other."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from conftest import MINIMAL, WorkspaceFolder

RULES = """\
from tritonbuild.rule import (
    ActionError, Field, Files, Problem, Rule, RunInfo, ToolContext, dotted, tool
)

@tool("fill", version=1)
def fill(ctx):
    for path, wrong in ctx.parameters["wrong"].items():
        raise ActionError(Problem(wrong, key=path))
    ctx.write("made", b"made")

@tool("answer", version=1)
def answer(ctx):
    print(ctx.read("made").decode(), ctx.parameters["model"])
    return ctx.parameters["code"]

class Boxes(Rule):
    table = "boxes"
    provides = (Files, RunInfo)

    class Attributes(Rule.Attributes):
        wrong: dict[str, str] = {}
        bad: str = ""
        code: int = 0
        config: dict[str, object] = {}
        steps: list[dict[str, object]] = []

    def analyze(self, ctx):
        if ctx.attributes.bad:
            raise ctx.error("bad", key=ctx.attributes.bad)
        made = ctx.tool(fill, parameters={"wrong": ctx.attributes.wrong}, outputs=["made"])
        yield Files(made)

    def config(self, ctx):
        (files,) = [ctx.own(Files)]
        parameters = {
            "code": ctx.attributes.code, "model": "", "diff": "", "colour": False,
            "as_json": False, "ask": False, "offline": ctx.settings["offline"],
        }
        return ctx.interactive(
            answer, parameters=parameters, inputs=files.entries, is_test=True
        )
"""
Make = Callable[[str], WorkspaceFolder]


@pytest.fixture
def make(workspace: Callable[[Mapping[str, str | bytes]], WorkspaceFolder]) -> Make:
    def made(text: str) -> WorkspaceFolder:
        return workspace(
            {
                "triton.toml": f'{MINIMAL}rules = ["rules.py"]\n',
                "rules.py": RULES,
                "p/triton.toml": f"[boxes.a]\n{text}",
            }
        )

    return made


DEEP = """\
steps = [
  { model = "x" },
  { model = "y", inputs = { A = 1 } },
]
[boxes.a.config]
size = 8
[[boxes.a.config.input]]
name = "x"
dims = [1, 0]
[boxes.a.config.files]
"7.5" = "t4"
"""


@pytest.mark.parametrize(
    ("key", "shown", "line"),
    [
        ("config.input[0].dims", "config.input[0].dims", 10),
        ("config.input[0].dims[1]", "config.input[0].dims[1]", 10),
        ("config.input.0.dims", "config.input[0].dims", 10),
        ("config.input[0].reshape", "config.input[0].reshape", 8),
        ("config.output[2].name", "config.output[2].name", 6),
        ('config.files."7.5"', 'config.files."7.5"', 12),
        ("steps.1.inputs.A", "steps[1].inputs.A", 4),
        ("code", "code", 1),
    ],
)
@pytest.mark.parametrize("by", ["action", "rule"])
def test_what_is_wrong_is_told_at_its_key_or_the_nearest_table_above(
    make: Make, by: str, key: str, shown: str, line: int
) -> None:
    quoted = f"'{key}'"
    said = f"wrong = {{ {quoted} = 'bad' }}\n" if by == "action" else f"bad = {quoted}\n"
    outcome = make(said + DEEP).run("build", "//p:a")
    assert outcome.exit_code == (1 if by == "action" else 7)
    error = outcome.error
    assert (error["found"], error["label"], error["file"]) == ("bad", "//p:a", "p/triton.toml")
    assert error["key"] == f"boxes.a.{shown}"
    assert error["line"] == (line + 1 if line > 1 else 1)


def test_what_names_no_key_is_told_at_the_target(make: Make) -> None:
    error = make("wrong = { '' = 'bad' }\n").run("build", "//p:a").error
    assert (error["key"], error["line"]) == ("boxes.a", 1)


def test_an_answer_is_printed(make: Make) -> None:
    folder = make("")
    process = folder.start("config", "//p:a", "--offline")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    assert said == b"made \n"
    assert not folder.output("p/_/a").exists()


def test_an_answer_s_verdict_is_three(make: Make) -> None:
    process = make("code = 1\n").start("config", "//p:a")
    assert process.wait(60) == 3
    process.communicate()


def test_what_cannot_be_run_may_still_answer(make: Make) -> None:
    outcome = make("").run("run", "//p:a")
    assert (outcome.exit_code, outcome.error["found"]) == (
        7,
        "a target of this rule cannot be run",
    )


def test_an_answer_to_what_cannot_be_built_is_a_failed_build(make: Make) -> None:
    outcome = make("wrong = { code = 'bad' }\n").run("config", "//p:a")
    assert (outcome.exit_code, outcome.error["key"]) == (1, "boxes.a.code")
