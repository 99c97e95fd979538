"""Labels and target patterns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonbuild.errors import UsageError
from tritonbuild.label import EXPECTED_NAME, Label, Pattern, check_name, check_package

names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.+=,@~-]{0,8}", fullmatch=True)
packages = st.lists(names, max_size=4).map("/".join)
labels = st.builds(Label, packages, names)


@pytest.mark.parametrize(
    ("text", "package", "name"),
    [
        ("//models/vision:densenet", "models/vision", "densenet"),
        ("//models/vision", "models/vision", "vision"),
        ("//models", "models", "models"),
        ("//:pypi", "", "pypi"),
        (":digits", "here", "digits"),
        ("//a.b/c-d:e+f=g,h@i~j", "a.b/c-d", "e+f=g,h@i~j"),
        ("//1:_2", "1", "_2"),
        ("//a:plan[gpu=L4,batch=-1]", "a", "plan[gpu=L4,batch=-1]"),
    ],
)
def test_a_label_names_a_package_and_a_target(text: str, package: str, name: str) -> None:
    assert Label.parse(text, "here") == Label(package, name)


@given(labels)
def test_what_a_label_is_written_as_means_that_label_everywhere(label: Label) -> None:
    assert Label.parse(str(label), "some/where") == label


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "//",
        "//:",
        ":",
        "densenet",
        "models:densenet",
        "./models",
        "//models:",
        "//models/:x",
        "//models//vision:x",
        "///models:x",
        "//models:a:b",
        "//models:a/b",
        "//models:..",
        "//../outside:x",
        "//models/../../outside:x",
        "//./models:x",
        "//mo dels:x",
        "//models:a b",
        "//models:-x",
        "//models:.x",
        "//models:x\n",
        "//models:x[",
        "//models:x[]",
        "//models:x[gpu]",
        "//models:x[gpu=]",
        "//models:x[=L4]",
        "//models:x[gpu=L4",
        "//models:x[gpu=L4]y",
        "//models:x[gpu=L4],",
        "//models:x[gpu=L4,]",
        "//models:x[gpu=L4,gpu=H100]",
        "//models:x[gpu=a=b]",
        "//models:x[gpu=a b]",
        "//models:x[1=L4]",
        "//models:[gpu=L4]",
        "//models[gpu=L4]",
        "//mödels:x",
        ":*",
    ],
)
def test_what_is_no_label_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Label.parse(text, "here")


def test_a_bare_name_gets_a_hint() -> None:
    with pytest.raises(UsageError) as caught:
        Label.parse("densenet")
    (problem,) = caught.value.problems
    assert problem.found == "'densenet' is not a label"
    assert problem.expected == "//package:name, //package or :name"
    assert problem.remedy == "did you mean ':densenet'?"


def test_a_variant_has_the_name_of_its_target_and_parameters() -> None:
    label = Label.parse("//a:plan[gpu=L4,batch=8]")
    assert (label.base, label.variant) == ("plan", {"gpu": "L4", "batch": "8"})
    label = Label.parse("//a:x=1,y")
    assert (label.base, label.variant) == ("x=1,y", {})


@pytest.mark.parametrize(
    ("label", "includes"),
    [
        ("//a:plan", True),
        ("//a:plan[gpu=L4]", True),
        ("//a:plan[n=1,gpu=L4]", True),
        ("//a:plan[gpu=L4,n=1]", True),
        ("//a:plan[gpu=H100]", False),
        ("//a:plan[more=1]", False),
        ("//a:plan[gpu=L4,n=1,more=1]", False),
        ("//a:pla", False),
        ("//b:plan", False),
    ],
)
def test_a_label_includes_the_variants_that_agree_with_it(label: str, includes: bool) -> None:
    variant = Label.parse("//a:plan[gpu=L4,n=1]")
    assert Label.parse(label).includes(variant) is includes
    assert Pattern.parse(label).matches(variant) is includes


def test_a_bare_variant_gets_a_hint() -> None:
    with pytest.raises(UsageError) as caught:
        Label.parse("plan[gpu=L4]")
    assert caught.value.problems[0].remedy == "did you mean ':plan[gpu=L4]'?"


def test_an_error_says_which_names_are_good() -> None:
    with pytest.raises(UsageError) as caught:
        check_name("a b")
    assert caught.value.problems[0].expected == EXPECTED_NAME
    with pytest.raises(UsageError) as caught:
        check_package("a/../b")
    assert EXPECTED_NAME in caught.value.problems[0].expected


def test_the_root_package_is_empty() -> None:
    assert check_package("") == ""
    assert str(Label("", "pypi")) == "//:pypi"


def test_two_slashes_mean_the_root_of_the_nested_workspace() -> None:
    assert Label.parse("//b:x", "third/party/a", root="third/party") == Label("third/party/b", "x")
    assert Label.parse("//:x", "third/party/a", root="third/party") == Label("third/party", "x")
    assert Label.parse(":x", "third/party/a", root="third/party") == Label("third/party/a", "x")


@given(st.lists(labels))
def test_labels_sort_by_package_and_then_by_name(some: list[Label]) -> None:
    assert sorted(some) == sorted(some, key=lambda label: (label.package, label.name))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("//models:digits", "//models:digits"),
        ("//models", "//models:models"),
        ("//models:all", "//models:all"),
        ("//models/...", "//models/..."),
        ("//...", "//..."),
        (":digits", "//here:digits"),
        (":all", "//here:all"),
        ("...", "//here/..."),
        ("./...", "//here/..."),
        ("below/...", "//here/below/..."),
        ("-//models:digits", "-//models:digits"),
        ("-//models/...", "-//models/..."),
        ("-:all", "-//here:all"),
        ("-...", "-//here/..."),
    ],
)
def test_a_pattern_is_written_in_full(text: str, written: str) -> None:
    assert str(Pattern.parse(text, "here")) == written


def test_three_dots_behind_a_name_are_part_of_it() -> None:
    assert Pattern.parse("//a/b...") == Pattern("a/b...", "b...")


@pytest.mark.parametrize(
    "text",
    ["", "-", "--//a:b", "//../...", "/...", "//a//...", "a", "a...", "//....", "//a/.../b"],
)
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Pattern.parse(text)


def test_patterns_of_a_nested_workspace_begin_at_its_root() -> None:
    assert str(Pattern.parse("//...", "nested/p", root="nested")) == "//nested/..."
    assert str(Pattern.parse("//p:all", "nested/p", root="nested")) == "//nested/p:all"
    assert str(Pattern.parse("//p/...", "nested", root="nested")) == "//nested/p/..."


@pytest.mark.parametrize(
    ("text", "matched"),
    [
        ("//a:x", {"//a:x"}),
        ("//a:all", {"//a:x", "//a:y"}),
        ("//a/...", {"//a:x", "//a:y", "//a/b:x"}),
        ("//...", {"//:x", "//a:x", "//a:y", "//a/b:x", "//ab:x"}),
        ("//:all", {"//:x"}),
    ],
)
def test_a_pattern_matches_targets_below_it_and_no_others(text: str, matched: set[str]) -> None:
    everything = ["//:x", "//a:x", "//a:y", "//a/b:x", "//ab:x"]
    pattern = Pattern.parse(text)
    assert {each for each in everything if pattern.matches(Label.parse(each))} == matched


@given(labels)
def test_the_pattern_of_everything_matches_every_label(label: Label) -> None:
    assert Pattern.parse("//...").matches(label)
    assert Pattern.parse(f"//{label.package}/..." if label.package else "//...").matches(label)
    assert Pattern.parse(f"//{label.package}:all").matches(label)
    assert Pattern.parse("-//...").matches(label)


def test_only_a_single_target_that_is_added_is_a_label() -> None:
    asked = ["//a:x", "//a", "//a:all", "//a/...", "-//a:x"]
    assert [Pattern.parse(text).is_label for text in asked] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (":mm[size=s", ":mm[size=s]"),
        (":mm[size=s,", ":mm[size=s]"),
        (":mm[size=s, n=1]", ":mm[size=s,n=1]"),
        ("n=1]", ":name[parameter=value]"),
        (":mm[", ":name[parameter=value]"),
        ("[ [", ":name[parameter=value]"),
    ],
)
def test_a_label_that_a_shell_broke_is_to_be_quoted(text: str, remedy: str) -> None:
    with pytest.raises(UsageError) as caught:
        Label.parse(text)
    told = caught.value.problems[0].remedy
    assert told == f"quote the label, and put no space in it: '{remedy}'"


@pytest.mark.parametrize("text", ["model_repository:double", "models/vision", "/models:x"])
def test_a_label_without_its_slashes_gets_a_hint(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Label.parse(text)
    assert caught.value.problems[0].remedy == f"did you mean '//{text.lstrip('/')}'?"


@pytest.mark.parametrize("text", ["//...", "//a/...", "..."])
def test_where_one_is_wanted_a_pattern_is_told(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Label.parse(text)
    (problem,) = caught.value.problems
    assert problem.found == f"{text!r} is a pattern"
    assert problem.expected.startswith("one label")
