"""The `repositories` rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts.tree import Tree
from tritonbuild.rules.servable import ServableInfo

from tritonbuild.errors import ExitCode
from tritonbuild.label import Label

ROOT = """\
[workspace]
name = "test"
[backends.square]
[repositories.all]
models = ["//..."]
"""
IO = """\
input = [{ name = "x", data_type = "FP32", dims = [3] }]
output = [{ name = "y", data_type = "FP32", dims = [3] }]
"""
MODEL = '[models.{}]\nbackend = "square"\nversions = {{ 1 = {{}} }}\n'


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(tmp_path / "cache"))
    tree = Tree(tmp_path / "workspace")
    tree.write({"triton.toml": ROOT})
    return tree


def test_it_holds_each_model_under_triton_s_name_of_it(tree: Tree) -> None:
    tree.write(
        {"a/triton.toml": MODEL.format("one"), "b/triton.toml": f'{MODEL.format("x")}name = "two"'}
    )
    tree.build("//:all")
    assert set(tree.made("//:all")) == {
        "one/1/",
        "one/config.pbtxt",
        "two/1/",
        "two/config.pbtxt",
    }


def test_it_takes_labels_and_patterns_each_model_once(tree: Tree) -> None:
    tree.write(
        {
            "a/triton.toml": MODEL.format("one") + MODEL.format("two"),
            "b/triton.toml": '[repositories.some]\nmodels = ["//a:two", "//a:all"]',
        }
    )
    target = tree.plan("//b:some").targets[Label("b", "some")]
    servable = target.get(ServableInfo)
    assert servable is not None
    assert [str(model.label) for model in servable.models] == ["//a:one", "//a:two"]


def test_it_holds_members_and_callees_too(tree: Tree) -> None:
    square = MODEL.format("square") + "[models.square.config]\n" + IO
    steps = '[{ model = ":square", inputs = { x = "a" }, outputs = { y = "b" } }]'
    tree.write(
        {
            "triton.toml": ROOT.replace('["//..."]', '["//a:calls", "//a:chain"]'),
            "a/triton.toml": f"{square}[models.chain]\nsteps = {steps}\n"
            f'{MODEL.format("calls")}bls = [":called"]\n'
            f'{MODEL.format("called")}bls = [":last"]\n{MODEL.format("last")}',
        }
    )
    tree.build("//:all")
    held = {path.partition("/")[0] for path in tree.made("//:all")}
    assert held == {"called", "calls", "chain", "last", "square"}
    servable = tree.plan("//:all").targets[Label("", "all")].get(ServableInfo)
    assert servable is not None
    assert [model.name for model in servable.named] == ["calls", "chain"]


def test_a_member_of_the_name_of_another_model_is_refused(tree: Tree) -> None:
    called = f'{MODEL.format("one")}bls = ["//b:x"]\n{MODEL.format("two")}'
    tree.write({"a/triton.toml": called, "b/triton.toml": f'{MODEL.format("x")}name = "two"'})
    tree.write({"triton.toml": ROOT.replace('["//..."]', '["//a:all"]')})
    code, (problem,) = tree.problems("//:all")
    assert code == ExitCode.ANALYSIS_FAILED
    assert problem.found == (
        "two models are called 'two': //a:two (a/triton.toml) and //b:x (b/triton.toml)"
    )


def test_models_that_call_one_another_are_refused(tree: Tree) -> None:
    tree.write(
        {
            "a/triton.toml": f'{MODEL.format("one")}bls = [":two"]\n'
            f'{MODEL.format("two")}bls = [":one"]\n'
        }
    )
    code, (problem,) = tree.problems("//:all")
    assert code == ExitCode.USAGE
    assert problem.found == "a cycle: //a:one → //a:two → //a:one"
    assert problem.key == "models.one.bls[0]"


def test_it_needs_no_action_of_its_own(tree: Tree) -> None:
    tree.write({"a/triton.toml": MODEL.format("one")})
    assert tree.plan("//:all").targets[Label("", "all")].actions == {}


def test_two_models_of_one_name_are_refused(tree: Tree) -> None:
    tree.write(
        {"a/triton.toml": MODEL.format("one"), "b/triton.toml": f'{MODEL.format("x")}name = "one"'}
    )
    code, (problem,) = tree.problems("//:all")
    assert code == ExitCode.ANALYSIS_FAILED
    assert (problem.label, problem.key) == ("//:all", "repositories.all.models")
    assert problem.found == (
        "two models are called 'one': //a:one (a/triton.toml) and //b:x (b/triton.toml)"
    )


@pytest.mark.parametrize("models", ["[]", '["//:all"]'])
def test_a_repository_without_models_is_refused(tree: Tree, models: str) -> None:
    tree.write({"triton.toml": ROOT.replace('["//..."]', models)})
    code, (problem,) = tree.problems("//:all")
    assert code == ExitCode.ANALYSIS_FAILED
    assert problem.found == "no model"


def test_a_label_of_something_else_is_refused(tree: Tree) -> None:
    tree.write({"triton.toml": ROOT.replace("//...", ":square")})
    code, (problem,) = tree.problems("//:all")
    assert code == ExitCode.USAGE
    assert problem.found == "//:square is one of [backends]"
