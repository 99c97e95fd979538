"""Model files as a build sees them: what is wrong with one is told at its place in the manifest."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts.onnx_models import identity
from parts.tree import Tree

from tritonbuild.errors import ExitCode, Problem

ROOT = '[workspace]\nname = "test"\n[backends.onnxruntime]\n[backends.pytorch]\n[backends.fil]\n'
ONNX = identity(["N", 3], ["N", 3]).SerializeToString()


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(tmp_path / "cache"))
    tree = Tree(tmp_path / "workspace")
    tree.write({"triton.toml": ROOT})
    return tree


def declare(tree: Tree, text: str, content: bytes, file: str = "m.onnx") -> None:
    tree.write({"p/triton.toml": f"[models.m]\n{text}\n"})
    (tree.root / "p" / file).write_bytes(content)


def wrong(tree: Tree, text: str, content: bytes, file: str = "m.onnx") -> Problem:
    declare(tree, text, content, file)
    code, (problem,) = tree.problems("//p:m")
    assert code == ExitCode.BUILD_FAILED
    assert (problem.label, problem.file) == ("//p:m", "p/triton.toml")
    return problem


RUN = 'backend = "onnxruntime"\nversions = { 1 = "m.onnx" }'


def test_a_config_is_completed_from_the_file(tree: Tree) -> None:
    declare(tree, RUN, ONNX)
    tree.build("//p:m")
    assert tree.made("//p:m")["m/config.pbtxt"] == b'name: "m"\nbackend: "onnxruntime"\n'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (ONNX[:-3], "cut short"),
        (b"", "the file is empty"),
        (b"not a model", "ONNX model"),
        (b"<!doctype html><html></html>", "HTML page"),
    ],
)
def test_a_file_that_is_no_model_is_told_at_its_version(
    tree: Tree, content: bytes, told: str
) -> None:
    problem = wrong(tree, RUN, content)
    assert problem.key == "models.m.versions.1"
    assert problem.line == 3
    assert told in problem.found


def test_a_lone_file_with_data_elsewhere_is_told_though_it_lies_there(tree: Tree) -> None:
    """What counts is the version, not what happens to lie beside the file in the workspace."""
    proto = identity(["N", 3], ["N", 3])
    tensor = proto.graph.initializer.add(name="w", data_type=1, dims=[2], data_location=1)
    tensor.external_data.add(key="location", value="w.bin")
    tree.write({"p/w.bin": "12345678"})
    problem = wrong(tree, RUN, proto.SerializeToString())
    assert "'w.bin', which is not beside the model's file" in problem.found
    both = 'versions = { 1 = { "model.onnx" = "m.onnx", "w.bin" = "w.bin" } }'
    declare(tree, f'backend = "onnxruntime"\n{both}', proto.SerializeToString())
    tree.build("//p:m")


def test_what_contradicts_the_model_is_told_at_its_key(tree: Tree) -> None:
    io = 'data_type = "FP32"'
    text = f'{RUN}\nconfig.input = [{{ name = "x", {io}, dims = [-1, 4] }}]\n'
    text += f'config.output = [{{ name = "y", {io}, dims = [-1, 3] }}]'
    problem = wrong(tree, text, ONNX)
    assert problem.key == "models.m.config.input[0].dims"
    assert problem.found == "input 'x' has shape [-1,4]"


def test_a_model_that_cannot_batch_is_told(tree: Tree) -> None:
    fixed = identity([1, 3], [1, 3]).SerializeToString()
    problem = wrong(tree, f"{RUN}\nconfig.max_batch_size = 8", fixed)
    assert problem.key == "models.m.config.max_batch_size"


def test_weights_without_a_program_are_told(tree: Tree) -> None:
    text = 'backend = "pytorch"\nversions = { 1 = "m.pt" }'
    problem = wrong(tree, text, b"\x80\x02}q\x00.", "m.pt")
    assert "weights without a program" in problem.found
