"""Flags that choose among what patterns mean, and what is said when nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from conftest import WorkspaceFolder

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]
RULE = """
from tritonbuild.rule import Dep, Files, Rule, TestInfo, tool

@tool("check", version=1)
def check(ctx):
    ctx.write("out", b"")

class Checks(Rule):
    table = "checks"
    provides = (Files, TestInfo)

    class Attributes(Rule.Attributes):
        kind: str
        target: Dep[Files]

    def analyze(self, ctx):
        made = ctx.tool(check, outputs=["out"], is_test=True)
        yield Files(made)
        yield TestInfo(ctx.attributes.kind, made["out"].action, ())
"""
MANIFEST = """
[workspace]
name  = "test"
rules = ["rule.py"]
[commands.slow]
argv    = ["sh", "-c", "echo > x"]
outputs = ["x"]
tags    = ["nightly"]
[checks.a]
kind   = "smoke"
target = ":slow"
[checks.b]
kind   = "golden"
target = ":slow"
tags   = ["weekly"]
"""


@pytest.fixture
def folder(workspace: MakeWorkspace) -> WorkspaceFolder:
    return workspace({"triton.toml": MANIFEST, "rule.py": RULE})


def test_flags_choose(folder: WorkspaceFolder) -> None:
    assert set(folder.run("build", "//...", "--tag", "nightly").targets) == {"//:slow"}
    assert set(folder.run("test", "//...", "--kind", "golden").targets) == {"//:b", "//:slow"}
    assert set(folder.run("test", "//...", "--filter", ":a").targets) == {"//:a", "//:slow"}


@pytest.mark.parametrize(
    ("flags", "found", "remedy"),
    [
        (["--tag", "nighty"], "of 3 targets, --tag nighty leaves none", "did you mean 'nightly'?"),
        (
            ["--rule", "checks", "--tag", "nightly"],
            "of 3 targets, --rule checks --tag nightly leaves none",
            "",
        ),
        (["--rule", "models"], "of 3 targets, --rule models leaves none", ""),
    ],
)
def test_a_build_that_flags_leave_nothing_of_is_a_wrong_command_line(
    folder: WorkspaceFolder, flags: list[str], found: str, remedy: str
) -> None:
    outcome = folder.run("build", "//...", *flags)
    assert outcome.exit_code == 2
    assert (outcome.error["found"], outcome.error["remedy"]) == (found, remedy)


@pytest.mark.parametrize(
    ("flags", "found", "expected"),
    [
        (["--tag", "x"], "of 3 targets, --tag x leaves none", ""),
        (["--kind", "perf"], "of 2 verifications, --kind perf leaves none", "kinds: golden, smoke"),
        (["--filter", "zz"], "of 2 verifications, --filter zz leaves none", ""),
        (
            ["--kind", "golden", "--filter", ":a"],
            "of 2 verifications, --kind golden --filter :a leaves none",
            "kinds: golden, smoke",
        ),
    ],
)
def test_a_test_that_flags_leave_nothing_of_finds_none(
    folder: WorkspaceFolder, flags: list[str], found: str, expected: str
) -> None:
    outcome = folder.run("test", "//...", *flags)
    assert outcome.exit_code == 4
    assert (outcome.error["found"], outcome.error["expected"]) == (found, expected)
    assert outcome.targets == {}


def test_a_target_that_flags_leave_out_still_brings_its_verifications(
    folder: WorkspaceFolder,
) -> None:
    outcome = folder.run("test", "//:slow", "--rule", "checks")
    assert outcome.exit_code == 0
    assert set(outcome.targets) == {"//:a", "//:b"}
