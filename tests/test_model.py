"""The `models` rule."""

from __future__ import annotations

from pathlib import Path

import pytest
from parts.onnx_models import identity
from parts.tree import Tree
from tritonbuild.rules.servable import ModelInfo, ServableInfo

from tritonbuild.errors import ExitCode, Problem
from tritonbuild.events import Status
from tritonbuild.label import Label

ROOT = """\
[workspace]
name = "test"
[backends.python]
[backends.onnxruntime]
[backends.openvino]
[backends.dali]
[backends.square]
"""
OPENVINO = """\
<net name="m" version="11">
  <layers>
    <layer id="0" name="x" type="Parameter" version="opset1">
      <data shape="1,3" element_type="f32" />
      <output><port id="0" precision="FP32" names="x"><dim>1</dim><dim>3</dim></port></output>
    </layer>
    <layer id="1" name="y" type="Result" version="opset1">
      <input><port id="0" precision="FP32"><dim>1</dim><dim>3</dim></port></input>
    </layer>
  </layers>
  <edges><edge from-layer="0" from-port="0" to-layer="1" to-port="0" /></edges>
</net>
"""
PYTHON = 'name: "m"\nbackend: "python"\n'


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tree:
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(tmp_path / "cache"))
    tree = Tree(tmp_path / "workspace")
    tree.write({"triton.toml": ROOT, "p/code/model.py": "# 1\n", "p/a.bin": "a", "p/b.bin": "b"})
    tree.write({"p/a.xml": OPENVINO, "p/a.onnx": identity([1, 3], [1, 3]).SerializeToString()})
    return tree


def declare(tree: Tree, text: str) -> None:
    """The package `p`, with the model `m`."""
    tree.write({"p/triton.toml": f"[models.m]\n{text}\n"})


def made(tree: Tree, text: str) -> dict[str, bytes]:
    """What a build makes of the model `m`."""
    declare(tree, text)
    tree.build("//p:m")
    return tree.made("//p:m")


def wrong(tree: Tree, text: str, exit_code: ExitCode) -> Problem:
    """The one problem of the model `m`."""
    declare(tree, text)
    code, (problem,) = tree.problems("//p:m")
    assert code == exit_code
    assert problem.label == "//p:m"
    return problem


def misdeclared(tree: Tree, text: str) -> Problem:
    return wrong(tree, text, ExitCode.ANALYSIS_FAILED)


def unbuildable(tree: Tree, text: str) -> Problem:
    return wrong(tree, text, ExitCode.BUILD_FAILED)


def test_a_folder_becomes_the_version_s_folder(tree: Tree) -> None:
    tree.write({"p/code/lib/help.py": "# 2\n"})
    assert made(tree, 'backend = "python"\nversions = { 1 = "code" }') == {
        "m/config.pbtxt": PYTHON.encode(),
        "m/1/model.py": b"# 1\n",
        "m/1/lib/help.py": b"# 2\n",
    }


def test_bytecode_stays_outside(tree: Tree) -> None:
    tree.write({"p/code/__pycache__/model.cpython-311.pyc": b"\0"})
    assert set(made(tree, 'backend = "python"\nversions = { 1 = "code" }')) == {
        "m/config.pbtxt",
        "m/1/model.py",
    }


@pytest.mark.parametrize(
    ("backend", "file", "name"),
    [
        ("onnxruntime", "a.onnx", "model.onnx"),
        ("openvino", "a.xml", "model.xml"),
        ("python", "code/model.py", "model.py"),
        ("dali", "a.bin", "model.dali"),
        ("square", "a.bin", "a.bin"),
    ],
)
def test_a_file_gets_the_name_that_the_backend_looks_for(
    tree: Tree, backend: str, file: str, name: str
) -> None:
    content = (tree.root / "p" / file).read_bytes()
    text = f'backend = "{backend}"\nversions = {{ 1 = "{file}" }}'
    assert made(tree, text)[f"m/1/{name}"] == content


def test_a_file_gets_the_name_that_the_config_gives(tree: Tree) -> None:
    text = 'backend = "openvino"\nversions = { 1 = "a.xml" }\nconfig.default_model_filename = "x/y"'
    assert made(tree, text)["m/1/x/y"] == OPENVINO.encode()


def test_a_file_gets_the_name_that_the_config_file_gives(tree: Tree) -> None:
    tree.write({"p/config.pbtxt": 'default_model_filename: "x"'})
    text = 'backend = "openvino"\nversions = { 1 = "a.xml" }\nconfig_file = "config.pbtxt"'
    assert made(tree, text)["m/1/x"] == OPENVINO.encode()


