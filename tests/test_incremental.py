"""What is built again after a change: only what depends on it, on the quick start."""

from __future__ import annotations

import itertools
import os
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import MINIMAL, Outcome, WorkspaceFolder

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]

ALL = "//models:all"


@pytest.fixture
def tested(quickstart: WorkspaceFolder) -> WorkspaceFolder:
    """Built and verified."""
    outcome = quickstart.run("test", ALL)
    assert outcome.exit_code == 0, outcome.text
    return quickstart


def verified(workspace: WorkspaceFolder) -> Outcome:
    """How `test` passes."""
    outcome = workspace.run("test", "--explain", ALL)
    assert outcome.exit_code == 0, outcome.text
    return outcome


def ran(outcome: Outcome) -> set[str]:
    """The actions that ran, as `label (name)`."""
    actions = set(re.findall(r"^built (.*) because$", outcome.text, re.MULTILINE))
    assert len(actions) == outcome.executed
    return actions


def reasons(outcome: Outcome, action: str) -> list[str]:
    """Why an action ran."""
    lines = outcome.text.partition(f"built {action} because\n")[2].splitlines()
    return [line.strip() for line in itertools.takewhile(lambda line: line[:1] == " ", lines)]


def replace(workspace: WorkspaceFolder, path: str, old: str, new: str) -> None:
    text = (workspace.root / path).read_text()
    assert text.count(old) == 1
    workspace.write({path: text.replace(old, new)})


def onnx(workspace: WorkspaceFolder) -> bytes:
    return workspace.output("models/_/train/model.onnx").read_bytes()


def test_a_second_build_executes_nothing(tested: WorkspaceFolder) -> None:
    outcome = verified(tested)
    assert outcome.executed == 0
    assert set(outcome.targets.values()) == {"cached", "passed"}
    assert len(outcome.outputs) > 5


def test_a_second_build_without_its_snapshot_executes_nothing(tested: WorkspaceFolder) -> None:
    before = verified(tested)
    for path in tested.cache.glob("workspaces/*/snapshots/*.json"):
        path.unlink(missing_ok=True)
    outcome = verified(tested)
    assert outcome.executed == 0
    assert (outcome.targets, outcome.outputs) == (before.targets, before.outputs)


def test_a_touched_unchanged_file_executes_nothing(tested: WorkspaceFolder) -> None:
    for path in tested.root.rglob("*"):
        if path.is_file() and "tritonbuild-out" not in path.parts:
            os.utime(path)
    assert verified(tested).executed == 0


def test_a_file_that_is_written_anew_with_the_same_content_executes_nothing(
    tested: WorkspaceFolder,
) -> None:
    path = tested.root / "models" / "train.py"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    assert verified(tested).executed == 0


def test_a_changed_comment_in_a_manifest_executes_nothing(tested: WorkspaceFolder) -> None:
    path = tested.root / "models" / "triton.toml"
    path.write_text(f"# A comment more.\n{path.read_text()}")
    assert verified(tested).executed == 0


def test_a_changed_config_line_builds_and_verifies_only_its_model(tested: WorkspaceFolder) -> None:
    size = 9 + secrets.randbelow(10**6)
    replace(tested, "models/triton.toml", "max_batch_size = 8", f"max_batch_size = {size}")
    outcome = verified(tested)
    assert ran(outcome) == {
        "//models:normalize (model)",
        "//models:normalize_answers (cases)",
        "//models:normalize_answers (verify)",
        "//models:both_load (verify)",
    }
    assert reasons(outcome, "//models:normalize (model)") == [
        f"models.normalize.config.max_batch_size changed: 8 → {size}"
    ]
    assert outcome.targets["//models:digits"] == outcome.targets["//models:train"] == "cached"
    config = tested.output("models/_/normalize/normalize/config.pbtxt").read_text()
    assert f"max_batch_size: {size}" in config


def test_a_changed_line_of_the_training_that_changes_the_model_spares_the_other_model(
    tested: WorkspaceFolder,
) -> None:
    before = onnx(tested)
    line = 'Path("model.onnx").write_bytes('
    new = f'model.doc_string = "{secrets.token_hex(8)}"; {line}'
    replace(tested, "models/train.py", line, new)
    outcome = verified(tested)
    assert ran(outcome) == {
        "//models:train (run)",
        "//models:digits (model)",
        "//models:digits_answers (verify)",
        "//models:both_load (verify)",
    }
    (reason,) = reasons(outcome, "//models:train (run)")
    assert reason.startswith("file models/train.py changed: ")
    assert onnx(tested) != before
    assert onnx(tested) == tested.output("models/_/digits/digits/1/model.onnx").read_bytes()


