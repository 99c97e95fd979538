"""Targets → actions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from parts.rules import registry

from tritonbuild.action import Action, Literal, Output, Source, ToolCall
from tritonbuild.analysis import Target
from tritonbuild.errors import AnalysisError, ExitCode, Problem, UsageError
from tritonbuild.graph import Graph
from tritonbuild.label import Label
from tritonbuild.lock import Lock, LockedFile, Request
from tritonbuild.manifest import Manifests
from tritonbuild.plan import Plan, make_plan
from tritonbuild.registry import Registry
from tritonbuild.rule import Context, Files, Rule, RunInfo, TestInfo, tool
from tritonbuild.workspace import Workspace

ROOT = '[workspace]\nname = "test"\n'
Resolve = Callable[[Request], Iterable[LockedFile]]


def no_network(request: Request) -> Iterable[LockedFile]:
    raise UsageError(Problem(f"{request} is not to be resolved"))


def thing(name: str, **attributes: str) -> str:
    lines = "".join(f"{key} = {value}\n" for key, value in {"text": '"x"', **attributes}.items())
    return f"[things.{name}]\n{lines}"


def graph(root: Path, files: Mapping[str, str], rules: Registry | None = None) -> Graph:
    for name, content in {"triton.toml": ROOT, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return Graph(Manifests(Workspace(root), rules or registry()))


def plan(
    root: Path,
    files: Mapping[str, str],
    *labels: str,
    lock: Lock | None = None,
    resolve: Resolve = no_network,
    **settings: Any,
) -> tuple[Plan, Lock]:
    there = graph(root, files)
    return make_plan(there, map(Label.parse, labels), lock or Lock(), resolve, **settings)


def target(root: Path, text: str, files: Mapping[str, str] | None = None) -> Target:
    """The target `//p:a`, analysed."""
    made, _ = plan(root, {"p/triton.toml": text, **(files or {})}, "//p:a")
    return made.targets[Label("p", "a")]


def action(root: Path, text: str, files: Mapping[str, str] | None = None) -> Action:
    """Its one action."""
    (only,) = target(root, text, files).actions.values()
    return only


def wrong(root: Path, text: str, files: Mapping[str, str] | None = None) -> Problem:
    with pytest.raises(AnalysisError) as caught:
        target(root, text, files)
    assert caught.value.exit_code == ExitCode.ANALYSIS_FAILED
    (only,) = caught.value.problems
    assert (only.label, only.file) == ("//p:a", "p/triton.toml")
    return only


def test_a_target_becomes_actions_and_providers(tmp_path: Path) -> None:
    made = target(tmp_path, thing("a"))
    (declared,) = made.actions.values()
    assert str(declared.id) == "//p:a (gather)"
    assert declared.step == ToolCall("gather", "1", {"text": "x"})
    assert declared.outputs == ("out",)
    files = made.get(Files)
    assert files is not None
    assert files.entries == {"out": Output(declared.id, "out")}
    assert made.get(TestInfo) is None


def test_dependencies_are_analysed_first_and_once(tmp_path: Path) -> None:
    text = thing("a", needs='[":b", ":c"]') + thing("b", needs='[":c"]') + thing("c")
    made, _ = plan(tmp_path, {"p/triton.toml": text}, "//p:a", "//p:b")
    assert [label.name for label in made.targets] == ["c", "b", "a"]
    assert len(made.actions) == len(made.tools) == 3


def test_an_action_takes_the_outputs_of_others(tmp_path: Path) -> None:
    text = thing("a", needs='["//p:all"]') + thing("c") + thing("b")
    inputs = action(tmp_path, text).inputs
    assert list(inputs) == ["needs/b", "needs/c"]
    assert all(isinstance(given, Output) and given.path == "out" for given in inputs.values())


def test_files_folders_globs_and_outputs_are_inputs_by_their_own_paths(tmp_path: Path) -> None:
    text = thing("a", files='["f.txt", "d", "g/*.txt", ":b", ":c/out/deep/file"]')
    text += thing("b") + thing("c")
    files = dict.fromkeys(("p/f.txt", "p/d/x", "p/g/1.txt", "p/g/2.txt", "p/g/3.csv"), "")
    with pytest.raises(AnalysisError, match="two inputs want the path 'out'"):
        target(tmp_path, text.replace(":c/out/deep/file", ":c"), files)
    inputs = action(tmp_path, text, files).inputs
    assert {path: given.path for path, given in inputs.items() if isinstance(given, Source)} == {
        "f.txt": "p/f.txt",
        "d": "p/d",
        "g/1.txt": "p/g/1.txt",
        "g/2.txt": "p/g/2.txt",
    }
    assert {path: given.path for path, given in inputs.items() if isinstance(given, Output)} == {
        "out": "out",
        "out/deep/file": "out/deep/file",
    }


@pytest.mark.parametrize(
    ("attributes", "found", "key"),
    [
        ({"file": '"none.txt"'}, "there is no p/none.txt", "things.a.file"),
        ({"file": '"*.txt"'}, "'*.txt' is a glob", "things.a.file"),
        ({"files": '["f.txt", "*.none"]'}, "no file matches '*.none'", "things.a.files[1]"),
        ({"file": '"../f.txt"'}, "'../f.txt' leaves the workspace", "things.a.file"),
        ({"files": '["../*.txt"]'}, "'../*.txt' leaves the workspace", "things.a.files[0]"),
        ({"file": '"/etc/hostname"'}, "'/etc/hostname' leaves the", "things.a.file"),
        ({"file": '"link"'}, "'p/link' leaves the workspace (a link to /etc", "things.a.file"),
        ({"file": '":b/other"'}, "//p:b does not make 'other'", "things.a.file"),
        ({"file": '":b/outer"'}, "//p:b does not make 'outer'", "things.a.file"),
        ({"file": '":p"'}, ":p makes 0 things", "things.a.file"),
        ({"best": '"//p:all"'}, "'//p:all' means 2 targets", "things.a.best"),
        ({"text": '"wrong"'}, "wrong", "things.a.text"),
    ],
)
def test_what_the_manifest_alone_tells_is_wrong_is_told(
    tmp_path: Path, attributes: dict[str, str], found: str, key: str
) -> None:
    text = "\n" + thing("a", **attributes) + thing("b") + thing("c") + "[plain.p]\n"
    (tmp_path / "p").mkdir()
    (tmp_path / "p/link").symlink_to("/etc/hostname")
    problem = wrong(tmp_path, text, {"p/f.txt": ""})
    assert problem.found.startswith(found)
    assert problem.key == key
    assert problem.line == (3 if "text" in attributes else 4)
    assert problem.expected


def test_a_label_of_several_outputs_wants_one_to_be_named(tmp_path: Path) -> None:
    made = target(tmp_path, thing("a", file='":b"') + thing("b"))
    assert len(made.actions) == 1


def test_an_error_may_expect_and_advise(tmp_path: Path) -> None:
    problem = wrong(tmp_path, thing("a", text='"wrong"'))
    assert (problem.found, problem.expected, problem.remedy) == ("wrong", "right", "write it")


def test_all_targets_that_are_wrong_are_told_at_once(tmp_path: Path) -> None:
    text = thing("a", needs='[":b", ":c"]') + thing("b", text='"wrong"') + thing("c", file='"no"')
    with pytest.raises(AnalysisError) as caught:
        target(tmp_path, text)
    assert {problem.label for problem in caught.value.problems} == {"//p:b", "//p:c"}


def test_analysis_reads_no_content(tmp_path: Path) -> None:
    text = thing("a", file='"f"', files='["d", "g/*"]')
    files = {"p/f": "", "p/d/x": "", "p/g/y": ""}
    there = graph(tmp_path, {"p/triton.toml": text, **files})
    before = {name: (tmp_path / name).stat().st_atime_ns for name in files}
    make_plan(there, [Label("p", "a")], Lock(), no_network)
    assert {name: (tmp_path / name).stat().st_atime_ns for name in files} == before
    assert "p/d/x" not in there.manifests.workspace.seen


NUMBER = Request("number", ("one",))
FILE = LockedFile("1", "https://example.org/1", "ab" * 32, 1)
LOCKED = thing("a", locked='["one", "two"]') + thing("b", locked='["one"]')


def test_what_the_lock_lacks_is_resolved_once(tmp_path: Path) -> None:
    asked: list[Request] = []

    def resolve(request: Request) -> list[LockedFile]:
        asked.append(request)
        return [FILE]

    made, lock = plan(tmp_path, {"p/triton.toml": LOCKED}, "//p:a", "//p:b", resolve=resolve)
    assert sorted(request.request for request in asked) == [("one",), ("two",)]
    assert len(lock.entries) == 2
    assert lock.get(NUMBER) == (FILE,)
    literals = made.targets[Label("p", "b")].actions.popitem()[1].inputs.values()
    assert list(literals) == [Literal(FILE.url.encode(), "locked")]


def test_what_the_lock_has_is_not_resolved(tmp_path: Path) -> None:
    before = Lock().with_entries({NUMBER: [FILE], Request("number", ("two",)): [FILE]})
    _, lock = plan(tmp_path, {"p/triton.toml": LOCKED}, "//p:a", lock=before)
    assert lock is before


def test_a_locked_build_refuses_to_resolve(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        plan(tmp_path, {"p/triton.toml": LOCKED}, "//p:b", locked=True)
    assert caught.value.exit_code == ExitCode.USAGE
    (problem,) = caught.value.problems
    assert problem.found == "triton.lock has no entry for number one"
    assert problem.remedy == "tritonbuild lock"
    assert (problem.label, problem.file) == ("//p:b", "p/triton.toml")


def test_a_resolver_that_fails_is_told_at_the_target(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        plan(tmp_path, {"p/triton.toml": LOCKED}, "//p:b")
    (problem,) = caught.value.problems
    assert (problem.label, problem.line) == ("//p:b", 4)


def test_building_wants_what_people_find_in_the_outputs(tmp_path: Path) -> None:
    made, _ = plan(tmp_path, {"p/triton.toml": thing("a", needs='[":b"]') + thing("b")}, "//p:a")
    wanted = made.wanted(made.targets[Label("p", "a")], test=False)
    assert {id.label.name for id in wanted} == {"a"}


def test_running_brings_what_is_started(tmp_path: Path) -> None:
    text = thing("a", server='":s"') + thing("s")
    label = Label("p", "a")
    made, _ = plan(tmp_path, {"p/triton.toml": text}, "//p:a", to_run=label)
    info = made.targets[label].get(RunInfo)
    assert info is not None
    assert info.action not in made.actions.values()
    assert not info.action.cacheable
    assert set(info.action.inputs) == {"served"}
    wanted = made.wanted(made.targets[label], test=False)
    assert {id.label.name for id in wanted} == {"a", "s"}, "what people see, and what it needs"


def test_a_rule_that_cannot_be_run_says_so(tmp_path: Path) -> None:
    text = "[plain.a]\n"
    with pytest.raises(AnalysisError) as caught:
        plan(tmp_path, {"p/triton.toml": text}, "//p:a", to_run=Label("p", "a"))
    (problem,) = caught.value.problems
    assert problem.found == "a target of this rule cannot be run"
    assert (problem.file, problem.line) == ("p/triton.toml", 1)


@tool("check", version=1)
def check(ctx: object) -> None:
    """Never run here."""


class Checks(Rule):
    table = "checks"
    provides = (Files, TestInfo)

    def analyze(self, ctx: Context[Any]) -> Iterable[object]:  # type: ignore[override]
        made = ctx.tool(check, name="make", outputs=["log"])
        verdict = ctx.tool(check, inputs=made, outputs=["report"], is_test=True)
        yield Files(verdict)
        yield TestInfo("smoke", verdict["report"].action, ())


class Twice(Rule):
    table = "twice"

    def analyze(self, ctx: Context[Any]) -> Iterable[object]:  # type: ignore[override]
        ctx.tool(check, outputs=["a"])
        ctx.tool(check, outputs=["b"])
        yield Files({})


class Liar(Rule):
    table = "liars"
    provides = (TestInfo,)

    def analyze(self, ctx: Context[Any]) -> Iterable[object]:  # type: ignore[override]
        yield Files({})


def odd(root: Path, table: str) -> Plan:
    """A plan of one target of a rule of this file."""
    rules = Registry({rule.table: rule() for rule in (Checks, Twice, Liar)})
    there = graph(root, {"p/triton.toml": f"[{table}.a]\n"}, rules)
    return make_plan(there, [Label("p", "a")], Lock(), no_network)[0]


def test_testing_wants_the_verdict_and_building_what_it_needs(tmp_path: Path) -> None:
    made = odd(tmp_path, "checks")
    verification = made.targets[Label("p", "a")]
    assert {id.name for id in made.wanted(verification, test=True)} == {"check"}
    assert {id.name for id in made.wanted(verification, test=False)} == {"make"}


@pytest.mark.parametrize(
    ("table", "found"),
    [("twice", "TypeError: //p:a (check) is declared as two things"), ("liars", "TypeError: Liar")],
)
def test_a_fault_of_a_rule_is_told_where_its_code_is(
    tmp_path: Path, table: str, found: str
) -> None:
    with pytest.raises(AnalysisError) as caught:
        odd(tmp_path, table)
    (problem,) = caught.value.problems
    assert problem.found.startswith(found)
    assert (problem.label, problem.file) == ("//p:a", __file__)
