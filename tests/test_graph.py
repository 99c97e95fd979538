"""The graph of targets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from parts.rules import registry

from tritonbuild.errors import ExitCode, Problem, UsageError
from tritonbuild.graph import Graph
from tritonbuild.label import Label, Pattern
from tritonbuild.manifest import Manifests
from tritonbuild.workspace import Workspace

ROOT = '[workspace]\nname = "test"\n'


def thing(name: str, **attributes: str) -> str:
    """A thing's table; attributes are TOML."""
    lines = "".join(f"{key} = {value}\n" for key, value in attributes.items())
    return f'[things.{name}]\ntext = "x"\n{lines}'


def graph(root: Path, files: Mapping[str, str]) -> Graph:
    for name, content in {"triton.toml": ROOT, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return Graph(Manifests(Workspace(root), registry()))


def label(text: str) -> Label:
    return Label.parse(text)


def required(root: Path, files: Mapping[str, str], *labels: str) -> dict[str, set[str]]:
    """Each target that labels need, and what it needs itself."""
    there = graph(root, files)
    there.require(map(label, labels))
    return {str(each): set(map(str, there.targets[each])) for each in there.targets}


def problems(root: Path, files: Mapping[str, str], *labels: str) -> list[Problem]:
    with pytest.raises(UsageError) as caught:
        graph(root, files).require(map(label, labels))
    assert caught.value.exit_code == ExitCode.USAGE
    return list(caught.value.problems)


def expanded(there: Graph, *patterns: str) -> list[str]:
    return [str(found.label) for found in there.expand(map(Pattern.parse, patterns))]


def test_targets_bring_all_that_they_need(tmp_path: Path) -> None:
    files = {
        "a/triton.toml": thing("a", needs='["//b", ":c"]') + thing("c", file='"//b:d/out"'),
        "b/triton.toml": thing("b") + thing("d") + thing("unneeded"),
    }
    assert required(tmp_path, files, "//a:a") == {
        "//a:a": {"//b:b", "//a:c"},
        "//b:b": set(),
        "//a:c": {"//b:d"},
        "//b:d": set(),
    }


def test_packages_that_nobody_needs_are_not_read(tmp_path: Path) -> None:
    files = {"a/triton.toml": thing("a"), "b/triton.toml": "broken"}
    assert set(required(tmp_path, files, "//a:a")) == {"//a:a"}


def test_each_reference_knows_the_labels_that_it_means(tmp_path: Path) -> None:
    there = graph(tmp_path, {"p/triton.toml": thing("a", needs='["//q/...", ":b"]') + thing("b"),
                             "q/triton.toml": thing("c") + thing("d")})  # fmt: skip
    there.require([label("//p:a")])
    meant = {ref.text: list(map(str, found)) for ref, found in
             there.resolved[label("//p:a")].items()}  # fmt: skip
    assert meant == {"//q/...": ["//q:c", "//q:d"], ":b": ["//p:b"]}


def test_dependencies_come_first_and_equals_by_label(tmp_path: Path) -> None:
    text = thing("z", needs='[":b", ":a"]') + thing("a", needs='[":y"]') + thing("b") + thing("y")
    there = graph(tmp_path, {"p/triton.toml": text})
    there.require([label("//p:z")])
    assert list(map(str, there.in_order())) == ["//p:b", "//p:y", "//p:a", "//p:z"]


def test_an_unknown_target_is_told_where_it_is_asked_for(tmp_path: Path) -> None:
    files = {"p/triton.toml": thing("a", needs='[\n  ":digits",\n  ":digit",\n]') + thing("digits")}
    (problem,) = problems(tmp_path, files, "//p:a")
    assert problem == Problem(
        "//p has no target 'digit'",
        remedy="did you mean 'digits'?",
        label="//p:a",
        file="p/triton.toml",
        line=5,
        key="things.a.needs[1]",
    )


def test_an_unknown_target_of_the_command_line_gets_a_hint(tmp_path: Path) -> None:
    there = graph(tmp_path, {"p/triton.toml": thing("digits")})
    with pytest.raises(UsageError) as caught:
        expanded(there, "//p:digit")
    assert caught.value.problems == (
        Problem("//p has no target 'digit'", remedy="did you mean 'digits'?"),
    )


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("//q:x", "there is no package //q"),
        ("//q:all", "there is no package //q"),
        ("//q/...", "//q/... matches no target"),
        ("x", "'x' is not a label"),
        ("//p/../q:x", "is not a package path"),
        ("-:b", "takes away"),
    ],
)
def test_a_reference_to_nothing_is_told_with_its_place(
    tmp_path: Path, reference: str, found: str
) -> None:
    files = {"p/triton.toml": thing("a", needs=f'["{reference}"]')}
    (problem,) = problems(tmp_path, files, "//p:a")
    assert found in problem.found
    assert (problem.file, problem.line, problem.key) == ("p/triton.toml", 3, "things.a.needs[0]")