def test_training_that_makes_the_same_model_again_cuts_the_build_off(
    tested: WorkspaceFolder,
) -> None:
    before = onnx(tested)
    path = tested.root / "models" / "train.py"
    path.write_text(f"# {secrets.token_hex(8)}\n{path.read_text()}")
    outcome = verified(tested)
    assert ran(outcome) == {"//models:train (run)"}
    assert outcome.targets["//models:train"] == "built"
    assert outcome.targets["//models:digits"] == "cached"
    assert outcome.targets["//models:digits_answers"] == "passed"
    assert onnx(tested) == before


def test_a_changed_expected_value_verifies_again_and_builds_nothing(
    tested: WorkspaceFolder,
) -> None:
    replace(tested, "models/golden/digits.json", '"data": [2, 8, 6]', '"data": [2, 8, 5]')
    outcome = tested.run("test", "--explain", ALL)
    assert outcome.exit_code == 3
    cases = "//models:digits_answers (cases)"  # a cache that is shared may have them
    assert ran(outcome) - {cases} == {"//models:digits_answers (verify)"}
    assert outcome.error["found"].startswith("6 at [2, 0]")


def test_a_result_is_shared_with_another_workspace(tested: WorkspaceFolder, tmp_path: Path) -> None:
    elsewhere = WorkspaceFolder(tmp_path / "elsewhere" / "deeper", tested.cache)
    for path in tested.root.rglob("*"):
        if path.is_file() and "tritonbuild-out" not in path.parts:
            elsewhere.write({str(path.relative_to(tested.root)): path.read_bytes()})
    outcome = verified(elsewhere)
    assert outcome.executed == 0


COMMANDS = f"""{MINIMAL}
[commands.a]
argv = ["sh", "-c", "tr a-z A-Z < a.txt > a"]
inputs = ["a.txt"]
outputs = ["a"]

[commands.b]
argv = ["sh", "-c", "cat a b.txt > b"]
inputs = [":a", "b.txt"]
outputs = ["b"]

[commands.c]
argv = ["sh", "-c", "cat data/*.csv > c"]
inputs = ["data/*.csv"]
outputs = ["c"]
"""


@pytest.fixture
def commands(workspace: MakeWorkspace) -> WorkspaceFolder:
    made = workspace({"triton.toml": COMMANDS, "a.txt": "a", "b.txt": "b", "data/1.csv": "1\n"})
    made.build()
    return made


@pytest.mark.parametrize(
    ("path", "content", "rebuilt"),
    [
        ("a.txt", "x", {"//:a (run)", "//:b (run)"}),
        ("a.txt", "A", {"//:a (run)"}),
        ("b.txt", "x", {"//:b (run)"}),
        ("data/2.csv", "2\n", {"//:c (run)"}),
        ("data/2.txt", "2\n", set()),
        ("other/new.csv", "3\n", set()),
    ],
)
def test_only_what_a_changed_file_changes_is_built_again(
    commands: WorkspaceFolder, path: str, content: str, rebuilt: set[str]
) -> None:
    commands.write({path: content})
    outcome = commands.run("build", "--explain", "//...")
    assert outcome.exit_code == 0, outcome.text
    assert ran(outcome) == rebuilt
    assert commands.build().executed == 0


def test_a_removed_input_is_noticed(commands: WorkspaceFolder) -> None:
    commands.write({"data/2.csv": "2\n"})
    commands.build()
    assert commands.output("_/c/c").read_bytes() == b"1\n2\n"
    (commands.root / "data" / "2.csv").unlink()
    assert commands.build().executed == 0  # known from before
    assert commands.output("_/c/c").read_bytes() == b"1\n"


def test_a_changed_mode_is_noticed(commands: WorkspaceFolder) -> None:
    (commands.root / "a.txt").chmod(0o755)
    outcome = commands.run("build", "--explain", "//...")
    assert ran(outcome) == {"//:a (run)"}
