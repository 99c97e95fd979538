"""Settings files: what they may say, and from where they are read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import COMMAND, MINIMAL, Outcome, WorkspaceFolder
from parts.around import around, ordinary

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]

TOUCH = '[commands.c]\nargv = ["touch", "out"]\noutputs = ["out"]\n'


@pytest.fixture
def folder(workspace: MakeWorkspace, tmp_path: Path) -> WorkspaceFolder:
    made = workspace({"p/triton.toml": TOUCH})
    made.environment["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    return made


def settings(folder: WorkspaceFolder, text: str) -> None:
    folder.write({".tritonbuild.toml": text})


def wrong(outcome: Outcome) -> str:
    assert outcome.exit_code == 2, outcome.text
    assert outcome.error["file"] == ".tritonbuild.toml"
    found: str = outcome.error["found"]
    return found


@pytest.mark.parametrize(
    ("text", "found", "remedy"),
    [
        ("kep_going = 1\n", "there is no setting kep_going", "did you mean 'keep_going'?"),
        ("[build]\nkep_going = 1\n", "there is no setting build.kep_going", "did you mean"),
        ("[build]\njunit = 'x'\n", "there is no setting build.junit", ""),
        ("[biuld]\njobs = 1\n", "there is no setting biuld", ""),
        ("tag = 'one'\n", "tag = 'one'", ""),
    ],
)
def test_what_is_no_setting_is_refused(
    folder: WorkspaceFolder, text: str, found: str, remedy: str
) -> None:
    settings(folder, text)
    outcome = folder.run("build", "//...")
    assert wrong(outcome) == found
    assert remedy in outcome.error["remedy"]


def test_a_setting_at_the_top_is_for_the_verbs_that_have_it(folder: WorkspaceFolder) -> None:
    settings(folder, "keep_going = true\nmax_age = 3\nschema = false\n")
    assert folder.run("build", "//...").exit_code == 0
    done = subprocess.run([*COMMAND, "cache", "stat"], cwd=folder.root, env=folder.env)
    assert done.returncode == 0


def test_a_setting_is_called_as_the_flag_is(folder: WorkspaceFolder) -> None:
    settings(folder, "[run]\nset = ['port']\n")
    outcome = folder.run("run", "//p:c")
    assert outcome.exit_code == 2
    assert outcome.error["found"] == "--set port"


def test_a_path_is_relative_to_the_file_that_says_it(folder: WorkspaceFolder) -> None:
    settings(folder, 'cache_dir = "own"\n')
    folder.environment["TRITONBUILD_CACHE_DIR"] = ""  # else it would win
    root = folder.root
    for place in (root, root / "p"):
        folder.root = place
        (info, _) = folder.run("info").events
        assert info["cache"] == str(root / "own")


def test_a_file_beside_no_workspace_does_not_count(folder: WorkspaceFolder) -> None:
    (folder.root.parent / ".tritonbuild.toml").write_text("kep_going = 1\n")
    (folder.root / "p/.tritonbuild.toml").write_text("kep_going = 1\n")
    folder.root = folder.root / "p"
    assert folder.run("build", "//...").exit_code == 0


def test_a_wrong_command_line_is_told_as_json_where_settings_want_it(
    folder: WorkspaceFolder,
) -> None:
    def ended() -> str:
        done = subprocess.run(
            [*COMMAND, "build", "--jobs", "many"], cwd=folder.root, env=folder.env,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 2
        return done.stdout

    assert ended() == ""
    folder.environment["TRITONBUILD_JSON"] = "1"
    assert json.loads(ended())["exit_code"] == 2
    folder.environment["TRITONBUILD_JSON"] = "0"
    assert ended() == ""
    del folder.environment["TRITONBUILD_JSON"]
    settings(folder, "[build]\njson = true\n")
    assert json.loads(ended())["exit_code"] == 2


def test_settings_that_may_not_be_read_are_told(folder: WorkspaceFolder, tmp_path: Path) -> None:
    config = tmp_path / "config/tritonbuild"
    config.mkdir(parents=True)
    config.chmod(0)
    try:
        outcome = around(folder, ordinary(), "build", "//...")
    finally:
        config.chmod(0o700)
    assert outcome.exit_code == 2
    assert outcome.error["found"].startswith("config.toml cannot be read: ")
    assert "Traceback" not in outcome.text


def nobody() -> list[str]:
    """What makes a program run as a user whom the machine does not know."""
    return ["unshare", "--user", "--map-user=54321", "--map-group=54321"]


def test_a_user_without_a_home_needs_a_cache_only(workspace: MakeWorkspace) -> None:
    folder = workspace({"triton.toml": MINIMAL + TOUCH})
    environment = {k: v for k, v in folder.env.items() if k != "HOME" and k[:4] != "XDG_"}
    outcome = around(folder, nobody(), "info", environment=environment)
    assert outcome.exit_code == 0, outcome.text
    del environment["TRITONBUILD_CACHE_DIR"]
    outcome = around(folder, nobody(), "build", "//...", environment=environment)
    assert outcome.exit_code == 36, outcome.text
    assert "--cache-dir" in outcome.error["remedy"]
    assert "Traceback" not in outcome.text