def test_all_missing_targets_are_told_at_once(tmp_path: Path) -> None:
    files = {
        "p/triton.toml": thing("a", needs='[":b", ":none", "//q:none"]')
        + thing("b", file='":nowhere"')
    }
    assert {p.key for p in problems(tmp_path, files, "//p:a")} == {
        "things.a.needs[1]",
        "things.a.needs[2]",
        "things.b.file",
    }


def test_a_broken_manifest_that_is_needed_is_told_as_its_own(tmp_path: Path) -> None:
    files = {"p/triton.toml": thing("a", needs='["//q"]'), "q/triton.toml": "[thinks.q]\n"}
    (problem,) = problems(tmp_path, files, "//p:a")
    assert (problem.file, problem.line) == ("q/triton.toml", 1)


def test_a_cycle_is_told_with_its_path_and_line(tmp_path: Path) -> None:
    files = {
        "p/triton.toml": thing("a", needs='[":b"]') + thing("b", needs='["//q:c"]'),
        "q/triton.toml": thing("c", file='"//p:a"'),
    }
    (problem,) = problems(tmp_path, files, "//p:a")
    assert problem.found == "a cycle: //p:a → //p:b → //q:c → //p:a"
    assert (problem.label, problem.file) == ("//p:a", "p/triton.toml")
    assert (problem.line, problem.key) == (3, "things.a.needs[0]")
    assert problem.expected


def test_a_target_that_needs_itself_is_a_cycle(tmp_path: Path) -> None:
    files = {"p/triton.toml": thing("a", needs='[":a"]')}
    (problem,) = problems(tmp_path, files, "//p:a")
    assert problem.found == "a cycle: //p:a → //p:a"
    assert problem.line == 3


def test_a_cycle_below_what_is_asked_for_is_found(tmp_path: Path) -> None:
    text = thing("top", needs='[":a"]') + thing("a", best='"b"') + thing("b", needs='[":a"]')
    (problem,) = problems(tmp_path, {"p/triton.toml": text}, "//p:top")
    assert problem.found.startswith("a cycle: ")
    assert "top" not in problem.found


@pytest.mark.parametrize(
    ("patterns", "labels"),
    [
        (["//p:a"], ["//p:a"]),
        (["//p:all"], ["//p:a", "//p:b"]),
        (["//p/..."], ["//p:a", "//p:b", "//p/q:c"]),
        (["//..."], ["//:r", "//p:a", "//p:b", "//p/q:c"]),
        (["//:all"], ["//:r"]),
        (["//...", "-//p:all"], ["//:r", "//p/q:c"]),
        (["//...", "-//p/..."], ["//:r"]),
        (["//...", "-//p/...", "//p:a"], ["//:r", "//p:a"]),
        (["-//p:a", "//p:all"], ["//p:a", "//p:b"]),
        (["//p:b", "//p:a", "//p:b"], ["//p:a", "//p:b"]),
        (["//p:all", "-//p:nothing"], ["//p:a", "//p:b"]),
        ([], []),
    ],
)
def test_patterns_mean_targets_in_order(
    tmp_path: Path, patterns: list[str], labels: list[str]
) -> None:
    there = graph(
        tmp_path,
        {
            "triton.toml": ROOT + thing("r"),
            "p/triton.toml": thing("b") + thing("a"),
            "p/q/triton.toml": thing("c"),
        },
    )
    assert expanded(there, *patterns) == labels


@pytest.mark.parametrize("pattern", ["//p:all", "//p/...", "//none:all", "//none/..."])
def test_a_pattern_that_means_nothing_is_refused(tmp_path: Path, pattern: str) -> None:
    there = graph(tmp_path, {"p/triton.toml": ""})
    with pytest.raises(UsageError):
        expanded(there, pattern)


def test_a_pattern_in_an_attribute_keeps_those_that_provide_what_is_wanted(tmp_path: Path) -> None:
    text = "[plain.p]\nof = [':all']\n[plain.other]\n" + thing("a") + thing("b")
    assert required(tmp_path, {"p/triton.toml": text}, "//p:p")["//p:p"] == {"//p:a", "//p:b"}


def test_a_pattern_that_wants_any_provider_keeps_all_but_itself(tmp_path: Path) -> None:
    text = "[plain.p]\nanything = [':all']\n[plain.other]\n" + thing("a")
    assert required(tmp_path, {"p/triton.toml": text}, "//p:p")["//p:p"] == {"//p:a", "//p:other"}


