"""`tritonbuild init`: what it refuses, with nothing written."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import MINIMAL
from parts.around import around, ordinary
from parts.brought import (
    PLAIN,
    POINTER,
    Here,
    brought,
    findings,
    manifest,
    refused,
)
from parts.repositories import ONE, VECTOR, model


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
