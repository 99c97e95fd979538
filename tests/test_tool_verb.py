"""`tritonbuild tool`: a step in a plain folder, as a remote worker runs it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from conftest import COMMAND
from parts.bench import Bench

from tritonbuild.action import PARAMETERS
from tritonbuild.cache.trees import copy, materialise
from tritonbuild.digest import Digest
from tritonbuild.merkle import Entry, File, Folder, Symlink, folder_of
from tritonbuild.registry import installed
from tritonbuild.tools import Tool

TENSOR = {"name": "X", "data_type": "TYPE_FP32", "dims": [1]}
MODEL: dict[str, Any] = {
    "name": "digits",
    "backend": "square",
    "versions": {"1": "weights.bin", "3": "model"},
    "config": {"max_batch_size": 8, "input": [TENSOR], "output": [TENSOR]},
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "cache")


def read(path: Path) -> Entry:
    if path.is_symlink():
        return Symlink(os.readlink(path))
    if path.is_dir():
        return Folder({below.name: read(below) for below in path.iterdir()})
    return File(Digest.of_file(path), bool(path.stat().st_mode & 0o100))


def lay_out(
    bench: Bench, folder: Path, inputs: Mapping[str, Entry], parameters: Mapping[str, Any]
) -> None:
    """What a worker finds."""
    text = json.dumps(parameters).encode()
    entries = {**inputs, PARAMETERS: bench.file(text)}
    materialise(folder_of(entries), folder, bench.cache, copy)


def run(
    folder: Path, tool: str, *arguments: str, parameters: str = PARAMETERS
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "tool", tool, *arguments, parameters],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def made(
    bench: Bench,
    folder: Path,
    tool: Tool,
    inputs: Mapping[str, Entry],
    outputs: Sequence[str],
    parameters: Mapping[str, Any],
) -> dict[str, Entry]:
    """What the verb makes in a folder."""
    lay_out(bench, folder, inputs, parameters)
    done = run(folder, tool.name, f"--require={tool.version}")
    assert done.returncode == 0, done.stderr
    return {path: read(folder / path) for path in outputs}


def same(one: Mapping[str, Entry], two: Mapping[str, Entry]) -> bool:
    return folder_of(one).digest == folder_of(two).digest


def test_a_model_is_the_same_as_in_the_build(bench: Bench, tmp_path: Path) -> None:
    tool = installed().tools["model"]
    inputs: dict[str, Entry] = {
        "versions/1": bench.file(b"weights"),
        "versions/3": Folder({"model": bench.file(b"w"), "data": bench.file(b"d" * 5000)}),
    }
    here = bench.run(tool, parameters=MODEL, inputs=inputs, outputs=["model"])
    there = made(bench, tmp_path / "work", tool, inputs, ["model"], MODEL)
    assert same(there, here.outputs)
    model = there["model"]
    assert isinstance(model, Folder)
    assert set(model.entries) == {"1", "3", "config.pbtxt"}


def test_links_modes_and_empty_folders_are_kept(bench: Bench, tmp_path: Path) -> None:
    tool = installed().tools["environment"]
    program = File(bench.cache.put(b"#!"), executable=True)
    python = Folder(
        {
            "bin": Folder({"python3.11": program, "python3": Symlink("python3.11")}),
            "lib": Folder({"current": Symlink("/nowhere"), "empty": Folder()}),
        }
    )
    inputs: dict[str, Entry] = {"python": python, "wheels/x": Folder({"x.py": bench.file(b"x")})}
    here = bench.run(tool, inputs=inputs, outputs=["tree"])
    there = made(bench, tmp_path / "work", tool, inputs, ["tree"], {})
    assert same(there, here.outputs)
    tree = there["tree"]
    assert isinstance(tree, Folder)
    assert tree.get("bin/python3") == Symlink("python3.11")
    assert tree.get("bin/python3.11") == program


def test_folders_that_a_worker_made_for_outputs_are_used(bench: Bench, tmp_path: Path) -> None:
    tool, folder = installed().tools["model"], tmp_path / "work"
    inputs = {"versions/1": bench.file(b"weights")}
    parameters = {**MODEL, "versions": {"1": "weights.bin"}}
    lay_out(bench, folder, inputs, parameters)
    (folder / "model/1").mkdir(parents=True)
    done = run(folder, "model", f"--require={tool.version}")
    assert done.returncode == 0, done.stderr
    here = bench.run(tool, parameters=parameters, inputs=inputs, outputs=["model"])
    assert same({"model": read(folder / "model")}, here.outputs)


def test_the_inputs_are_left_alone(bench: Bench, tmp_path: Path) -> None:
    tool, folder = installed().tools["model"], tmp_path / "work"
    lay_out(bench, folder, {"versions/1": bench.file(b"weights")}, MODEL)
    made_before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    run(folder, "model", f"--require={tool.version}")
    assert {path: path.stat().st_mtime_ns for path in made_before} == made_before


def test_another_version_of_the_tool_refuses(bench: Bench, tmp_path: Path) -> None:
    lay_out(bench, tmp_path / "work", {}, MODEL)
    done = run(tmp_path / "work", "model", "--require=0")
    assert done.returncode == 36
    assert f"model is {installed().tools['model'].version} here" in done.stderr
    assert "expected: 0" in done.stderr
    assert not (tmp_path / "work/model").exists()


def test_an_unknown_tool_gets_a_hint(bench: Bench, tmp_path: Path) -> None:
    lay_out(bench, tmp_path / "work", {}, {})
    done = run(tmp_path / "work", "modle", "--require=1")
    assert done.returncode == 2
    assert "there is no tool 'modle'" in done.stderr
    assert "did you mean 'model'?" in done.stderr


def test_a_step_that_fails_says_why_and_ends_with_one(bench: Bench, tmp_path: Path) -> None:
    tool = installed().tools["model"]
    lay_out(bench, tmp_path / "work", {"config_file": bench.file(b"broken {")},
            {**MODEL, "config_file": "config.pbtxt"})  # fmt: skip
    done = run(tmp_path / "work", "model", f"--require={tool.version}")
    assert done.returncode == 1
    assert done.stderr.startswith("error: config.pbtxt:")
    assert "Traceback" not in done.stderr


def test_parameters_that_are_not_there_are_told(tmp_path: Path) -> None:
    done = run(tmp_path, "model", "--require=1")
    assert done.returncode == 2
    assert PARAMETERS in done.stderr


def test_the_parameters_may_lie_elsewhere(bench: Bench, tmp_path: Path) -> None:
    tool, folder = installed().tools["model"], tmp_path / "work"
    lay_out(bench, folder, {"versions/1": bench.file(b"w"), "versions/3": bench.file(b"w")}, {})
    (tmp_path / "other.json").write_text(json.dumps(MODEL))
    done = run(folder, "model", f"--require={tool.version}", parameters="../other.json")
    assert done.returncode == 0, done.stderr
    assert (folder / "model/config.pbtxt").exists()
