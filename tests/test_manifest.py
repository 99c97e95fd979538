"""triton.toml → declarations, and what is said of a wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from parts.rules import registry
from pydantic import BaseModel, Field, ValidationError

from tritonbuild import __version__
from tritonbuild.errors import ExitCode, Problem, UsageError
from tritonbuild.manifest import Manifests, Package
from tritonbuild.manifest_errors import explain
from tritonbuild.rule import Dep, SourceRef
from tritonbuild.workspace import Workspace

ROOT = '[workspace]\nname = "test"\n'


def manifests(root: Path, files: Mapping[str, str | bytes]) -> Manifests:
    for name, content in {"triton.toml": ROOT, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return Manifests(Workspace(root), registry())


def package(root: Path, text: str) -> Package:
    """The package `p` with this manifest."""
    found = manifests(root, {"p/triton.toml": text}).package("p")
    assert found is not None
    return found


def problems(root: Path, text: str | bytes, file: str = "p/triton.toml") -> list[Problem]:
    """What is wrong with a manifest; everything placed in it, exit code 2."""
    with pytest.raises(UsageError) as caught:
        manifests(root, {file: text}).package(file.removesuffix("triton.toml").rstrip("/"))
    assert caught.value.exit_code == ExitCode.USAGE
    assert {problem.file for problem in caught.value.problems} == {file}
    return list(caught.value.problems)


def problem(root: Path, text: str | bytes, file: str = "p/triton.toml") -> Problem:
    (only,) = problems(root, text, file)
    return only


def test_a_package_holds_its_targets(tmp_path: Path) -> None:
    found = package(tmp_path, '[things.a]\ntext = "x"\nsize = 3\n[plain.b]\n')
    assert {str(d.label): d.rule.table for d in found.declarations.values()} == {
        "//p:a": "things",
        "//p:b": "plain",
    }
    attributes = found.declarations["a"].attributes
    assert attributes.model_dump()["size"] == 3


def test_a_folder_without_a_manifest_is_no_package(tmp_path: Path) -> None:
    assert manifests(tmp_path, {"p/x": ""}).package("p") is None


def test_packages_are_found_below_a_folder(tmp_path: Path) -> None:
    found = manifests(tmp_path, {"a/triton.toml": "", "a/b/triton.toml": "", "c/triton.toml": ""})
    assert [each.path for each in found.below("a")] == ["a", "a/b"]
    assert [each.path for each in found.below("")] == ["", "a", "a/b", "c"]


def test_references_know_where_they_stand(tmp_path: Path) -> None:
    text = """
    [things.a]
    text = "x"
    needs = [":b", ":c"]
    file = "f"
    parts = { 1 = "g", 2 = { "h.bin" = ":b/out" } }
    """
    declaration = package(tmp_path, text).declarations["a"]
    keys = {ref.text: key for ref, key in declaration.references.items()}
    assert keys == {
        ":b": ("needs", 0),
        ":c": ("needs", 1),
        "f": ("file",),
        "g": ("parts", "1"),
        ":b/out": ("parts", "2", "h.bin"),
    }


def test_a_reference_may_name_one_output(tmp_path: Path) -> None:
    text = '[things.a]\ntext = "x"\nfiles = ["a/b", ":t", ":t/o/p", "//q:t/o", "//q"]\n'
    refs = package(tmp_path, text).declarations["a"].attributes.model_dump()["files"]
    assert [(ref.is_label, ref.label, ref.output) for ref in map(SourceRef, refs)] == [
        (False, "a/b", ""),
        (True, ":t", ""),
        (True, ":t", "o/p"),
        (True, "//q:t", "o"),
        (True, "//q", ""),
    ]


def test_a_dependency_knows_which_provider_it_wants(tmp_path: Path) -> None:
    text = '[things.a]\ntext = "x"\nneeds = [":b"]\nbest = "c"\n[plain.p]\nanything = [":a"]\n'
    found = package(tmp_path, text).declarations
    wanted = [
        ref.wants.__name__
        for name in ("a", "p")
        for ref in found[name].references
        if isinstance(ref, Dep)
    ]
    assert wanted == ["Info", "Info", "object"]


def test_broken_toml_is_told_with_its_line(tmp_path: Path) -> None:
    found = problem(tmp_path, '[things.a]\ntext = "x"\nsize = = 3\n')
    assert found.found.startswith("broken TOML: ")
    assert "line" not in found.found
    assert found.line == 3


def test_toml_that_ends_too_early_is_told_with_its_last_line(tmp_path: Path) -> None:
    assert problem(tmp_path, '[things.a]\ntext = "x"\nneeds = [\n').line == 4


def test_a_name_that_is_given_twice_in_a_table_is_broken_toml(tmp_path: Path) -> None:
    found = problem(tmp_path, '[things.a]\ntext = "x"\n[things.a]\ntext = "y"\n')
    assert "broken TOML" in found.found
    assert found.line == 3


def test_what_is_not_utf8_is_told_with_its_line(tmp_path: Path) -> None:
    found = problem(tmp_path, b'# fine\n[things.a]\ntext = "\xff"\n')
    assert (found.line, found.found) == (3, "not UTF-8: invalid start byte")


def test_an_unknown_table_is_told_with_the_nearest(tmp_path: Path) -> None:
    found = problem(tmp_path, '\n[thinks.a]\ntext = "x"\n')
    assert found.found == "unknown table 'thinks'"
    assert (found.line, found.key) == (2, "thinks")
    assert found.remedy == "did you mean 'things'?"


def test_an_unknown_key_is_told_with_the_nearest(tmp_path: Path) -> None:
    found = problem(tmp_path, '[things.a]\ntext = "x"\nsise = 3\n')
    assert found == Problem(
        "unknown key 'sise'",
        remedy="did you mean 'size'?",
        label="//p:a",
        file="p/triton.toml",
        line=3,
        key="things.a.sise",
    )


def test_an_unknown_key_of_an_inner_table_is_told(tmp_path: Path) -> None:
    text = '[things.a]\ntext = "x"\n[things.a.box]\nwidth = 1\nheight = 2\n'
    found = problem(tmp_path, text)
    assert (found.key, found.line) == ("things.a.box.height", 5)
    assert found.found == "unknown key 'height'"


@pytest.mark.parametrize(
    ("line", "key", "found", "expected"),
    [
        ("size = '3'", "size", "'3' is a string", "an integer"),
        ("size = 3.5", "size", "3.5 is a float", "an integer"),
        ("size = true", "size", "True is a boolean", "an integer"),
        ("size = []", "size", "[] is an array", "an integer"),
        ("ratio = 'x'", "ratio", "'x' is a string", "a number"),
        ("box = 1", "box", "1 is an integer", "a table"),
        ("file = ''", "file", "'' is a string", "at least 1 character"),
        ("file = 3", "file", "3 is an integer", "a string"),
        ("needs = ':x'", "needs", "':x' is a string", "an array"),
        ("needs = [':x', 3]", "needs[1]", "3 is an integer", "a string"),
        ("tags = [1]", "tags[0]", "1 is an integer", "a string"),
        ("parts = { 1 = 2 }", "parts.1", "2 is an integer", "a string or a table"),
        ("parts = { 1 = { a = 2 } }", "parts.1.a", "2 is an integer", "a string"),
        ("box = { width = 'w' }", "box.width", "'w' is a string", "an integer"),
        ("size = 2024-01-01", "size", "datetime.date(2024, 1, 1) is a date", "an integer"),
    ],
)
def test_a_wrong_type_is_told_with_what_was_expected(
    tmp_path: Path, line: str, key: str, found: str, expected: str
) -> None:
    wrong = problem(tmp_path, f'[things.a]\ntext = "x"\n{line}\n')
    assert (wrong.key, wrong.found, wrong.line) == (f"things.a.{key}", found, 3)
    assert expected in wrong.expected


def test_a_missing_key_is_told_at_its_table(tmp_path: Path) -> None:
    found = problem(tmp_path, "[plain.b]\n[things.a]\nsize = 3\n")
    assert (found.key, found.line) == ("things.a.text", 2)
    assert (found.found, found.expected) == ("text is missing", "text = …")


def test_several_missing_keys_are_all_told(tmp_path: Path) -> None:
    found = problems(tmp_path, "[things.a]\nbox = {}\n")
    assert {each.key for each in found} == {"things.a.text", "things.a.box.width"}


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    found = problem(tmp_path, f'[things.a]\ntext = "x"\nsize = "{"x" * 100}"\n')
    assert len(found.found) < 80
    assert "…" in found.found


@pytest.mark.parametrize("name", ["a b", "-a", "", "ä", "a/b", "a:b", ".."])
def test_a_name_that_no_label_can_say_is_refused(tmp_path: Path, name: str) -> None:
    found = problem(tmp_path, f'\n[plain."{name}"]\n')
    assert found.found == f"{name!r} is not a target name"
    assert found.line == 2
    assert "letters" in found.expected


@pytest.mark.parametrize(
    ("text", "found", "key"),
    [
        ("plain = 3", "plain is an integer", "plain"),
        ("[[plain]]", "plain is an array", "plain"),
        ("[plain]\na = 3", "plain.a is an integer", "plain.a"),
        ("[plain]\na = []", "plain.a is an array", "plain.a"),
    ],
)
def test_what_is_no_table_is_told(tmp_path: Path, text: str, found: str, key: str) -> None:
    wrong = problem(tmp_path, text)
    assert (wrong.found, wrong.key) == (found, key)
    assert "table" in wrong.expected


def test_a_name_is_unique_in_its_package_across_tables(tmp_path: Path) -> None:
    found = problem(tmp_path, '[things.a]\ntext = "x"\n\n[plain.a]\n')
    assert found.found == "the name 'a' is taken by [things.a]"
    assert (found.line, found.key, found.label) == (4, "plain.a", "//p:a")
    assert found.remedy == "rename one of them"


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    text = "[things.a]\nsise = 1\n[thinks.b]\n[plain.c]\nof = 1\n[plain.'d e']\n"
    assert {each.key for each in problems(tmp_path, text)} == {
        "plain.c.of",
        'plain."d e"',
        "things.a.sise",
        "things.a.text",
        "thinks",
    }


def test_a_folder_whose_name_no_label_can_say_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        list(manifests(tmp_path, {"my models/triton.toml": "[plain.a]\n"}).below(""))
    (found,) = caught.value.problems
    assert found.found == "'my models' is not a package path"
    assert found.file == "my models/triton.toml"
    assert found.remedy


@pytest.mark.parametrize(
    ("text", "key", "line"),
    [
        ("[workspace]\n", "workspace.name", 1),
        ("[workspace]\nname = 3\n", "workspace.name", 2),
        ('[workspace]\nname = "x"\nnmae = "y"\n', "workspace.nmae", 3),
        ('[workspace]\nname = "x"\nrules = "r.py"\n', "workspace.rules", 3),
        ('[workspace]\nname = "x"\nrules = [\n3]\n', "workspace.rules[0]", 4),
        ('[workspace]\nname = "x"\nrules = ["none/*.py"]\n', "workspace.rules[0]", 3),
        ('[workspace]\nname = "x"\nrules = ["../*.py"]\n', "workspace.rules[0]", 3),
        ('[workspace]\nname = "x"\nignore = "x"\n', "workspace.ignore", 3),
        ('[workspace]\nname = "x"\nshelf = 1\n', "workspace.shelf", 3),
        ('[workspace]\nname = "x"\nrequires = ">=99"\n', "workspace.requires", 3),
        ('[workspace]\nname = "x"\nrequires = "new"\n', "workspace.requires", 3),
    ],
)
def test_a_wrong_setting_of_the_workspace_is_told(
    tmp_path: Path, text: str, key: str, line: int
) -> None:
    found = problem(tmp_path, text, "triton.toml")
    assert (found.key, found.line) == (key, line)
    assert found.expected or found.remedy


def test_a_newer_tritonbuild_is_asked_for(tmp_path: Path) -> None:
    text = '[workspace]\nname = "x"\nrequires = ">=99"\n'
    found = problem(tmp_path, text, "triton.toml")
    assert found.found == f"this is tritonbuild {__version__}"
    assert found.expected == ">=99"
    assert found.remedy == "pip install 'tritonbuild>=99'"


def test_a_fitting_tritonbuild_is_taken(tmp_path: Path) -> None:
    text = f'[workspace]\nname = "x"\nrequires = "=={__version__}"\n'
    assert manifests(tmp_path, {"triton.toml": text}).package("") is not None


def test_the_workspaces_default_holds_where_a_target_does_not_say(tmp_path: Path) -> None:
    text = '[things.a]\ntext = "x"\n[things.b]\ntext = "x"\nshelf = ":a"\n'
    found = manifests(tmp_path, {"triton.toml": f'{ROOT}shelf = ":s"\n', "p/triton.toml": text})
    there = found.package("p")
    assert there is not None
    shelves = [there.declarations[name].attributes.model_dump()["shelf"] for name in "ab"]
    assert shelves == ["//:s", ":a"]


def test_the_workspaces_ignore_patterns_hold(tmp_path: Path) -> None:
    found = manifests(
        tmp_path,
        {"triton.toml": f'{ROOT}ignore = ["old/"]\n', "old/triton.toml": "broken", "p/x": ""},
    )
    assert [each.path for each in found.below("")] == [""]


def test_a_nested_workspace_has_its_own_root_and_defaults(tmp_path: Path) -> None:
    thing = '[things.a]\ntext = "x"\n'
    found = manifests(
        tmp_path,
        {
            "triton.toml": f'{ROOT}shelf = ":outer"\n',
            "in/triton.toml": '[workspace]\nname = "inner"\nshelf = "//:inner"\n',
            "in/p/triton.toml": thing,
            "p/triton.toml": thing,
        },
    )
    inner, outer = found.package("in/p"), found.package("p")
    assert inner is not None
    assert outer is not None
    assert (inner.root, outer.root) == ("in", "")
    shelves = [each.declarations["a"].attributes.model_dump()["shelf"] for each in (inner, outer)]
    assert shelves == ["//:inner", "//:outer"]


def test_a_nested_workspace_may_use_the_tables_of_its_own_rules_only(tmp_path: Path) -> None:
    rule = """
