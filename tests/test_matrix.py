"""Targets with a matrix: their variants, and what is said of a wrong one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from parts.rules import registry

from tritonbuild.errors import ExitCode, Problem, UsageError
from tritonbuild.graph import Graph
from tritonbuild.label import Label, Pattern
from tritonbuild.manifest import Manifests
from tritonbuild.workspace import Workspace

ROOT = '[workspace]\nname = "test"\n'
PLAN = """
[things.plan]
text = "{matrix.gpu}"
matrix = { gpu = ["L4", "H100"], precision = ["fp16", "fp32"] }
"""
"""Lines 2 to 4 of its manifest."""


def graph(root: Path, text: str, files: Mapping[str, str] | None = None) -> Graph:
    """The package `p` with this manifest."""
    for name, content in {"triton.toml": ROOT, "p/triton.toml": text, **(files or {})}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return Graph(Manifests(Workspace(root), registry()))


def attributes(root: Path, text: str) -> dict[str, dict[str, Any]]:
    """Name → what is said of each target of the package, without defaults."""
    package = graph(root, text).manifests.package("p")
    assert package is not None
    found = package.declarations.items()
    return {name: d.attributes.model_dump(mode="json", exclude_unset=True) for name, d in found}


def problems(root: Path, text: str) -> list[Problem]:
    with pytest.raises(UsageError) as caught:
        graph(root, text).manifests.package("p")
    assert caught.value.exit_code == ExitCode.USAGE
    assert {problem.file for problem in caught.value.problems} == {"p/triton.toml"}
    return list(caught.value.problems)


def problem(root: Path, text: str) -> Problem:
    (only,) = problems(root, text)
    return only


def expanded(there: Graph, *patterns: str) -> list[str]:
    return [str(found.label) for found in there.expand(map(Pattern.parse, patterns))]


def meant(root: Path, text: str, label: str = "//p:user") -> list[str]:
    """What the references of a target mean, as its `needs`, `best`, … stand in order."""
    there = graph(root, text)
    there.require([Label.parse(label)])
    found = there.resolved[Label.parse(label)]
    return [str(each) for labels in found.values() for each in labels]


def refused(root: Path, text: str, label: str = "//p:user") -> Problem:
    with pytest.raises(UsageError) as caught:
        meant(root, text, label)
    (only,) = caught.value.problems
    return only


def test_there_is_a_variant_for_each_combination_in_the_manifests_order(tmp_path: Path) -> None:
    assert list(attributes(tmp_path, PLAN)) == [
        "plan[gpu=L4,precision=fp16]",
        "plan[gpu=L4,precision=fp32]",
        "plan[gpu=H100,precision=fp16]",
        "plan[gpu=H100,precision=fp32]",
    ]


def test_parameters_stand_in_every_string_of_the_target(tmp_path: Path) -> None:
    text = """
    [things.a]
    matrix = { gpu = ["L4"], batch = [8], deep = [true], rate = [0.5] }
    text = "on {matrix.gpu}, {matrix.batch}, {matrix.deep} and {matrix.rate}"
    tags = ["{matrix.gpu}"]
    needs = [":{matrix.gpu}"]
    parts = { "{matrix.batch}" = { "{matrix.gpu}.bin" = "{matrix.gpu}/x" } }
    """
    found = attributes(tmp_path, text)["a[gpu=L4,batch=8,deep=true,rate=0.5]"]
    assert found["text"] == "on L4, 8, true and 0.5"
    assert found["tags"] == ["L4"]
    assert found["needs"] == [":L4"]
    assert found["parts"] == {"8": {"L4.bin": "L4/x"}}


def test_a_string_that_is_nothing_else_becomes_the_value(tmp_path: Path) -> None:
    text = """
    [things.a]
    text = "x"
    size = "{matrix.n}"
    ratio = "{matrix.r}"
    box = { width = "{matrix.n}" }
    matrix = { n = [2], r = [0.5] }
    """
    found = attributes(tmp_path, text)["a[n=2,r=0.5]"]
    assert (found["size"], found["ratio"], found["box"]) == (2, 0.5, {"width": 2})


def test_a_number_becomes_text_where_only_strings_are_taken(tmp_path: Path) -> None:
    text = """
    [things.a]
    text = "{matrix.n}"
    size = "{matrix.n}"
    tags = ["x", "{matrix.n}", "{matrix.on}"]
    file = "{matrix.n}"
    matrix = { n = [2], on = [false] }
    """
    found = attributes(tmp_path, text)["a[n=2,on=false]"]
    assert (found["text"], found["size"], found["tags"]) == ("2", 2, ["x", "2", "false"])
    assert found["file"] == "2"


def test_an_empty_matrix_is_none(tmp_path: Path) -> None:
    assert list(attributes(tmp_path, '[things.a]\ntext = "x"\nmatrix = {}\n')) == ["a"]


def test_workspace_defaults_reach_variants(tmp_path: Path) -> None:
    text = '[things.a]\ntext = "x"\nmatrix = { n = [1] }\n'
    root = ROOT + 'shelf = "//:s"\n'
    package = graph(tmp_path, text, {"triton.toml": root}).manifests.package("p")
    assert package is not None
    declaration = package.declarations["a[n=1]"]
    assert declaration.attributes.model_dump(mode="json")["shelf"] == "//:s"
    assert declaration.defaults == {"shelf"}


@pytest.mark.parametrize(
    ("matrix", "key", "found", "expected"),
    [
        ('"L4"', "", "matrix is a string", "a table: parameter → values"),
        ('{ gpu = "L4" }', ".gpu", "gpu is a string", "an array with at least one value"),
        ("{ gpu = [] }", ".gpu", "gpu is an empty array", "an array with at least one value"),
        (
            "{ gpu = [[1]] }",
            ".gpu[0]",
            "[1] is an array",
            "a string, a number or a boolean",
        ),
        (
            "{ gpu = [1979-05-27] }",
            ".gpu[0]",
            "datetime.date(1979, 5, 27) is a date",
            "a string, a number or a boolean",
        ),
        (
            '{ gpu = ["L4", "a b"] }',
            ".gpu[1]",
            "'a b' cannot stand in a label",
            "letters, digits and _ . + @ ~ -",
        ),
        ('{ gpu = [""] }', ".gpu[0]", "'' cannot stand in a label", None),
        ('{ gpu = ["a/b"] }', ".gpu[0]", "'a/b' cannot stand in a label", None),
        ('{ gpu = ["a,b"] }', ".gpu[0]", "'a,b' cannot stand in a label", None),
        ('{ gpu = ["a]"] }', ".gpu[0]", "'a]' cannot stand in a label", None),
        ('{ gpu = ["é"] }', ".gpu[0]", "'é' cannot stand in a label", None),
        ('{ gpu = ["{matrix.x}"] }', ".gpu[0]", "'{matrix.x}' cannot stand in a label", None),
        ('{ gpu = ["L4", "L4"] }', ".gpu[1]", "L4 is given twice", "each value once"),
        ('{ n = [1, "1"] }', ".n[1]", "1 is given twice", "each value once"),
        ('{ "a b" = [1] }', '."a b"', "'a b' is not a parameter's name", None),
        (
            f"{{ a = {list(range(11))}, b = {list(range(10))}, c = {list(range(10))} }}",
            "",
            "1100 combinations",
            "at most 1000",
        ),
    ],
)
def test_a_wrong_matrix_is_told_with_its_line(
    tmp_path: Path, matrix: str, key: str, found: str, expected: str | None
) -> None:
    told = problem(tmp_path, f'[things.a]\ntext = "x"\nmatrix = {matrix}\n')
    assert (told.label, told.line, told.key) == ("//p:a", 3, f"things.a.matrix{key}")
    assert told.found == found
    assert expected in (None, told.expected)


def test_an_unknown_parameter_is_told_with_the_nearest(tmp_path: Path) -> None:
    text = (
        '[things.a]\nmatrix = { gpu = ["L4", "H100"] }\ntext = "x"\n'
        'needs = [\n  ":{matrix.gpi}",\n]\n'
    )
    told = problem(tmp_path, text)
    assert (told.label, told.line, told.key) == ("//p:a", 5, "things.a.needs[0]")
    assert told.found == "there is no {matrix.gpi}"
    assert told.remedy == "did you mean 'gpu'?"


def test_a_parameter_without_a_matrix_is_told(tmp_path: Path) -> None:
    told = problem(tmp_path, '[things.a]\ntext = "on {matrix.gpu}"\n')
    assert (told.line, told.found) == (2, "there is no {matrix.gpu}")
    assert told.expected == "a target with a matrix"


def test_two_keys_that_become_one_are_told(tmp_path: Path) -> None:
    text = (
        '[things.a]\ntext = ""\nmatrix = { n = [1] }\n'
        '[things.a.parts]\n1 = "x"\n"{matrix.n}" = "y"\n'
    )
    told = problem(tmp_path, text)
    assert (told.line, told.found) == (6, "two keys become '1'")


def test_what_is_wrong_with_every_variant_is_told_once(tmp_path: Path) -> None:
    told = problem(tmp_path, PLAN + "sizes = 1\n")
    assert (told.found, told.line) == ("unknown key 'sizes'", 5)


def test_what_is_wrong_with_one_variant_is_told_with_its_label(tmp_path: Path) -> None:
    text = '[things.a]\ntext = ""\nmatrix = { n = [1, "x"] }\nsize = "{matrix.n}"\n'
    told = problem(tmp_path, text)
    assert (told.label, told.line, told.key) == ("//p:a[n=x]", 4, "things.a.size")
    assert told.found == "'x' is a string"


def test_a_problem_below_a_key_with_a_parameter_has_its_line(tmp_path: Path) -> None:
    text = (
        '[things.a]\ntext = ""\nmatrix = { n = [1] }\n'
        '[things.a.parts]\n7 = "x"\n"{matrix.n}" = { "x" = ":none" }\n'
    )
    told = refused(tmp_path, text, "//p:a[n=1]")
    assert (told.line, told.label) == (6, "//p:a[n=1]")
    assert told.key == 'things.a.parts."{matrix.n}".x'


def test_a_name_is_taken_by_a_target_with_a_matrix(tmp_path: Path) -> None:
    told = problem(tmp_path, PLAN + "[plain.plan]\n")
    assert told.found == "the name 'plan' is taken by [things.plan]"


def test_a_manifest_cannot_name_a_variant_itself(tmp_path: Path) -> None:
    told = problem(tmp_path, '[things."a[n=1]"]\ntext = "x"\n')
    assert told.found == "'a[n=1]' is not a target name"


@pytest.mark.parametrize(
    ("patterns", "variants"),
    [
        (["//p:plan"], ["L4,fp16", "L4,fp32", "H100,fp16", "H100,fp32"]),
        (["//p:plan[gpu=L4]"], ["L4,fp16", "L4,fp32"]),
        (["//p:plan[precision=fp32]"], ["L4,fp32", "H100,fp32"]),
        (["//p:plan[gpu=L4,precision=fp16]"], ["L4,fp16"]),
        (["//p:plan[precision=fp16,gpu=L4]"], ["L4,fp16"]),
        (["//p:all", "-//p:plan[gpu=L4]"], ["H100,fp16", "H100,fp32"]),
        (["//...", "-//p:plan[gpu=L4]", "-//p:plan[precision=fp16]"], ["H100,fp32"]),
    ],
)
def test_a_pattern_means_all_variants_that_agree_with_it(
    tmp_path: Path, patterns: list[str], variants: list[str]
) -> None:
    wanted = ["//p:plan[gpu={},precision={}]".format(*variant.split(",")) for variant in variants]
    assert sorted(expanded(graph(tmp_path, PLAN), *patterns)) == sorted(wanted)


def test_a_pattern_that_takes_the_target_away_takes_all_variants(tmp_path: Path) -> None:
    assert expanded(graph(tmp_path, PLAN), "//p:all", "-//p:plan") == []


@pytest.mark.parametrize(
    ("label", "found", "expected", "remedy"),
    [
        (
            "//p:plan[gpu=A100]",
            "//p has no target 'plan[gpu=A100]'",
            "one of: //p:plan[gpu=L4,precision=fp16], ",
            "gpu is never 'A100': did you mean 'H100'?",
        ),
        (
            "//p:plan[precision=fp16,gpx=L4]",
            "//p has no target 'plan[precision=fp16,gpx=L4]'",
            "one of: //p:plan[",
            "there is no parameter 'gpx': did you mean 'gpu'?",
        ),
        ("//p:x[gpu=L4]", "//p has no target 'x[gpu=L4]'", "'x', which has no matrix", ""),
    ],
)
def test_a_variant_that_is_not_there_is_told_with_those_that_are(
    tmp_path: Path, label: str, found: str, expected: str, remedy: str
) -> None:
    with pytest.raises(UsageError) as caught:
        expanded(graph(tmp_path, PLAN + '[things.x]\ntext = ""\n'), label)
    (told,) = caught.value.problems
    assert told.found == found
    assert told.expected.startswith(expected)
    assert told.remedy.startswith(remedy)


def test_where_one_is_wanted_the_variants_are_listed(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        graph(tmp_path, PLAN).declaration(Label.parse("//p:plan[gpu=L4]"))
    (told,) = caught.value.problems
    assert told.found == "//p:plan[gpu=L4] means 2 targets"
    assert told.expected == (
        "one of: //p:plan[gpu=L4,precision=fp16], //p:plan[gpu=L4,precision=fp32]"
    )


def test_a_part_of_the_parameters_is_enough_where_it_means_one(tmp_path: Path) -> None:
    text = PLAN.replace(', precision = ["fp16", "fp32"]', ', precision = ["fp16"]')
    found = graph(tmp_path, text).declaration(Label.parse("//p:plan[gpu=L4]"))
    assert str(found.label) == "//p:plan[gpu=L4,precision=fp16]"


def test_a_reference_from_outside_means_all_variants(tmp_path: Path) -> None:
    found = meant(tmp_path, PLAN + '[things.user]\ntext = ""\nneeds = [":plan[gpu=L4]"]\n')
    assert found == ["//p:plan[gpu=L4,precision=fp16]", "//p:plan[gpu=L4,precision=fp32]"]
    found = meant(tmp_path, PLAN + '[things.user]\ntext = ""\nfiles = [":plan/out"]\n')
    assert len(found) == 4


USER = """
[things.user]
text = ""
matrix = { gpu = ["H100"], other = ["o"] }
"""


@pytest.mark.parametrize(
    "reference",
    ['needs = [":plan"]', 'best = "plan"', 'best = ":plan"', 'file = ":plan"', 'needs = [":all"]'],
)
def test_variants_refer_to_those_that_agree_with_them(tmp_path: Path, reference: str) -> None:
    found = meant(tmp_path, PLAN + USER + reference, "//p:user[gpu=H100,other=o]")
    assert found == ["//p:plan[gpu=H100,precision=fp16]", "//p:plan[gpu=H100,precision=fp32]"]


def test_equal_matrices_pair_their_variants(tmp_path: Path) -> None:
    text = (
        '[things.plan]\ntext = ""\nmatrix = { n = [1, 2] }\n'
        '[things.user]\ntext = ""\nmatrix = { n = [1, 2] }\nbest = ":plan"\n'
    )
    assert meant(tmp_path, text, "//p:user[n=2]") == ["//p:plan[n=2]"]


@pytest.mark.parametrize(
    "reference", ['needs = [":plan[gpu=L4]"]', 'best = "plan[gpu=L4]"', 'file = ":plan[gpu=L4]/x"']
)
def test_what_a_reference_says_itself_wins(tmp_path: Path, reference: str) -> None:
    found = meant(tmp_path, PLAN + USER + reference, "//p:user[gpu=H100,other=o]")
    assert found == ["//p:plan[gpu=L4,precision=fp16]", "//p:plan[gpu=L4,precision=fp32]"]


def test_a_parameter_in_a_reference_names_the_variant(tmp_path: Path) -> None:
    text = PLAN + USER + 'file = ":plan[gpu={matrix.gpu},precision=fp16]/out"\n'
    found = meant(tmp_path, text, "//p:user[gpu=H100,other=o]")
    assert found == ["//p:plan[gpu=H100,precision=fp16]"]


@pytest.mark.parametrize("reference", ['needs = [":plan"]', 'best = "plan"', 'file = ":plan"'])
def test_a_reference_that_no_variant_agrees_with_is_told(tmp_path: Path, reference: str) -> None:
    text = PLAN + USER.replace("H100", "A100") + reference
    told = refused(tmp_path, text, "//p:user[gpu=A100,other=o]")
    assert told.found == "//p:plan has no variant that agrees with //p:user[gpu=A100,other=o]"
    assert told.line == 9


def test_a_target_that_needs_its_own_name_needs_itself(tmp_path: Path) -> None:
    text = '[things.user]\ntext = ""\nmatrix = { n = [1, 2] }\nneeds = [":user"]\n'
    told = refused(tmp_path, text, "//p:user[n=1]")
    assert told.found == "a cycle: //p:user[n=1] → //p:user[n=1]"


def test_all_may_be_the_name_of_a_target_with_a_matrix(tmp_path: Path) -> None:
    text = PLAN.replace("plan", "all") + '[things.user]\ntext = ""\nneeds = [":all"]\n'
    found = meant(tmp_path, text + '[things.x]\ntext = ""\n')
    assert len(found) == 4
    assert all(label.startswith("//p:all[") for label in found)


def test_the_schema_takes_parameters_where_numbers_stand(tmp_path: Path) -> None:
    schema = graph(tmp_path, "").manifests.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    good = {"text": "x", "size": "{matrix.n}", "ratio": "{matrix.n}", "matrix": {"n": [1, "a"]}}
    assert validator.is_valid({"things": {"a": good}})
    assert validator.is_valid({"things": {"a": {"text": "x", "size": 1}}})
    assert not validator.is_valid({"things": {"a": {"text": "x", "size": "one"}}})
    assert not validator.is_valid({"things": {"a": {"text": "x", "matrix": {"n": []}}}})
    assert not validator.is_valid({"things": {"a": {"text": "x", "matrix": {"n": [{}]}}}})