def test_a_table_names_the_files_of_a_version(tree: Tree) -> None:
    text = """
    backend = "openvino"
    versions = { 1 = { "model.xml" = "a.xml", "model.bin" = "b.bin" } }
    """
    files = made(tree, text)
    assert (files["m/1/model.xml"], files["m/1/model.bin"]) == (OPENVINO.encode(), b"b")


def test_an_empty_table_makes_an_empty_version(tree: Tree) -> None:
    files = made(tree, 'backend = "square"\nversions = { 1 = {} }')
    assert set(files) == {"m/config.pbtxt", "m/1/"}


def test_an_output_may_be_a_file_or_a_folder(tree: Tree) -> None:
    declare(
        tree,
        """
        backend = "python"
        versions = { 1 = ":made/out/model.py", 2 = ":made/out", 3 = ":made" }
        [commands.made]
        argv = ["sh", "-c", "mkdir -p out; echo '# 3' > out/model.py"]
        outputs = ["out"]
        """,
    )
    tree.build("//p:m")
    files = tree.made("//p:m")
    assert {files[f"m/{number}/model.py"] for number in (1, 2, 3)} == {b"# 3\n"}


def test_the_model_is_called_what_its_name_says(tree: Tree) -> None:
    files = made(tree, 'name = "config_file"\nbackend = "python"\nversions = { 1 = "code" }')
    assert b'name: "config_file"' in files["config_file/config.pbtxt"]


def test_the_manifest_s_config_wins_over_the_config_file(tree: Tree) -> None:
    tree.write({"p/config.pbtxt": "max_batch_size: 8 dynamic_batching { preserve_ordering: true }"})
    text = """
    backend = "python"
    versions = { 1 = "code" }
    config_file = "config.pbtxt"
    config.max_batch_size = 4
    """
    config = made(tree, text)["m/config.pbtxt"].decode()
    assert "max_batch_size: 4" in config
    assert "preserve_ordering: true" in config


def test_weights_are_linked_and_not_copied(tree: Tree, tmp_path: Path) -> None:
    with (tree.root / "p" / "big.bin").open("wb") as file:
        file.truncate(64 << 20)
    declare(tree, 'backend = "square"\nversions = { 1 = "big.bin" }')
    tree.build("//p:m")
    stored = (file.stat().st_size for file in (tmp_path / "cache").rglob("*") if file.is_file())
    assert max(stored) < 1 << 20


def test_it_provides_what_verifications_need(tree: Tree) -> None:
    declare(
        tree, 'name = "x"\nbackend = "python"\nversions = { 1 = "code" }\nrequirements = ["a <2"]'
    )
    target = tree.plan("//p:m").targets[Label("p", "m")]
    info, servable = target.get(ModelInfo), target.get(ServableInfo)
    assert info is not None
    assert servable is not None
    assert (info.label, info.name) == (Label("p", "m"), "x")
    assert info.backend is not None
    assert info.backend.name == "python"
    assert info.requirements == ("a<2",)
    assert servable.models == (info,)


@pytest.mark.parametrize(
    ("number", "found", "remedy"),
    [
        ("01", "'01' is not a version number", "write 1"),
        ("1abc", "'1abc' is not a version number", "write 1"),
        ("0", "'0' is not a version number", "number the versions 1, 2, 3 …"),
        ("-1", "'-1' is not a version number", "number the versions 1, 2, 3 …"),
        ("v2", "'v2' is not a version number", "number the versions 1, 2, 3 …"),
        (
            "9223372036854775808",
            "'9223372036854775808' does not fit into 64 bits",
            "number the versions 1, 2, 3 …",
        ),
    ],
)
def test_a_wrong_version_is_told_with_its_line(
    tree: Tree, number: str, found: str, remedy: str
) -> None:
    problem = misdeclared(tree, f'backend = "python"\n[models.m.versions]\n{number} = "code"')
    assert (problem.file, problem.line) == ("p/triton.toml", 4)
    assert problem.key == f"models.m.versions.{number}"
    assert (problem.found, problem.remedy) == (found, remedy)
    assert problem.expected == "a whole number above 0, without a leading 0"


@pytest.mark.parametrize("versions", ["", "versions = {}"])
def test_a_model_without_versions_is_refused(tree: Tree, versions: str) -> None:
    problem = misdeclared(tree, f'backend = "python"\n{versions}')
    assert (problem.key, problem.found) == ("models.m.versions", "no version")


@pytest.mark.parametrize("name", ["", "  ", "a/b", "..", ".", "a\\u0000b"])
def test_a_name_that_triton_does_not_take_is_refused(tree: Tree, name: str) -> None:
    problem = misdeclared(tree, f'name = "{name}"\nbackend = "square"\nversions = {{ 1 = {{}} }}')
    assert problem.key == "models.m.name"


