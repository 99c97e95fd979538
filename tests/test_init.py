"""`tritonbuild init`: where it writes, and which backends it finds."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import COMMAND, MINIMAL, ROOT, WorkspaceFolder
from parts.brought import (
    PLAIN,
    Here,
    brought,
    findings,
    manifest,
    refused,
)
from parts.repositories import ENSEMBLE, PYTHON, model, onnx


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
