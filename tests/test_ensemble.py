"""Ensembles: steps, what is derived from members, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts.models import Asked, ask, io, onnx_add, scale, tree_of_models
from parts.tree import Tree
from tritonbuild.rules.servable import ServableInfo

from tritonbuild.errors import ExitCode, Problem
from tritonbuild.events import Status
from tritonbuild.label import Label

COMPLETES = """
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "x", "data_type": "TYPE_FP32", "dims": [3]})
        config.add_output({"name": "y", "data_type": "TYPE_FP32", "dims": [3]})
        config.set_max_batch_size(4)
        return config
"""
CHAIN = f"""
[models.doubles]
backend = "python"
versions = {{ 1 = "doubles" }}
[models.doubles.config]
max_batch_size = 4
{io(3)}
[models.adds]
backend = "onnxruntime"
versions = {{ 1 = "adds.onnx" }}
config.max_batch_size = 8
[models.halves]
backend = "python"
versions = {{ 1 = "halves" }}
[models.chain]
steps = [
  {{ model = ":doubles", inputs = {{ x = "in" }}, outputs = {{ y = "twice" }} }},
  {{ model = ":adds", inputs = {{ y = "twice" }}, outputs = {{ z = "more" }} }},
  {{ model = ":halves", inputs = {{ x = "more" }}, outputs = {{ y = "out" }} }},
]
"""


@pytest.fixture
def tree(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    files: dict[str, str | bytes] = {
        "p/triton.toml": CHAIN,
        "p/doubles/model.py": scale(2),
        "p/halves/model.py": scale(0.5) + COMPLETES,
        "p/adds.onnx": onnx_add(1, "batch", 3),
    }
    return tree_of_models(tmp_path / "workspace", shared_cache, monkeypatch, files)


def change(tree: Tree, old: str, new: str) -> None:
    assert old in CHAIN
    tree.write({"p/triton.toml": CHAIN.replace(old, new)})


def wrong(tree: Tree, exit_code: ExitCode = ExitCode.BUILD_FAILED) -> list[Problem]:
    code, problems = tree.problems("//p:chain")
    assert code == exit_code
    return problems


def test_a_server_runs_steps_whose_ensemble_declares_nothing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def body(server: Asked) -> None:
        assert server.infer("chain", "in", [1, 2, 3], rows=1) == {"out": [1.5, 2.5, 3.5]}
        config = server.json("GET", "/v2/models/chain/config")
        assert [(t["name"], t["dims"]) for t in config["input"]] == [("in", [-1, 3])]
        assert [(t["name"], t["dims"]) for t in config["output"]] == [("out", [-1, 3])]

    ask(tree, "//p:chain", monkeypatch, body)


@pytest.mark.parametrize("name", ["größe 1..2", "a%20b?"])
def test_a_name_may_have_spaces_and_letters_of_any_kind(tree: Tree, name: str) -> None:
    loads = '[verifications.loads]\ntarget = ":outer"\n'
    outer = """
    [models.outer]
    steps = [{ model = ":chain", inputs = { in = "a" }, outputs = { out = "b" } }]
    """
    tree.write({"p/triton.toml": f'{CHAIN}name = "{name}"\n{outer}{loads}'})
    report = tree.build("//p:loads", test=True)
    assert [target.status for target in report.targets] == [Status.PASSED]


def test_an_ensemble_that_batches_has_its_members_dims(tree: Tree) -> None:
    tree.write({"p/triton.toml": CHAIN + "config.max_batch_size = 2"})
    tree.build("//p:chain")
    config = tree.made("//p:chain")["chain/config.pbtxt"].decode()
    assert config.count("dims: 3") == 2
    assert "dims: -1" not in config


def test_its_folder_holds_its_members_too(tree: Tree) -> None:
    tree.build("//p:chain")
    assert {path.split("/")[0] for path in tree.made("//p:chain")} == {
        "adds",
        "chain",
        "doubles",
        "halves",
    }
    assert "chain/1/" in tree.made("//p:chain")


def test_what_it_provides_names_the_ensemble_and_holds_all(tree: Tree) -> None:
    held = tree.plan("//p:chain").targets[Label("p", "chain")].get(ServableInfo)
    assert held is not None
    assert [model.name for model in held.models] == ["adds", "chain", "doubles", "halves"]
    assert [model.name for model in held.named] == ["chain"]


def test_an_ensemble_of_an_ensemble_takes_all_members_along(tree: Tree) -> None:
    outer = """
    [models.outer]
    steps = [{ model = ":chain", inputs = { in = "a" }, outputs = { out = "b" } }]
    """
    tree.write({"p/triton.toml": CHAIN + outer})
    tree.build("//p:outer")
    config = tree.made("//p:outer")["outer/config.pbtxt"].decode()
    assert 'name: "a"' in config
    assert "adds/config.pbtxt" in tree.made("//p:outer")


def test_only_a_member_that_nobody_else_knows_is_asked(tree: Tree) -> None:
    actions = tree.plan("//p:chain").targets[Label("p", "chain")].actions
    assert sorted(id.name for id in actions if id.name.startswith("ask")) == ["ask //p:halves"]


def test_an_unknown_tensor_of_a_member_is_told_at_its_step(tree: Tree) -> None:
    change(tree, '{ z = "more" }', '{ q = "more" }')
    (problem, *_) = wrong(tree)
    line = CHAIN.split("\n").index("[models.chain]") + 4
    assert (problem.file, problem.line) == ("p/triton.toml", line)
    assert problem.key.startswith("models.chain.steps[1].outputs")


def test_members_that_do_not_fit_are_told_at_the_step(tree: Tree) -> None:
    tree.write({"p/adds.onnx": onnx_add(1, "batch", 4)})
    (problem, *_) = wrong(tree)
    assert problem.key.startswith("models.chain.steps[1].inputs")
    assert "shape" in problem.found


def test_steps_with_a_backend_are_refused(tree: Tree) -> None:
    said = 'backend = "python"\nversions = { 1 = "halves" }'
    change(tree, "[models.chain]", f"[models.chain]\n{said}")
    (problem,) = wrong(tree, ExitCode.ANALYSIS_FAILED)
    assert (problem.key, problem.found) == ("models.chain.steps", "`backend` and `steps`")


@pytest.mark.parametrize("key", ["versions", "requirements", "warmup", "bls"])
def test_what_an_ensemble_does_not_have_is_refused(tree: Tree, key: str) -> None:
    values = {
        "versions": '{ 1 = "halves" }',
        "requirements": '["numpy"]',
        "warmup": '"halves"',
        "bls": '[":adds"]',
    }
    change(tree, "[models.chain]", f"[models.chain]\n{key} = {values[key]}")
    (problem,) = wrong(tree, ExitCode.ANALYSIS_FAILED)
    assert (problem.key, problem.found) == (f"models.chain.{key}", f"{key} of an ensemble")


def test_a_model_with_neither_backend_nor_steps_is_refused(tree: Tree) -> None:
    tree.write({"p/triton.toml": "[models.chain]\n"})
    (problem,) = wrong(tree, ExitCode.ANALYSIS_FAILED)
    assert problem.found == "neither `backend` nor `steps`"


def test_a_backend_in_an_ensemble_s_config_is_refused(tree: Tree) -> None:
    tree.write({"p/triton.toml": CHAIN + 'config.backend = "python"'})
    (problem,) = wrong(tree, ExitCode.ANALYSIS_FAILED)
    assert problem.key == "models.chain.config.backend"


def test_other_steps_in_the_config_are_refused(tree: Tree) -> None:
    config = 'ensemble_scheduling { step { model_name: "adds" } }'
    tree.write({"p/c.pbtxt": config, "p/triton.toml": CHAIN + 'config_file = "c.pbtxt"'})
    (problem,) = wrong(tree)
    assert problem.found == "other steps than the attribute `steps` says"


def test_a_member_that_nobody_knows_and_nobody_can_ask_is_told(alone: Tree) -> None:
    (problem, *_) = wrong(alone)
    assert problem.key == "models.chain.steps[2].outputs"
    assert problem.found.startswith("the outputs of 'halves' are not known")
    assert "`config.output`" in problem.remedy
    assert "`distribution`" in problem.remedy


@pytest.fixture
def alone(tree: Tree) -> Tree:
    """Without a distribution."""
    manifest = (tree.root / "triton.toml").read_text()
    tree.write({"triton.toml": manifest.replace('distribution = "//:pypi"\n', "")})
    return tree


OF_ONE = """
[models.chain]
steps = [{ model = ":member", inputs = { x = "in" }, outputs = { y = "out" } }]
[models.chain.config]
input = [{ name = "in", data_type = "FP32", dims = [3] }]
output = [{ name = "out", data_type = "FP32", dims = [3] }]
[models.member]
"""


def test_an_ensemble_that_says_its_own_needs_no_server_for_its_members(alone: Tree) -> None:
    python = 'backend = "python"\nversions = { 1 = "halves" }\n'
    alone.write({"p/triton.toml": OF_ONE + python})
    assert alone.build("//p:chain").exit_code == ExitCode.OK


def test_what_only_onnxruntime_knows_of_a_member_is_not_judged(tree: Tree) -> None:
    from onnx import TensorProto, helper

    x, y = (
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in [("x", [3]), ("y", None)]
    )
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", [x], [y])
    opsets = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    onnx = 'backend = "onnxruntime"\nversions = { 1 = "relu.onnx" }\n'
    loads = '[verifications.loads]\ntarget = ":chain"\n'
    tree.write({"p/relu.onnx": model, "p/triton.toml": OF_ONE + onnx + loads})
    report = tree.build("//p:loads", test=True)
    assert [target.status for target in report.targets] == [Status.PASSED]


def test_a_member_s_config_file_may_leave_its_tensors_out(tree: Tree) -> None:
    said = 'versions = { 1 = "halves" }'
    change(tree, said, f'{said}\nconfig_file = "c.pbtxt"')
    tree.write({"p/c.pbtxt": 'backend: "python"'})
    assert tree.build("//p:chain").exit_code == ExitCode.OK
    assert "dims: 3" in tree.made("//p:chain")["chain/config.pbtxt"].decode()


def test_a_cycle_is_told(tree: Tree) -> None:
    change(tree, 'versions = { 1 = "halves" }', 'versions = { 1 = "halves" }\nbls = [":chain"]')
    (problem,) = wrong(tree, ExitCode.USAGE)
    assert problem.found == "a cycle: //p:chain → //p:halves → //p:chain"


def test_two_members_of_one_name_are_refused(tree: Tree) -> None:
    change(tree, "[models.halves]", '[models.halves]\nname = "adds"')
    (problem,) = wrong(tree, ExitCode.ANALYSIS_FAILED)
    assert problem.key == "models.chain.steps"
    assert problem.found.startswith("two models are called 'adds': //p:")


def test_it_is_made_of_its_members_configs_and_not_of_their_files(tree: Tree) -> None:
    target = tree.plan("//p:chain").targets[Label("p", "chain")]
    (made,) = [action for action in target.actions.values() if "model" in action.outputs]
    assert set(made.inputs) == {"members/adds", "members/doubles", "members/halves"}
    assert "config.json" in made.outputs
