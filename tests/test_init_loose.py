"""`tritonbuild init` on files that are no repository."""

from __future__ import annotations

import shutil

from conftest import ROOT
from parts.brought import (
    Here,
    brought,
    findings,
    manifest,
    uncommented,
)
from parts.repositories import COMPLETES, ONE, OPENVINO, onnx


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