from tritonbuild.rule import Rule
class Greeting(Rule):
    table = "greetings"
"""
    files = {
        "in/triton.toml": '[workspace]\nname = "inner"\nrules = ["g.py"]\n[greetings.a]\n',
        "in/g.py": rule,
        "p/triton.toml": "[greetings.a]\n",
    }
    found = manifests(tmp_path, files)
    assert found.package("in") is not None
    with pytest.raises(UsageError, match="unknown table 'greetings'"):
        found.package("p")


def test_every_manifest_on_the_way_is_recorded(tmp_path: Path) -> None:
    found = manifests(tmp_path, {"a/b/triton.toml": ""})
    found.package("a/b")
    assert {"triton.toml", "a/triton.toml", "a/b/triton.toml"} <= set(found.workspace.seen)


class Chosen(BaseModel):
    kind: Literal["smoke", "golden"] = "smoke"
    off: Annotated[float, Field(ge=0)] | dict[str, float] = 0


@pytest.mark.parametrize(
    ("raw", "found", "expected", "remedy"),
    [
        ({"kind": "goldn"}, "kind is 'goldn'", "'smoke' or 'golden'", "did you mean 'golden'?"),
        ({"kind": "x"}, "kind is 'x'", "'smoke' or 'golden'", ""),
        ({"off": -1}, "off is -1", "greater than or equal to 0 or a table", ""),
        ({"off": "x"}, "'x' is a string", "a number or a table", ""),
    ],
)
def test_a_wrong_value_of_the_right_type_is_told_as_it_is(
    raw: dict[str, Any], found: str, expected: str, remedy: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        Chosen.model_validate(raw, strict=True)
    (told,) = explain(caught.value, raw, Chosen)
    assert told[1:] == (found, expected, remedy)