def test_a_name_that_the_python_backend_cannot_start_is_refused(tree: Tree) -> None:
    problem = misdeclared(tree, 'name = "a b"\nbackend = "python"\nversions = { 1 = "code" }')
    assert problem.found == "the python backend cannot start a model 'a b'"
    assert problem.remedy == 'name = "a_b"'
    assert made(tree, 'name = "a b"\nbackend = "square"\nversions = { 1 = {} }')


def test_a_backend_in_python_is_called_by_its_name(tree: Tree) -> None:
    tree.write({"p/twice/model.py": ""})
    model = 'name = "a b"\nbackend = ":twice"\nversions = { 1 = {} }'
    problem = misdeclared(tree, f'{model}\n[backends.twice]\npath = "twice"')
    assert problem.found.startswith("the twice backend, which runs in the python backend, cannot")


@pytest.mark.parametrize("file", ["../x", "/x", "a//b", "./x", ""])
def test_a_file_outside_its_version_is_refused(tree: Tree, file: str) -> None:
    problem = misdeclared(
        tree, f'backend = "square"\nversions = {{ 1 = {{ "{file}" = "a.bin" }} }}'
    )
    assert problem.found == f"{file!r} is not a path below the version's folder"


def test_a_file_inside_another_is_refused(tree: Tree) -> None:
    problem = misdeclared(
        tree, 'backend = "square"\nversions = { 1 = { "a" = "a.bin", "a/b" = "b.bin" } }'
    )
    assert problem.found == "'a/b' lies inside 'a'"


def test_a_missing_file_is_told(tree: Tree) -> None:
    problem = misdeclared(tree, 'backend = "python"\nversions = { 1 = "none" }')
    assert (problem.key, problem.found) == ("models.m.versions.1", "there is no p/none")


def test_a_wrong_config_is_told_by_its_key_and_line(tree: Tree) -> None:
    problem = misdeclared(
        tree, 'backend = "python"\nversions = { 1 = "code" }\n[models.m.config]\nmax_batch_sise = 8'
    )
    assert (problem.key, problem.line) == ("models.m.config.max_batch_sise", 5)
    assert problem.remedy == "did you mean 'max_batch_size'?"


def test_a_config_against_the_target_is_refused(tree: Tree) -> None:
    problem = misdeclared(
        tree,
        'backend = "onnxruntime"\nversions = { 1 = "a.bin" }\nconfig.platform = "tensorrt_plan"',
    )
    assert problem.key == "models.m.config.platform"
    assert problem.found == "platform 'tensorrt_plan' with backend 'onnxruntime'"


def test_a_wrong_requirement_is_refused(tree: Tree) -> None:
    problem = misdeclared(
        tree, 'backend = "python"\nversions = { 1 = "code" }\nrequirements = ["numpy", "numpy 2"]'
    )
    assert problem.found == "'numpy 2' is not a requirement"


def test_everything_that_is_wrong_is_told_at_once(tree: Tree) -> None:
    declare(
        tree,
        'name = ""\nbackend = "python"\nversions = { 01 = "code" }\nconfig.max_batch_size = ""',
    )
    _, problems = tree.problems("//p:m")
    assert [problem.key for problem in problems] == [
        "models.m.name",
        "models.m.versions.01",
        "models.m.config.max_batch_size",
    ]


@pytest.mark.parametrize("key", ["repoagent", "step", "versoins"])
def test_an_unknown_key_is_refused(tree: Tree, key: str) -> None:
    problem = wrong(
        tree, f'backend = "python"\nversions = {{ 1 = "code" }}\n{key} = []', ExitCode.USAGE
    )
    assert problem.found == f"unknown key {key!r}"


def test_a_python_model_without_model_py_is_refused(tree: Tree) -> None:
    tree.write({"p/other/main.py": "# 4\n"})
    problem = unbuildable(tree, 'backend = "python"\nversions = { 1 = "other" }')
    assert problem.found == "version 1 holds main.py"
    assert problem.expected == "model.py, which the python backend looks for"
    assert problem.remedy == "call its file model.py, or say config.default_model_filename"


def test_files_named_by_compute_capability_need_no_default(tree: Tree) -> None:
    text = """
    backend = "onnxruntime"
    versions = { 1 = { "gpu.onnx" = "a.onnx" } }
    config.cc_model_filenames = { "8.0" = "gpu.onnx" }
    """
    assert "m/1/gpu.onnx" in made(tree, text)


