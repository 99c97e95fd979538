"""`tritonbuild init`: what it writes, what it tells, and what it refuses."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import tomli
from conftest import COMMAND, MINIMAL, ROOT, Outcome, WorkspaceFolder
from parts.around import around, ordinary
from parts.repositories import COMPLETES, ENSEMBLE, ONE, OPENVINO, PYTHON, VECTOR, model, onnx

Contents = Mapping[str, str | bytes]
Here = Callable[[Contents], WorkspaceFolder]

PLAIN = {"plain/config.pbtxt": PYTHON, "plain/1/model.py": model()}
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"
CIRCLE = "it is a member of itself: one → two → one"


@pytest.fixture
def here(tmp_path: Path, shared_cache: Path) -> Here:
    """Makes a folder of files, in which verbs are started; no workspace yet."""

    def make(files: Contents) -> WorkspaceFolder:
        folder = WorkspaceFolder(tmp_path / "here", shared_cache)
        folder.root.mkdir()
        folder.write(files)
        return folder

    return make


def brought(folder: WorkspaceFolder, *arguments: str) -> Outcome:
    outcome = folder.run("init", *arguments)
    assert outcome.exit_code == 0, outcome.text
    return outcome


def manifest(folder: WorkspaceFolder, package: str = "") -> dict[str, Any]:
    return tomli.loads((folder.root / package / "triton.toml").read_text())


def findings(outcome: Outcome) -> dict[str, str]:
    """Subject → what is said of it, the remedy after it; of several the last."""
    found = (event for event in outcome.events if event["event"] == "finding")
    return {event["subject"]: f"{event['text']}; {event['remedy']}" for event in found}


def uncommented(folder: WorkspaceFolder, package: str = "") -> dict[str, Any]:
    """The manifest with all that waits in it."""
    text = (folder.root / package / "triton.toml").read_text()
    return tomli.loads(re.sub(r"^#(?! \S)", "", text, flags=re.MULTILINE))


def snapshot(root: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


# Where it writes


def test_paths_are_told_from_here_where_they_lie_below(here: Here, tmp_path: Path) -> None:
    def told(cwd: Path) -> list[str]:
        call = [*COMMAND, "init", str(folder.root / "models"), "--dry-run"]
        done = subprocess.run(call, cwd=cwd, env=folder.env, capture_output=True, text=True)
        lines = [line for line in done.stdout.splitlines() if line.startswith("would write")]
        return [line.partition(",")[0].removeprefix("would write ") for line in lines]

    folder = here({f"models/{path}": content for path, content in PLAIN.items()})
    (tmp_path / "there").mkdir()
    assert told(folder.root) == ["models/triton.toml", "triton.toml"]
    assert told(tmp_path / "there") == [f"{folder.root}/models/triton.toml"]


def test_the_repository_becomes_the_workspace(here: Here) -> None:
    folder = here(PLAIN)
    brought(folder)
    assert manifest(folder)["workspace"] == {"name": "here", "distribution": "//:pypi"}
    assert manifest(folder)["models"]["plain"] == {
        "backend": "python",
        "versions": {"1": "plain/1"},
        "config_file": "plain/config.pbtxt",
    }
    assert manifest(folder)["verifications"] == {"plain_loads": {"target": ":plain"}}


def test_a_workspace_begins_in_the_current_folder_above_the_repository(here: Here) -> None:
    folder = here({f"models/{path}": content for path, content in PLAIN.items()})
    brought(folder, "models")
    assert set(manifest(folder)) == {"workspace", "distributions", "backends"}
    assert set(manifest(folder, "models")) == {"repositories", "models", "verifications"}


def test_elsewhere_the_repository_is_the_workspace(here: Here, tmp_path: Path) -> None:
    folder = here(PLAIN)
    (tmp_path / "elsewhere").mkdir()
    elsewhere = WorkspaceFolder(tmp_path / "elsewhere", folder.cache)
    brought(elsewhere, str(folder.root))
    assert "workspace" in manifest(folder)
    assert not list(elsewhere.root.iterdir())


def test_root_says_where_the_workspace_begins(here: Here) -> None:
    folder = here({f"a/b/models/{path}": content for path, content in PLAIN.items()})
    brought(folder, "a/b/models", "--root", "a")
    assert "workspace" in manifest(folder, "a")
    assert "models" in manifest(folder, "a/b/models")


def test_several_repositories_become_packages_of_one_workspace(here: Here) -> None:
    chain = ENSEMBLE.format("plain", "plain")
    folder = here(
        {
            **{f"one/{path}": content for path, content in PLAIN.items()},
            "two/chain/config.pbtxt": chain,
        }
    )
    brought(folder, "one", "two")
    steps = manifest(folder, "two")["models"]["chain"]["steps"]
    assert [step["model"] for step in steps] == ["//one:plain", "//one:plain"]
    assert folder.run("build", "//...").exit_code == 0


def test_a_workspace_that_stands_gets_a_package(here: Here) -> None:
    root = f'{MINIMAL}distribution = "//:pypi"\n[distributions.pypi]\n'
    root += 'pypi = "nvidia-pytriton==0.7.0"\n[backends.python]\n'
    folder = here(
        {
            "triton.toml": root,
            "models/x/config.pbtxt": PYTHON,
            "models/x/1/model.py": model(),
            "models/y/1/model.onnx": onnx(),
        }
    )
    brought(folder, "models")
    assert (folder.root / "triton.toml").read_text() == root
    assert manifest(folder, "models")["backends"] == {"onnxruntime": {}}
    folder.build()


def test_a_workspace_without_a_distribution_gets_one_in_the_package(here: Here) -> None:
    files = {f"models/{path}": content for path, content in PLAIN.items()}
    folder = here({"triton.toml": MINIMAL, **files})
    brought(folder, "models")
    said = manifest(folder, "models")
    assert said["distributions"] == {"pypi": {"pypi": "nvidia-pytriton==0.7.0"}}
    assert said["verifications"]["plain_loads"]["distribution"] == ":pypi"
    folder.build()


def test_backends_beside_a_standing_workspaces_models_get_a_package(here: Here) -> None:
    folder = here({"triton.toml": MINIMAL, "models/x/1/model.onnx": onnx()})
    shutil.copytree(ROOT / "examples/quickstart/backends", folder.root / "backends")
    brought(folder, "models")
    said = {"path": "onnxruntime", "requirements": ["onnxruntime"]}
    assert manifest(folder, "backends")["backends"] == {"onnxruntime": said}
    assert manifest(folder, "models")["models"]["x"]["backend"] == "//backends:onnxruntime"
    assert "x_loads" in manifest(folder, "models")["verifications"]
    folder.build()


def test_backends_that_are_a_package_already_are_taken_from_it(here: Here) -> None:
    said = '[backends.onnxruntime]\npath = "onnxruntime"\n'
    files = {"triton.toml": MINIMAL, "backends/triton.toml": said}
    folder = here({**files, "models/x/1/model.onnx": onnx(), "models/y/1/model.plan": b"ftrt"})
    shutil.copytree(
        ROOT / "examples/quickstart/backends", folder.root / "backends", dirs_exist_ok=True
    )
    shutil.copytree(folder.root / "backends/onnxruntime", folder.root / "backends/tensorrt")
    brought(folder, "models")
    assert (folder.root / "backends/triton.toml").read_text() == said
    models = manifest(folder, "models")["models"]
    assert models["x"]["backend"] == "//backends:onnxruntime"
    assert models["y"]["backend"] == "tensorrt"


def test_a_backend_that_the_root_binds_late_stays_late(here: Here) -> None:
    folder = here({"triton.toml": f"{MINIMAL}[backends.onnxruntime]\n", "m/x/1/model.onnx": onnx()})
    shutil.copytree(ROOT / "examples/quickstart/backends", folder.root / "backends")
    brought(folder, "m")
    assert manifest(folder, "m")["models"]["x"]["backend"] == "onnxruntime"
    assert "verifications" not in manifest(folder, "m")


def test_backends_may_lie_among_the_models(here: Here) -> None:
    folder = here({"x/1/model.onnx": onnx()})
    shutil.copytree(ROOT / "examples/quickstart/backends", folder.root / "backends")
    assert "backends" not in findings(brought(folder))
    assert set(manifest(folder)["models"]) == {"x"}
    assert manifest(folder)["backends"]["onnxruntime"]["path"] == "backends/onnxruntime"
    assert set(manifest(folder)["verifications"]) == {"x_loads"}


def test_backends_may_lie_anywhere_in_the_workspace(here: Here) -> None:
    folder = here({"models/x/1/model.onnx": onnx()})
    shutil.copytree(ROOT / "examples/quickstart/backends", folder.root / "third_party/triton")
    brought(folder, "models", "--backends", "third_party/triton")
    said = manifest(folder)["backends"]["onnxruntime"]
    assert said == {"path": "third_party/triton/onnxruntime", "requirements": ["onnxruntime"]}


def test_backends_outside_are_refused(here: Here, tmp_path: Path) -> None:
    folder = here({"x/1/model.onnx": onnx()})
    outcome = folder.run("init", "--backends", str(tmp_path))
    assert outcome.exit_code == 2
    assert "does not lie below" in outcome.error["found"]
    assert "--root" in outcome.error["remedy"]


@pytest.mark.parametrize(
    ("named", "remedy"), [("own/onnxruntime", "did you mean {}/own?"), ("notes", "")]
)
def test_a_folder_without_backends_is_refused(here: Here, named: str, remedy: str) -> None:
    folder = here({"m/x/1/model.onnx": onnx(), "notes/readme.txt": "words"})
    shutil.copytree(ROOT / "examples/quickstart/backends", folder.root / "own")
    (problem,) = refused(folder, "m", "--root", ".", "--backends", named)
    found = f"--backends: there is no backend in {folder.root}/{named}"
    assert problem == f":None: {found}; {remedy.format(folder.root)}"


@pytest.mark.parametrize("place", ["backends/gpu", "backends/gpu/more/weights"])
def test_a_link_out_of_the_workspace_among_backends_is_told(
    here: Here, tmp_path: Path, place: str
) -> None:
    folder = here({"m/x/1/model.onnx": onnx()})
    (tmp_path / "gpu").mkdir()
    (tmp_path / "gpu" / "libtriton_gpu.so").touch()
    (folder.root / place).parent.mkdir(parents=True)
    if place != "backends/gpu":
        shutil.copy(tmp_path / "gpu" / "libtriton_gpu.so", folder.root / "backends" / "gpu")
    (folder.root / place).symlink_to(tmp_path / "gpu")
    (problem,) = refused(folder, "m")
    assert problem.startswith(f"{place}:None: '{place}' leaves the workspace")


# What it says


def test_a_dry_run_prints_and_writes_nothing(here: Here) -> None:
    folder = here(PLAIN)
    before = snapshot(folder.root)
    done = subprocess.run(
        [*COMMAND, "init", "--dry-run"], cwd=folder.root, env=folder.env, capture_output=True
    )
    assert done.returncode == 0
    assert "would write triton.toml, " in done.stdout.decode()
    assert "[models.plain]" in done.stdout.decode()
    assert snapshot(folder.root) == before


def test_json_tells_each_file(here: Here) -> None:
    folder = here({f"models/{path}": content for path, content in PLAIN.items()})
    planned = [e for e in brought(folder, "models", "--dry-run").events if e["event"] == "file"]
    written = [e for e in brought(folder, "models").events if e["event"] == "file"]
    assert [event["path"] for event in written] == ["models/triton.toml", "triton.toml"]
    assert {event["status"] for event in planned} == {"planned"}
    assert {event["status"] for event in written} == {"written"}
    for plan, event in zip(planned, written, strict=True):
        text = (folder.root / event["path"]).read_text()
        assert (plan["text"], len(text.encode())) == (text, event["size"])


def test_a_model_whose_backend_is_not_at_hand_waits_with_its_verification(here: Here) -> None:
    folder = here({"x/1/model.onnx": onnx(), **PLAIN})
    outcome = brought(folder)
    assert set(manifest(folder)["models"]) == {"x", "plain"}
    assert set(manifest(folder)["verifications"]) == {"plain_loads"}
    assert set(uncommented(folder)["verifications"]) == {"plain_loads", "x_loads"}
    assert "a distribution that has backends.onnxruntime" in outcome.text
    tested = folder.run("test", "//...")
    assert tested.exit_code == 0, tested.text
    assert tested.targets["//:x"] in ("built", "cached")


def test_a_model_on_a_gpu_waits_with_its_verification(here: Here) -> None:
    config = f"{PYTHON}instance_group {{ kind: KIND_GPU }}\n"
    folder = here({"x/config.pbtxt": config, "x/1/model.py": model()})
    outcome = brought(folder)
    assert "verifications" not in manifest(folder)
    assert "when verifications run on a GPU" in outcome.text


def test_torchscript_without_a_config_waits_for_its_inputs(here: Here) -> None:
    folder = here({"x/1/model.pt": b"PK\3\4 weights", **PLAIN})
    outcome = brought(folder)
    assert "its inputs and outputs are not known" in findings(outcome)["x"]
    assert set(manifest(folder)["models"]) == {"plain"}
    waiting = uncommented(folder)["models"]["x"]
    assert waiting["backend"] == "pytorch"
    assert set(waiting["config"]) == {"max_batch_size", "input", "output"}
    assert "pytorch" in manifest(folder)["backends"]


def test_python_that_completes_no_config_waits_for_its_inputs(here: Here) -> None:
    folder = here({"x/1/model.py": model(), **PLAIN})
    assert "auto_complete_config" in findings(brought(folder))["x"]
    assert set(manifest(folder)["models"]) == {"plain"}


def test_python_with_a_base_class_may_complete_its_config(here: Here) -> None:
    code = model().replace("class TritonPythonModel:", "class TritonPythonModel(object):")
    assert "(object)" in code
    folder = here({"x/1/model.py": code, **PLAIN})
    assert "auto_complete_config" not in findings(brought(folder)).get("x", "")
    assert set(manifest(folder)["models"]) == {"plain", "x"}


def test_an_ensemble_waits_for_a_member_that_waits(here: Here) -> None:
    folder = here(
        {"x/1/model.py": model(), **PLAIN, "e/config.pbtxt": ENSEMBLE.format("plain", "x")}
    )
    assert "its member 'x' is not declared yet" in findings(brought(folder))["e"]
    folder.build()


def test_an_ensemble_without_a_member_is_told(here: Here) -> None:
    folder = here({**PLAIN, "e/config.pbtxt": ENSEMBLE.format("plain", "gone")})
    assert "its member 'gone' is not here" in findings(brought(folder))["e"]
    assert "gone" in uncommented(folder)["models"]["e"]["steps"][1]["model"]


def test_ensembles_that_share_all_their_members_are_followed_once(here: Here) -> None:
    """Of thirty layers of two each there are 2**30 ways through."""
    layers = [("plain", "plain"), *((f"a{layer}", f"b{layer}") for layer in range(30))]
    files = {
        f"{name}/config.pbtxt": ENSEMBLE.format(*below)
        for below, names in pairwise(layers)
        for name in names
    }
    folder = here({**PLAIN, **files})
    brought(folder)
    assert len(manifest(folder)["models"]) == 61


def test_ensembles_in_a_circle_are_told(here: Here) -> None:
    folder = here(
        {
            "one/config.pbtxt": ENSEMBLE.format("two", "plain"),
            "two/config.pbtxt": ENSEMBLE.format("plain", "one"),
            **PLAIN,
        }
    )
    assert CIRCLE in findings(brought(folder))["one"]
    folder.build()


def test_models_that_call_one_another_are_told(here: Here) -> None:
    call = "\npb_utils.InferenceRequest(model_name='{}')\n"
    folder = here(
        {
            "a/config.pbtxt": PYTHON,
            "a/1/model.py": model() + call.format("b"),
            "b/config.pbtxt": PYTHON,
            "b/1/model.py": model() + call.format("a"),
        }
    )
    assert "needs it in turn" in findings(brought(folder))["a"]
    assert manifest(folder)["models"]["b"]["bls"] == [":a"]
    folder.build()


def test_a_model_that_calls_who_knows_whom_is_told(here: Here) -> None:
    code = f"{model()}\npb_utils.InferenceRequest(model_name=choose())\n"
    folder = here({"a/config.pbtxt": PYTHON, "a/1/model.py": code})
    assert "add them to `bls`" in findings(brought(folder))["a"]


def test_a_name_that_differs_from_the_folders_is_told(here: Here) -> None:
    folder = here({"x/config.pbtxt": f'name: "y"\n{PYTHON}', "x/1/model.py": model(), **PLAIN})
    told = findings(brought(folder))["x"]
    assert "its config.pbtxt calls it 'y', its folder 'x'" in told
    assert set(manifest(folder)["models"]) == {"plain"}


def test_a_python_model_with_a_space_in_its_name_is_told(here: Here) -> None:
    folder = here({"two words/config.pbtxt": PYTHON, "two words/1/model.py": model(), **PLAIN})
    assert "rename its folder" in findings(brought(folder))["two words"]
    assert uncommented(folder)["models"]["two_words"]["name"] == "two words"


def test_a_name_that_a_backend_in_python_cannot_take_is_told(here: Here) -> None:
    folder = here({"two words/1/model.onnx": onnx(), **PLAIN})
    shutil.copytree(ROOT / "examples/quickstart/backends", folder.root / "backends")
    told = findings(brought(folder))["two words"]
    assert "the onnxruntime backend cannot start a model of this name" in told
    assert told.endswith("; rename its folder: two_words")
    assert set(manifest(folder)["models"]) == {"plain"}


def test_another_backend_takes_any_name(here: Here) -> None:
    folder = here({"two words/1/model.onnx": onnx()})
    brought(folder)
    assert manifest(folder)["models"]["two_words"]["name"] == "two words"
    folder.build()


def test_what_no_build_takes_along_is_told_once(here: Here) -> None:
    beside: Contents = {
        "notes.txt": "",
        "plain/1/__pycache__/model.pyc": b"",
        "plain/.DS_Store": "",
    }
    folder = here({**PLAIN, "plain/1/.keep": "", **beside})
    told = findings(brought(folder))
    assert told[""].startswith(
        "left out of what is built: notes.txt, plain/.DS_Store, plain/1/__pycache__/; "
    )
    assert "plain" not in told
    folder.build()
    built = folder.output("_/here/plain")
    files = {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file()}
    assert files == {"config.pbtxt", "1/model.py", "1/.keep"}


def test_versions_that_are_none_are_told(here: Here) -> None:
    none = {f"{name}/model.py": model() for name in ("plain/1abc", "y/02", "y/0")}
    folder = here({**PLAIN, **none, "x/config.pbtxt": PYTHON, "y/config.pbtxt": PYTHON})
    told = findings(brought(folder))
    assert "Not taken along is '1abc': Triton takes it for version 1" in told["plain"]
    assert "Not taken along is '02': Triton takes a name that begins with 0" in told["y"]
    assert "it has no version folder" in told["x"]
    assert set(manifest(folder)["models"]) == {"plain"}
    folder.build()


def test_a_file_under_another_name_than_triton_looks_for_is_told(here: Here) -> None:
    folder = here({"x/config.pbtxt": 'backend: "onnxruntime"\n', "x/1/net.onnx": onnx(), **PLAIN})
    told = findings(brought(folder))["x"]
    assert "version 1 holds net.onnx; the onnxruntime backend looks for model.onnx" in told


def test_a_field_that_the_release_does_not_know_waits_for_a_newer_one(here: Here) -> None:
    config = f"{PYTHON}model_metrics {{ metric_control [ ] }}\n"
    folder = here({"x/config.pbtxt": config, "x/1/model.py": model(), **PLAIN})
    assert "does not know model_metrics" in findings(brought(folder))["x"]


def test_a_folder_s_own_release_counts(here: Here) -> None:
    root = f'{MINIMAL}distribution = "//:own"\n[distributions.own]\npath = "server"\n'
    config = f"{PYTHON}model_metrics {{ metric_control [ ] }}\n"
    models = {"models/x/config.pbtxt": config, "models/x/1/model.py": model()}
    server = {"server/bin/tritonserver": "", "server/backends/python/libtriton_python.so": ""}
    folder = here({"triton.toml": root, **server, "server/TRITON_VERSION": "2.51.0\n", **models})
    told = findings(brought(folder, "models"))
    assert any(
        "Triton 2.51.0 of //:own does not know model_metrics" in each for each in told.values()
    )
    folder.build()


def test_what_is_no_model_is_told_and_left_alone(here: Here) -> None:
    folder = here({**PLAIN, "scripts/train.py": "print()", ".git/config": ""})
    assert "no model" in findings(brought(folder))["scripts"]
    assert set(manifest(folder)["models"]) == {"plain"}


def test_imports_become_requirements(here: Here) -> None:
    imports = (
        "import json, yaml\nfrom sklearn.svm import SVC\nimport helper\nimport google.cloud.x\n"
    )
    imports += "try:\n    import torch\nexcept ImportError:\n    pass\n"
    files = {"x/config.pbtxt": PYTHON, "x/1/model.py": imports + model(), "x/1/helper.py": ""}
    folder = here(files)
    outcome = brought(folder)
    assert manifest(folder)["models"]["x"]["requirements"] == ["PyYAML", "scikit-learn"]
    assert "what brings google.cloud.x" in findings(outcome)["x"]


def test_requirements_txt_wins_over_imports(here: Here) -> None:
    requirements = (
        "# pinned\nPyYAML==6.0.2  # for configs\n-r more.txt\nx @ https://s3cret@example.org/x\n"
        "--extra-index-url https://user:s3cret@example.org/simple\n"
    )
    files = {"x/config.pbtxt": PYTHON, "x/1/model.py": f"import yaml, zmq\n{model()}"}
    folder = here({**files, "x/requirements.txt": requirements})
    outcome = brought(folder)
    assert manifest(folder)["models"]["x"]["requirements"] == ["PyYAML==6.0.2"]
    assert (
        "Left out of them, since not by a package's name: line 3, 4, 5." in findings(outcome)["x"]
    )
    assert "s3cret" not in outcome.text + (folder.root / "triton.toml").read_text()


def test_files_that_git_ignores_are_named_one_by_one(here: Here) -> None:
    files: Contents = {
        ".gitignore": "*.onnx\n",
        "x/1/model.onnx": onnx("weights.bin"),
        "x/1/weights.bin": ONE,
    }
    folder = here(files)
    brought(folder)
    named = {"model.onnx": "x/1/model.onnx", "weights.bin": "x/1/weights.bin"}
    assert manifest(folder)["models"]["x"]["versions"] == {"1": named}
    folder.build()
    assert folder.output("_/x/x/1/model.onnx").read_bytes() == onnx("weights.bin")


def test_targets_keep_clear_of_one_another(here: Here) -> None:
    folder = here(
        {
            f"{name}/{path.partition('/')[2]}": content
            for name in ("all", "pypi", "python", "here", "x", "x_loads")
            for path, content in PLAIN.items()
        }
    )
    brought(folder)
    folder.build()
    assert len(manifest(folder)["models"]) == len(manifest(folder)["verifications"]) == 6


def test_cases_that_were_recorded_before_are_verified(here: Here) -> None:
    folder = here({**PLAIN, "plain/golden/random.json": "{}"})
    brought(folder)
    assert "files" not in manifest(folder)["models"]["plain"]
    verification = manifest(folder)["verifications"]["plain_answers"]
    assert verification["cases"] == "plain/golden/random.json"


def test_what_an_ensembles_version_is_built_without_is_told(here: Here) -> None:
    chain = {"e/config.pbtxt": ENSEMBLE.format("plain", "plain"), "e/2/.gitkeep": ""}
    outcome = brought(folder := here({**PLAIN, **chain}))
    assert "An ensemble is built as version 1; it was 2 here." in outcome.text
    assert "Not taken along from 2/: .gitkeep." in outcome.text
    folder.build()


def test_an_ensemble_without_steps_is_told(here: Here) -> None:
    folder = here({**PLAIN, "e/config.pbtxt": 'platform: "ensemble"\n'})
    assert "an ensemble without steps" in findings(brought(folder))["e"]
    folder.build()


# Files of models


def test_model_files_become_models(here: Here) -> None:
    folder = here(
        {
            "add.onnx": onnx(),
            "apart.onnx": onnx("weights.bin"),
            "weights.bin": ONE,
            "doubles.py": COMPLETES.replace("FACTOR", "2"),
            "net.xml": OPENVINO,
            "net.bin": b"\0",
            "trees.txt": "tree\nversion=v4\nnum_class=1\n",
            "README.md": "# Models\n",
        }
    )
    brought(folder)
    models = manifest(folder)["models"]
    assert {name: (said["backend"], said["versions"]["1"]) for name, said in models.items()} == {
        "add": ("onnxruntime", "add.onnx"),
        "apart": ("onnxruntime", {"model.onnx": "apart.onnx", "weights.bin": "weights.bin"}),
        "doubles": ("python", "doubles.py"),
        "net": ("openvino", {"model.xml": "net.xml", "model.bin": "net.bin"}),
    }
    waiting = uncommented(folder)["models"]["trees"]
    assert waiting["config"]["parameters"] == {"model_type": "lightgbm"}
    tested = folder.run("test", "//...")
    assert tested.exit_code == 0, tested.text
    assert folder.output("_/add/add/1/model.onnx").read_bytes() == onnx()


def test_files_of_one_name_become_models_of_two(here: Here) -> None:
    folder = here({"x.onnx": onnx(), "x.py": COMPLETES.replace("FACTOR", "2")})
    brought(folder)
    assert set(manifest(folder)["models"]) == {"x_onnxruntime", "x_python"}


def test_names_of_files_become_names_that_every_backend_takes(here: Here) -> None:
    folder = here(
        {
            "a b.onnx": onnx(),
            "a_b.onnx": onnx(),
            "my model.onnx": onnx(),
            "it's.py": COMPLETES.replace("FACTOR", "2"),
        }
    )
    shutil.copytree(ROOT / "examples/quickstart/backends", folder.root / "backends")
    brought(folder)
    models = manifest(folder)["models"]
    assert set(models) == {"a_b_onnxruntime", "a_b_onnxruntime2", "it_s", "my_model"}
    assert models["my_model"] == {
        "backend": "onnxruntime",
        "versions": {"1": "my model.onnx"},
    }
    folder.build()


def test_a_model_file_without_its_data_is_told(here: Here) -> None:
    folder = here({"x.onnx": onnx("weights.bin"), "y.onnx": onnx()})
    assert "weights.bin" in findings(brought(folder))["x.onnx"]
    assert set(manifest(folder)["models"]) == {"y"}


# What it refuses


def refused(folder: WorkspaceFolder, *arguments: str) -> list[str]:
    """The problems of a call that writes nothing."""
    before = snapshot(folder.root)
    outcome = folder.run("init", *arguments)
    assert outcome.exit_code == 2, outcome.text
    assert snapshot(folder.root) == before
    assert "Traceback" not in outcome.text
    return [
        f"{error['file']}:{error['line']}: {error['found']}; {error['remedy']}"
        for error in outcome.errors
    ]


def test_a_manifest_that_is_there_stays(here: Here) -> None:
    folder = here({**PLAIN, "triton.toml": MINIMAL})
    (problem,) = refused(folder)
    assert problem.startswith("triton.toml:None: it exists already; ")


def test_one_manifest_that_is_there_stops_all(here: Here) -> None:
    files = {f"{name}/{p}": content for name in ("one", "two") for p, content in PLAIN.items()}
    folder = here({**files, "two/triton.toml": "[models]\n"})
    (problem,) = refused(folder, "one", "two")
    assert problem.startswith("two/triton.toml:None: it exists already")


def test_broken_configs_are_told_all_at_once(here: Here) -> None:
    folder = here(
        {
            "x/config.pbtxt": 'backend: "python"\nmax_batch: 4\n',
            "x/1/model.py": model(),
            "y/config.pbtxt": "input [ { name: }\n",
            "y/1/model.py": model(),
            **PLAIN,
        }
    )
    first, second = refused(folder)
    assert first.startswith("x/config.pbtxt:2: ")
    assert "did you mean 'max_batch_size'?" in first
    assert second.startswith("y/config.pbtxt:1: ")


def test_a_folder_without_models_is_none(here: Here) -> None:
    (problem,) = refused(here({"notes/readme.txt": "words"}))
    assert "holds no model" in problem


def test_a_model_is_no_repository(here: Here) -> None:
    (problem,) = refused(here(PLAIN), "plain")
    assert "is a model, not a folder of models; name the folder that it lies in" in problem


@pytest.mark.parametrize(
    ("path", "found"), [("gone", "cannot be read"), ("file", "is not a folder"), ("", "cannot be")]
)
def test_what_is_no_folder_is_refused(here: Here, path: str, found: str) -> None:
    folder = here({"file": "", **PLAIN})
    (folder.root / "loop").symlink_to("loop")
    (problem,) = refused(folder, path or "loop")
    assert found in problem


def test_an_unreadable_folder_is_told(here: Here) -> None:
    folder = here(PLAIN)
    (folder.root / "plain" / "1").chmod(0)
    outcome = around(folder, ordinary(), "init")
    assert outcome.exit_code == 2
    assert "plain/1 cannot be read: Permission denied" in outcome.error["found"]
    assert not (folder.root / "triton.toml").exists()


def test_a_loop_of_links_is_told(here: Here) -> None:
    folder = here(PLAIN)
    (folder.root / "plain" / "1" / "loop").symlink_to("..")
    (problem,) = refused(folder)
    assert "is a link to a folder that holds it" in problem


def test_a_link_out_of_the_workspace_is_told(here: Here, tmp_path: Path) -> None:
    folder = here(PLAIN)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "w.bin").write_bytes(ONE)
    (folder.root / "plain" / "1" / "weights").symlink_to(tmp_path / "weights")
    (problem,) = refused(folder)
    assert "leaves the workspace" in problem
    assert problem.endswith("; put a copy of what it leads to in its place")


def test_all_links_out_of_the_workspace_are_told_with_what_else_is_broken(
    here: Here, tmp_path: Path
) -> None:
    folder = here({**PLAIN, "x/config.pbtxt": "wrong: 1\n", "double/1/more": ""})
    (tmp_path / "weights.bin").write_bytes(ONE)
    for place in ("aside.bin", "double/1/model.onnx", "double/2", "plain/1/inner/w.bin"):
        (folder.root / place).parent.mkdir(exist_ok=True)
        (folder.root / place).symlink_to(tmp_path / "weights.bin")
    told = refused(folder)
    assert {problem.partition(":")[0] for problem in told} == {
        "aside.bin",
        "double/1/model.onnx",
        "double/2",
        "plain/1/inner/w.bin",
        "x/config.pbtxt",
    }
    assert len(told) == 5


def test_a_link_out_of_the_workspace_that_no_build_looks_at_is_let_be(
    here: Here, tmp_path: Path
) -> None:
    folder = here(PLAIN)
    (folder.root / "plain" / "__pycache__").symlink_to(tmp_path)
    brought(folder)
    folder.build()


def test_a_pointer_in_the_place_of_a_model_is_told(here: Here) -> None:
    folder = here({"x/1/model.onnx": POINTER, "y.onnx": POINTER, **PLAIN})
    told = refused(folder)
    assert {problem.partition(":")[0] for problem in told} == {"x/1/model.onnx", "y.onnx"}
    assert all("git lfs pull --include" in problem for problem in told)


def test_a_model_that_dvc_keeps_elsewhere_is_told(here: Here) -> None:
    kept = "outs:\n- md5: 00\n  path: model.onnx\n"
    folder = here({".dvc/config": "", "x/1/model.onnx.dvc": kept, **PLAIN})
    (problem,) = refused(folder)
    assert problem.startswith("x/1/model.onnx:None: ")
    assert problem.endswith("; dvc pull x/1/model.onnx.dvc")


@pytest.mark.parametrize("name", ["two words", "模型", "-x"])
def test_a_folder_whose_name_no_package_can_have_is_told(here: Here, name: str) -> None:
    folder = here({f"{name}/{path}": content for path, content in PLAIN.items()})
    (problem,) = refused(folder, "--", name)
    assert "is not a package path" in problem
    assert "--root" in problem
    brought(folder, "--root", f"./{name}", "--", name)
    assert "workspace" in manifest(folder, name)


def test_a_folder_that_is_ignored_is_told(here: Here) -> None:
    files = {f"models/{path}": content for path, content in PLAIN.items()}
    folder = here({".gitignore": "models/\n", **files})
    (problem,) = refused(folder, "models")
    assert "models is ignored" in problem


def test_a_name_with_a_backslash_is_told(here: Here) -> None:
    folder = here({**PLAIN, "plain/a\\b.txt": ""})
    (problem,) = refused(folder)
    assert "no manifest can say" in problem


def test_labels_that_are_not_in_the_models_folder_are_told(here: Here) -> None:
    config = VECTOR.replace('name: "y"', 'name: "y" label_filename: "../labels.txt"')
    folder = here({"x/config.pbtxt": config, "x/1/model.py": model(), "labels.txt": "a\n"})
    assert "'../labels.txt' are not in its folder" in findings(brought(folder))["x"]
    assert "labels" not in manifest(folder)["models"]["x"]
