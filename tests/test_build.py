"""Of tritonbuild/build.py: a build is built of one view of the workspace, and says how each target
ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import WorkspaceFolder

Make = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]
MEBIBYTE = b"x" * (1 << 20)


@pytest.fixture
def make(workspace: Make) -> Make:
    return workspace


def until(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not come"
        time.sleep(0.02)


def slow(name: str, inputs: str, seconds: float = 3) -> str:
    return f"""
[commands.{name}]
argv = ["sh", "-c", "sleep {seconds}; cat {inputs} > {name}.out"]
inputs = ["{inputs}"]
outputs = ["{name}.out"]
"""


def edit_during_build(
    workspace: WorkspaceFolder, path: str, content: bytes
) -> list[dict[str, str]]:
    """Starts a build, changes a file in its first second, and returns its events."""
    process = workspace.start("build", "--json", "//...")
    until(workspace.cache / "workspaces")
    time.sleep(1)
    (workspace.root / path).write_bytes(content)
    output, error = process.communicate(timeout=120)
    assert process.returncode == 0, error.decode()
    return [json.loads(line) for line in output.decode().splitlines()]


def test_a_large_input_that_changes_while_it_is_used_gives_no_wrong_result(make: Make) -> None:
    """Another action's look at it must not hide the change."""
    workspace = make(
        {
            "triton.toml": '[workspace]\nname = "t"\n' + slow("a", "big", 4) + slow("b", "big", 2),
            "big": MEBIBYTE + b"one",
        }
    )
    edit_during_build(workspace, "big", MEBIBYTE + b"two")
    for name in ("a", "b"):
        made = workspace.output(f"_/{name}/{name}.out").read_bytes()
        assert made.endswith(b"two"), f"{name} is not what the workspace says"
    (workspace.root / "big").write_bytes(MEBIBYTE + b"one")
    workspace.build()
    for name in ("a", "b"):
        assert workspace.output(f"_/{name}/{name}.out").read_bytes().endswith(b"one")


def test_targets_that_ended_before_a_file_changed_are_not_left_as_they_were(make: Make) -> None:
    quick = slow("quick", "f", 0)
    late = """
[commands.wait]
argv = ["sh", "-c", "sleep 3; echo > w"]
outputs = ["w"]
[commands.late]
argv = ["sh", "-c", "cat f > late.out"]
inputs = ["f", ":wait"]
outputs = ["late.out"]
"""
    workspace = make({"triton.toml": f'[workspace]\nname = "t"\n{quick}{late}', "f": "one"})
    edit_during_build(workspace, "f", b"two")
    assert workspace.output("_/quick/quick.out").read_text() == "two"
    assert workspace.output("_/late/late.out").read_text() == "two"
    assert workspace.build().executed == 0


def test_weights_that_change_while_they_are_used_through_a_model_give_no_wrong_result(
    make: Make,
) -> None:
    manifest = """
[workspace]
name = "t"
[backends.raw]
path = "backend"
[models.m]
backend = "raw"
versions = { 1 = { "w.bin" = "w.bin" } }
[commands.use]
argv = ["sh", "-c", "sleep 3; tail -c 3 m/1/w.bin > o"]
inputs = [":m"]
outputs = ["o"]
"""
    files: dict[str, str | bytes] = {"triton.toml": manifest, "backend/model.py": ""}
    files["w.bin"] = MEBIBYTE + b"one"
    workspace = make(files)
    edit_during_build(workspace, "w.bin", MEBIBYTE + b"two")
    assert workspace.output("_/use/o").read_text() == "two"
    assert workspace.output("_/m/m/1/w.bin").read_bytes().endswith(b"two")
    (workspace.root / "w.bin").write_bytes(MEBIBYTE + b"one")
    workspace.build()
    assert workspace.output("_/use/o").read_text() == "one"


def test_a_target_of_which_only_a_dependency_failed_is_skipped(make: Make) -> None:
    manifest = """
[workspace]
name = "t"
[backends.raw]
path = "backend"
[models.broken]
backend = "raw"
versions = { 1 = "w.bin" }
config_file = "config.pbtxt"
[repositories.both]
models = [":broken"]
"""
    files = {"backend/model.py": "", "w.bin": "", "config.pbtxt": "no config"}
    outcome = make({"triton.toml": manifest, **files}).run("build", "//...")
    assert outcome.exit_code == 1
    assert outcome.targets["//:broken"] == "failed"
    assert outcome.targets["//:both"] == "skipped"
    assert outcome.error["label"] == "//:broken"


def test_a_wrong_default_is_told_once_and_where_it_is_written(make: Make) -> None:
    manifest = '[workspace]\nname = "t"\ndistribution = "//:nope"\n'
    outcome = make({"triton.toml": manifest + slow("a", "f") + slow("b", "f"), "f": ""}).run(
        "build", "//..."
    )
    assert outcome.exit_code == 2
    error = outcome.error
    assert (error["file"], error["line"], error["key"]) == (
        "triton.toml",
        3,
        "workspace.distribution",
    )


def test_a_negative_pattern_takes_a_verification_of_a_named_target_away(
    quickstart: WorkspaceFolder,
) -> None:
    outcome = quickstart.run("test", "//models:normalize", "--", "-//models:normalize_answers")
    assert outcome.exit_code == 4
    assert set(outcome.targets) == {"//models:normalize"}


def test_a_named_target_does_not_bring_what_verifies_others(quickstart: WorkspaceFolder) -> None:
    lock = quickstart.root / "triton.lock"
    kept = [part for part in lock.read_text().split("[[resolution]]") if "onnxruntime" not in part]
    lock.write_text("[[resolution]]".join(kept))
    outcome = quickstart.run("test", "//models:normalize", "--locked")
    assert outcome.exit_code == 0, outcome.text


def test_a_file_whose_name_looks_like_a_glob_can_be_named(make: Make) -> None:
    manifest = '[workspace]\nname = "t"\n' + slow("a", "f[1].txt", 0)
    workspace = make({"triton.toml": manifest.replace("cat f[1].txt", "cat f*"), "f[1].txt": "x"})
    workspace.build()
    assert workspace.output("_/a/a.out").read_text() == "x"


def test_a_line_in_a_string_begins_no_workspace(make: Make) -> None:
    package = """
[commands.a]
argv = ["sh", "-c", '''
true > o
: <<E
[workspace]
E
''']
outputs = ["o"]
"""
    make({"p/triton.toml": package}).build("//p:a")


def test_nothing_is_left_where_nothing_was_built(make: Make) -> None:
    workspace = make({})
    assert workspace.run("build", "//nowhere:x").exit_code == 2
    assert not workspace.output("").exists()