def test_a_target_called_all_is_meant_by_its_name(tmp_path: Path) -> None:
    text = "[plain.p]\nof = [':all']\n" + thing("all") + thing("b")
    assert required(tmp_path, {"p/triton.toml": text}, "//p:p")["//p:p"] == {"//p:all"}


def test_a_label_of_a_target_without_the_provider_is_refused(tmp_path: Path) -> None:
    text = thing("a", needs='[":p"]') + "[plain.p]\n"
    (problem,) = problems(tmp_path, {"p/triton.toml": text}, "//p:a")
    assert problem.found == "//p:p is one of [plain]"
    assert problem.expected == "a target that provides Info: one of [things]"
    assert problem.line == 3


def test_a_bare_name_means_the_target_of_the_package(tmp_path: Path) -> None:
    files = {
        "triton.toml": ROOT + thing("b"),
        "p/triton.toml": thing("a", best='"b"') + thing("b"),
    }
    assert required(tmp_path, files, "//p:a")["//p:a"] == {"//p:b"}


def test_a_bare_name_means_the_target_of_the_root_otherwise(tmp_path: Path) -> None:
    files = {"triton.toml": ROOT + thing("b"), "p/triton.toml": thing("a", best='"b"')}
    assert required(tmp_path, files, "//p:a")["//p:a"] == {"//:b"}


def test_a_bare_name_passes_over_targets_of_other_kinds(tmp_path: Path) -> None:
    files = {
        "triton.toml": ROOT + thing("b"),
        "p/triton.toml": thing("a", best='"b"') + "[plain.b]\n",
    }
    assert required(tmp_path, files, "//p:a")["//p:a"] == {"//:b"}


def test_a_bare_name_of_nothing_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    files = {"triton.toml": ROOT + thing("digits"), "p/triton.toml": thing("a", best='"digit"')}
    (problem,) = problems(tmp_path, files, "//p:a")
    assert problem.found == "no 'digit' is declared in //p or in the root"
    assert problem.expected == "[things.digit]"
    assert problem.remedy == "did you mean 'digits'?"
    assert (problem.file, problem.line) == ("p/triton.toml", 3)


def test_a_label_where_a_bare_name_may_stand_is_taken_as_it_is(tmp_path: Path) -> None:
    files = {"triton.toml": ROOT, "p/triton.toml": thing("a", best='"//q:b"'),
             "q/triton.toml": thing("b")}  # fmt: skip
    assert required(tmp_path, files, "//p:a")["//p:a"] == {"//q:b"}


def test_in_a_nested_workspace_two_slashes_mean_its_own_root(tmp_path: Path) -> None:
    inner = '[workspace]\nname = "inner"\n' + thing("root")
    files = {
        "triton.toml": ROOT + thing("root"),
        "p/triton.toml": thing("b"),
        "in/triton.toml": inner,
        "in/p/triton.toml": thing("a", needs='["//:root", "//q:c", "//q/..."]', best='"root"'),
        "in/q/triton.toml": thing("c"),
    }
    assert required(tmp_path, files, "//in/p:a")["//in/p:a"] == {"//in:root", "//in/q:c"}


def test_a_nested_workspace_is_below_the_outer_one(tmp_path: Path) -> None:
    files = {"in/triton.toml": '[workspace]\nname = "inner"\n' + thing("a")}
    there = graph(tmp_path, files)
    assert expanded(there, "//...") == ["//in:a"]
    assert expanded(there, "//in:a") == ["//in:a"]


def test_what_only_running_needs_is_left_out_of_a_build(tmp_path: Path) -> None:
    text = thing("a", server='":s"') + thing("s")
    there = graph(tmp_path, {"p/triton.toml": text})
    there.require([label("//p:a")])
    assert set(map(str, there.targets)) == {"//p:a"}


def test_what_running_needs_is_there_to_run(tmp_path: Path) -> None:
    text = thing("a", server='":s"') + thing("s", server='":t"') + thing("t")
    there = graph(tmp_path, {"p/triton.toml": text})
    there.require([label("//p:a")], to_run=label("//p:a"))
    assert set(map(str, there.targets)) == {"//p:a", "//p:s"}


def test_the_workspaces_default_is_a_dependency(tmp_path: Path) -> None:
    files = {
        "triton.toml": ROOT + 'shelf = ":shelf"\n' + thing("shelf", shelf='"//:shelf"'),
        "p/triton.toml": thing("a"),
    }
    with pytest.raises(UsageError, match="a cycle: //:shelf"):
        required(tmp_path, files, "//p:a")