def test_a_broken_config_file_is_told_by_its_line(tree: Tree) -> None:
    tree.write({"p/config.pbtxt": "\nmax_batch_sise: 8\n"})
    problem = unbuildable(
        tree, 'backend = "python"\nversions = { 1 = "code" }\nconfig_file = "config.pbtxt"'
    )
    assert (problem.file, problem.line) == ("p/config.pbtxt", 2)
    assert problem.remedy == "did you mean 'max_batch_size'?"


def test_a_config_file_against_the_target_is_told_by_its_line(tree: Tree) -> None:
    tree.write({"p/config.pbtxt": 'max_batch_size: 8\nbackend: "pytorch"\n'})
    problem = unbuildable(
        tree, 'backend = "python"\nversions = { 1 = "code" }\nconfig_file = "config.pbtxt"'
    )
    assert (problem.file, problem.line) == ("p/config.pbtxt", 2)
    assert (problem.found, problem.expected) == ("backend 'pytorch'", "'python'")


def test_a_config_file_that_is_a_folder_is_refused(tree: Tree) -> None:
    problem = unbuildable(
        tree, 'backend = "python"\nversions = { 1 = "code" }\nconfig_file = "code"'
    )
    assert problem.found == "p/code is a folder"


EVERY_KIND_OF_FIELD = """
backend = "python"
versions = { 1 = "code", 12 = "code" }
[models.m.config]
max_batch_size = 8
version_policy.all = {}
instance_group = [{ count = 1, kind = "CPU" }]
input = [{ name = "x", data_type = "FP32", dims = [-1] }]
output = [{ name = "y", data_type = "TYPE_FP32", dims = [-1] }]
parameters = { A = 'é"', B = { string_value = "b" } }
metric_tags = { team = "a" }
optimization = { priority = "MAX", input_pinned_memory = { enable = false } }
[models.m.config.dynamic_batching]
preferred_batch_size = [4, 8]
priority_levels = 2
default_priority_level = 1
priority_queue_policy = { 2 = { default_timeout_microseconds = 10_000_000_000 } }
[verifications.m_loads]
target = ":m"
"""


def test_a_real_server_takes_every_kind_of_config_field(
    tree: Tree, shared_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(shared_cache))
    default = 'distribution = "//:pypi"\n[distributions.pypi]\npypi = "nvidia-pytriton==0.7.0"\n'
    tree.write(
        {
            "triton.toml": ROOT.replace("[backends.python]", f"{default}[backends.python]"),
            "p/code/model.py": "class TritonPythonModel:\n    def execute(self, requests): ...\n",
        }
    )
    declare(tree, EVERY_KIND_OF_FIELD)
    report = tree.build("//p:m_loads", test=True)
    assert [target.status for target in report.targets] == [Status.PASSED]


OWN = """
[distributions.own]
path = "server"
[backends.identity]
path = "mine"
[backends.pytorch]
path = "library"
"""
SERVER = {"server/bin/tritonserver": "", "server/backends/python/libtriton_python.so": ""}
IO = """
backend = "identity"
config.input = [{ name = "a", data_type = "TYPE_FP32", dims = [1] }]
config.output = [{ name = "b", data_type = "TYPE_INT8", dims = [2] }]
versions = { 1 = "code" }
"""


@pytest.fixture
def own(tree: Tree) -> Tree:
    """Backends of one's own that are called like Triton's."""
    files = {"mine/model.py": "", "library/libtriton_pytorch.so": "", **SERVER}
    tree.write({"triton.toml": f'[workspace]\nname = "test"\n{OWN}', **files})
    return tree


def test_a_backend_of_ones_own_may_be_called_like_one_of_tritons(own: Tree) -> None:
    assert "m/config.pbtxt" in made(own, IO)
    assert "m/config.pbtxt" in made(own, 'backend = "pytorch"\nversions = { 1 = "a.bin" }')


def test_a_distribution_s_backend_has_tritons_rules(tree: Tree) -> None:
    tree.write({"triton.toml": f"{ROOT}[backends.identity]\n"})
    declare(tree, IO)
    assert tree.problems("//p:m")[0] == ExitCode.BUILD_FAILED


@pytest.mark.parametrize(("release", "told"), [("2.51.0", True), ("2.70.0", False)])
def test_the_release_of_a_folder_is_what_a_config_is_checked_against(
    own: Tree, release: str, told: bool
) -> None:
    own.write({"server/TRITON_VERSION": f"{release}\n"})
    metric = '{ metric_identifier = { family = "f" }, histogram_options = { buckets = [1] } }'
    declare(own, f'{IO}distribution = "//:own"\nconfig.model_metrics.metric_control = [{metric}]')
    if not told:
        own.build("//p:m")
        return
    _, (problem,) = own.problems("//p:m")
    assert problem.found == "Triton 2.51.0 does not know it"
