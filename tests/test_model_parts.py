"""What a model's folder holds beside its versions, and how that is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts.models import Asked, ask, io, onnx_add, scale, tree_of_models
from parts.tree import Tree
from tritonbuild.rules.servable import ModelInfo

from tritonbuild.errors import ExitCode, Problem
from tritonbuild.label import Label

PYTHON = 'backend = "python"\nversions = { 1 = "code" }\n'
ONNX = 'backend = "onnxruntime"\nversions = { 1 = "adds.onnx" }\n'


@pytest.fixture
def tree(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    files: dict[str, str | bytes] = {
        "p/code/model.py": scale(2),
        "p/adds.onnx": onnx_add(1, "batch", 3),
        "p/names.txt": "one\ntwo\nthree\n",
        "p/other/names.txt": "eins\nzwei\ndrei\n",
        "p/h0.bin": b"\0" * 4,
    }
    return tree_of_models(tmp_path / "workspace", shared_cache, monkeypatch, files)


def declare(tree: Tree, text: str) -> None:
    tree.write({"p/triton.toml": f"[models.m]\n{text}\n"})


def made(tree: Tree, text: str) -> dict[str, bytes]:
    declare(tree, text)
    tree.build("//p:m")
    return tree.made("//p:m")


def wrong(tree: Tree, text: str, exit_code: ExitCode = ExitCode.BUILD_FAILED) -> Problem:
    """The only problem."""
    declare(tree, text)
    code, (problem,) = tree.problems("//p:m")
    assert code == exit_code
    assert problem.label == "//p:m"
    return problem


def test_labels_are_stored_and_named_in_the_config(tree: Tree) -> None:
    files = made(tree, f'{PYTHON}labels = {{ y = "names.txt" }}\n[models.m.config]\n{io(3)}')
    assert files["m/names.txt"] == b"one\ntwo\nthree\n"
    assert b'label_filename: "names.txt"' in files["m/config.pbtxt"]


def test_labels_of_outputs_that_stand_in_the_model_s_file_declare_them(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = made(tree, f'{ONNX}labels = {{ z = "names.txt" }}')["m/config.pbtxt"].decode()
    assert 'name: "y"' in config
    assert 'label_filename: "names.txt"' in config

    def body(server: Asked) -> None:
        tensor = {"name": "y", "shape": [1, 3], "datatype": "FP32", "data": [5, 9, 7]}
        output = {"name": "z", "parameters": {"classification": 1}}
        request = {"inputs": [tensor], "outputs": [output]}
        answer = server.json("POST", "/v2/models/m/infer", request)
        assert answer["outputs"][0]["data"] == ["10.000000:1:two"]

    ask(tree, "//p:m", monkeypatch, body)


def test_labels_of_an_unknown_output_are_told_at_their_line(tree: Tree) -> None:
    problem = wrong(tree, f'{PYTHON}labels = {{ yy = "names.txt" }}\n[models.m.config]\n{io(3)}')
    assert (problem.key, problem.line) == ("models.m.labels.yy", 4)
    assert problem.found == "the model has no output 'yy'"
    assert problem.remedy == "did you mean 'y'?"


def test_labels_of_outputs_that_only_a_server_knows_are_refused(tree: Tree) -> None:
    tree.write({"p/code/model.py": scale(2) + "    auto_complete_config = staticmethod(id)\n"})
    problem = wrong(tree, f'{PYTHON}labels = {{ y = "names.txt" }}')
    assert problem.found == "labels, but the model's outputs are only known to a running server"


def test_two_label_files_of_one_name_are_refused(tree: Tree) -> None:
    text = f'{PYTHON}labels = {{ y = "names.txt", z = "other/names.txt" }}'
    problem = wrong(tree, text, ExitCode.ANALYSIS_FAILED)
    assert (problem.key, problem.found) == ("models.m.labels.z", "two files called 'names.txt'")


def test_two_outputs_may_share_a_label_file(tree: Tree) -> None:
    outputs = """
    input = [{ name = "x", data_type = "FP32", dims = [3] }]
    output = [
      { name = "y", data_type = "FP32", dims = [3] },
      { name = "z", data_type = "FP32", dims = [3] },
    ]
    """
    files = made(
        tree,
        f'{PYTHON}labels = {{ y = "names.txt", z = "names.txt" }}\n[models.m.config]\n{outputs}',
    )
    assert files["m/config.pbtxt"].count(b"label_filename") == 2


def test_other_files_lie_where_they_are_said_to(tree: Tree) -> None:
    text = f'{PYTHON}files = {{ "initial_state/h0" = "h0.bin", "näme 1" = "names.txt" }}'
    files = made(tree, f"{text}\n[models.m.config]\n{io(3)}")
    assert files["m/initial_state/h0"] == b"\0" * 4
    assert files["m/näme 1"] == b"one\ntwo\nthree\n"


@pytest.mark.parametrize("path", ["../x", "/x", "a/../b", "", "./x"])
def test_a_file_outside_the_model_is_refused(tree: Tree, path: str) -> None:
    problem = wrong(tree, f'{PYTHON}files = {{ "{path}" = "h0.bin" }}', ExitCode.ANALYSIS_FAILED)
    assert problem.found == f"{path!r} is not a path below the model's folder"


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("1/x", "versions"),
        ("2", "versions"),
        ("2/x", "versions"),
        ("3d/x", "versions"),
        ("config.pbtxt", "config"),
    ],
)
def test_a_file_in_the_place_of_something_else_is_refused(tree: Tree, path: str, what: str) -> None:
    problem = wrong(tree, f'{PYTHON}files = {{ "{path}" = "h0.bin" }}', ExitCode.ANALYSIS_FAILED)
    assert problem.found == f"{path!r} is the place of the model's {what}"
    assert problem.remedy == f"say it under `{what}`"


def test_a_file_inside_another_is_refused(tree: Tree) -> None:
    text = f'{PYTHON}files = {{ "a" = "h0.bin", "a/b" = "h0.bin" }}'
    problem = wrong(tree, text, ExitCode.ANALYSIS_FAILED)
    assert problem.found == "'a/b' lies inside 'a', which `files.a` puts there"


@pytest.mark.parametrize("configs", ["configs", "configs/*.pbtxt"])
def test_other_configs_are_stored_as_they_are(tree: Tree, configs: str) -> None:
    other = f'# fast\nbackend: "python" {PBTXT}\n'
    tree.write({"p/configs/fast.pbtxt": other})
    files = made(tree, f'{PYTHON}configs = "{configs}"\n[models.m.config]\n{io(3)}')
    assert files["m/configs/fast.pbtxt"] == other.encode()


PBTXT = (
    'input { name: "x" data_type: TYPE_FP32 dims: 3 }'
    ' output { name: "y" data_type: TYPE_FP32 dims: 3 }'
)


def test_a_broken_other_config_is_told_by_its_line(tree: Tree) -> None:
    tree.write({"p/configs/fast.pbtxt": "\nmax_batch_sise: 8\n"})
    problem = wrong(tree, f'{PYTHON}configs = "configs/*"\n[models.m.config]\n{io(3)}')
    assert (problem.file, problem.line) == ("p/configs/fast.pbtxt", 2)
    assert problem.remedy == "did you mean 'max_batch_size'?"


def test_other_configs_may_open_another_file(tree: Tree) -> None:
    tensor = '{{ name: "{}" data_type: TYPE_FP32 dims: {} }}'
    larger = f"max_batch_size: 2 input {tensor.format('y', 9)} output {tensor.format('z', 9)}"
    name = 'backend: "onnxruntime" default_model_filename: "large.onnx"'
    tree.write({"p/large.onnx": onnx_add(1, "batch", 9), "p/c/large.pbtxt": f"{name} {larger}"})
    both = '{ "model.onnx" = "adds.onnx", "large.onnx" = "large.onnx" }'
    text = ONNX.replace('"adds.onnx"', both) + 'configs = "c"'
    assert "m/configs/large.pbtxt" in made(tree, text)
    tree.write({"p/c/large.pbtxt": f"{name} {larger.replace('9', '8')}"})
    _, problems = tree.problems("//p:m")
    assert {(problem.file, problem.line) for problem in problems} == {("p/c/large.pbtxt", 1)}


def test_a_backend_beside_the_model_needs_none_of_the_distribution(tree: Tree) -> None:
    files = '"libtriton_own.so" = "h0.bin"'
    tree.write({"triton.toml": (tree.root / "triton.toml").read_text() + "[backends.own]\n"})
    declare(tree, f'backend = "own"\nversions = {{ 1 = {{}} }}\nfiles = {{ {files} }}')
    info = tree.plan("//p:m").targets[Label("p", "m")].get(ModelInfo)
    assert info is not None
    assert info.brings_backend


@pytest.mark.parametrize("table", ['{ "libtriton_own.so" = "h0.bin" }', '"lib"'])
def test_a_backend_in_a_version_is_found_too(tree: Tree, table: str) -> None:
    manifest = (tree.root / "triton.toml").read_text()
    tree.write({"triton.toml": f"{manifest}[backends.own]\n", "p/lib/libtriton_own.so": b""})
    declare(tree, f'backend = "own"\nversions = {{ 1 = {table} }}')
    info = tree.plan("//p:m").targets[Label("p", "m")].get(ModelInfo)
    assert info is not None
    assert info.brings_backend


def test_a_saved_model_as_a_version_is_told_how_to_be_said(tree: Tree) -> None:
    manifest = (tree.root / "triton.toml").read_text()
    tree.write({"triton.toml": f"{manifest}[backends.tensorflow]\n", "p/tf/saved_model.pb": b""})
    problem = wrong(tree, 'backend = "tensorflow"\nversions = { 1 = "tf" }')
    assert problem.key == "models.m.versions.1"
    assert problem.remedy == 'say versions = { 1 = { "model.savedmodel" = … } } of that folder'


def test_a_field_that_the_release_does_not_know_is_told(tree: Tree) -> None:
    metrics = "model_metrics = { metric_control = [] }"
    problem = wrong(tree, f"{PYTHON}[models.m.config]\n{metrics}\n{io(3)}")
    assert (problem.key, problem.line) == ("models.m.config.model_metrics", 5)
    assert problem.found == "Triton 2.51.0 does not know it"
    assert problem.expected.startswith("Triton 2.5")


def test_a_corrupt_model_is_told_at_its_version(tree: Tree) -> None:
    tree.write({"p/adds.onnx": b"\x08\x08\xff\xff"})
    problem = wrong(tree, ONNX)
    assert (problem.key, problem.file, problem.line) == ("models.m.versions.1", "p/triton.toml", 3)


def test_weights_that_stay_outside_a_version_are_missed(tree: Tree) -> None:
    """They lie beside the model in the workspace, and the server would not have them."""
    import onnx
    from onnx import numpy_helper

    model = onnx.ModelProto.FromString(onnx_add(1, 3))
    weights = numpy_helper.from_array(numpy_helper.to_array(model.graph.initializer[0]), "one")
    weights.data_location = onnx.TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="weights.bin")
    weights.ClearField("raw_data")
    model.graph.initializer[0].CopyFrom(weights)
    tree.write({"p/adds.onnx": model.SerializeToString(), "p/weights.bin": b"\0" * 4})
    assert "weights.bin" in wrong(tree, ONNX).found
    both = '{ "model.onnx" = "adds.onnx", "weights.bin" = "weights.bin" }'
    assert "m/1/weights.bin" in made(tree, ONNX.replace('"adds.onnx"', both))


def test_a_model_takes_those_that_it_calls_along(tree: Tree) -> None:
    tree.write({"p/triton.toml": f'[models.m]\n{PYTHON}bls = [":callee"]\n[models.callee]\n{ONNX}'})
    tree.build("//p:m")
    assert {path.split("/")[0] for path in tree.made("//p:m")} == {"m", "callee"}


CALLS = """\
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy().reshape(1, 3)
            called = pb_utils.InferenceRequest(
                model_name="callee", requested_output_names=["z"], inputs=[pb_utils.Tensor("y", x)]
            ).exec()
            z = pb_utils.get_output_tensor_by_name(called, "z").as_numpy().reshape(3)
            answers.append(pb_utils.InferenceResponse([pb_utils.Tensor("y", z)]))
        return answers
"""


def test_a_server_has_what_a_model_calls(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    model = f'{PYTHON}bls = [":callee"]\n[models.m.config]\n{io(3)}'
    tree.write(
        {"p/code/model.py": CALLS, "p/triton.toml": f"[models.m]\n{model}[models.callee]\n{ONNX}"}
    )

    def body(server: Asked) -> None:
        assert server.infer("m", "x", [1, 2, 3]) == {"y": [2, 3, 4]}

    ask(tree, "//p:m", monkeypatch, body)
