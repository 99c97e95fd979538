"""What is damaged in the cache is found, said and made again, in the build that needs it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from conftest import MINIMAL, ROOT, Outcome, WorkspaceFolder
from parts.leftovers import content

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]
Damage = Callable[[Path], None]

MANIFEST = f"""{MINIMAL}
[commands.made]
argv = ["sh", "-c", "yes | head -c 3000000 > large; echo small > small; mkdir d; seq 10 > d/ten"]
outputs = ["large", "small", "d"]

[commands.user]
argv = ["sh", "-c", "tail -c 10 large > user; cat small d/* >> user"]
inputs = [":made"]
outputs = ["user"]

[backends.square]
[models.m]
backend = "square"
versions = {{ 1 = ":made/large" }}
"""
LARGE = b"y\n" * 1500000
CONTENTS = {"small": b"small\n", "in a folder": b"1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n", "large": LARGE}


@pytest.fixture
def built(workspace: MakeWorkspace) -> WorkspaceFolder:
    made = workspace({"triton.toml": MANIFEST})
    made.build()
    return made


def change(path: Path, edit: Callable[[bytes], bytes], *, keep_time: bool = False) -> None:
    """In place, as a broken disk or program does, whatever the mode says."""
    before = path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        new = edit(file.read())
        file.seek(0)
        file.write(new)
        file.truncate()
    path.chmod(before.st_mode)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def truncate(path: Path) -> None:
    change(path, lambda content: content[: len(content) // 2])


def flip(path: Path) -> None:
    change(path, lambda content: bytes([content[0] ^ 1]) + content[1:])


def flip_and_restore_the_time(path: Path) -> None:
    change(path, lambda content: bytes([content[0] ^ 1]) + content[1:], keep_time=True)


def empty(path: Path) -> None:
    change(path, lambda content: b"")


def blob(workspace: WorkspaceFolder, content: bytes) -> Path:
    name = hashlib.sha256(content).hexdigest()
    return workspace.cache / "blobs" / name[:2] / name


def notes(outcome: Outcome) -> list[str]:
    return [event["text"] for event in outcome.events if event["event"] == "note"]


def says_damaged(outcome: Outcome, name: str) -> bool:
    told = [text for text in notes(outcome) if "damaged" in text and name in text]
    return len(told) == 1 and f"note: {told[0]}" in outcome.text


DAMAGES = [
    ("small", truncate),
    ("small", empty),
    ("small", flip),
    ("small", flip_and_restore_the_time),
    ("in a folder", flip_and_restore_the_time),
    ("large", truncate),
    ("large", flip),
]


@pytest.mark.parametrize(("what", "damage"), DAMAGES)
def test_a_damaged_blob_is_found_said_and_made_again_for_the_outputs(
    built: WorkspaceFolder, what: str, damage: Damage
) -> None:
    right = content(built.output(""))
    shutil.rmtree(built.output(""))
    path = blob(built, CONTENTS[what])
    damage(path)
    outcome = built.build()
    assert says_damaged(outcome, path.name)
    assert outcome.targets["//:made"] == "built"
    assert outcome.executed == 1
    assert content(built.output("")) == right
    assert path.read_bytes() == CONTENTS[what]
    assert not notes(built.build())


@pytest.mark.parametrize(("what", "damage"), DAMAGES)
def test_a_damaged_blob_is_found_said_and_made_again_for_an_action(
    built: WorkspaceFolder, what: str, damage: Damage
) -> None:
    path = blob(built, CONTENTS[what])
    damage(path)
    built.write({"triton.toml": MANIFEST.replace("tail -c 10", "tail -c 20")})
    outcome = built.build()
    assert says_damaged(outcome, path.name)
    assert built.output("_/user/user").read_bytes() == (
        LARGE[-20:] + CONTENTS["small"] + CONTENTS["in a folder"]
    )
    assert path.read_bytes() == CONTENTS[what]


@pytest.mark.parametrize("what", CONTENTS)
def test_a_missing_blob_is_made_again(built: WorkspaceFolder, what: str) -> None:
    right = content(built.output(""))
    shutil.rmtree(built.output(""))
    blob(built, CONTENTS[what]).unlink()
    outcome = built.run("build", "--explain", "//...")
    assert outcome.exit_code == 0
    assert "built //:made (run) because\n    nothing changed, but its result is not" in outcome.text
    assert content(built.output("")) == right


@pytest.mark.parametrize("damage", [truncate, empty, flip])
def test_damaged_results_are_found_said_and_made_again(
    built: WorkspaceFolder, damage: Damage
) -> None:
    right = content(built.output(""))
    shutil.rmtree(built.output(""))
    results = list(built.cache.glob("actions/*/*"))
    for path in results:
        damage(path)
    outcome = built.build()
    assert all(says_damaged(outcome, path.name) for path in results)
    assert outcome.executed == len(results)
    assert content(built.output("")) == right


def test_all_of_a_cache_may_be_damaged(built: WorkspaceFolder) -> None:
    right = content(built.output(""))
    shutil.rmtree(built.output(""))
    for path in built.cache.rglob("*"):
        if path.is_file() and path.stat().st_size and path.stat().st_size < 1 << 20:
            flip_and_restore_the_time(path)
    assert built.run("build", "//...").exit_code == 0
    assert content(built.output("")) == right


def test_an_output_that_is_edited_in_place_does_not_harm_the_next_build(
    built: WorkspaceFolder,
) -> None:
    right = content(built.output(""))
    for path in built.output("").rglob("*"):
        if path.is_file() and path.name != ".lock":
            flip(path)
    built.build()
    assert content(built.output("")) == right


def test_cache_verify_finds_what_no_stat_shows(built: WorkspaceFolder) -> None:
    path = blob(built, LARGE)
    flip_and_restore_the_time(path)
    assert verify(built, path) == (1, True)
    assert verify(built, path) == (0, False)
    shutil.rmtree(built.output(""))
    built.build()
    assert path.read_bytes() == LARGE


def verify(workspace: WorkspaceFolder, path: Path) -> tuple[int, bool]:
    """The exit code of `cache verify`, and whether it names the file."""
    with workspace.start("cache", "verify") as process:
        text = process.communicate()[1].decode()
    return process.returncode, path.name in text


@pytest.fixture
def served(tmp_path: Path, shared_cache: Path) -> WorkspaceFolder:
    """A workspace whose verification has passed, with a cache of its own, whose servers may be
    changed without harm to others."""
    folder = shutil.copytree(ROOT / "tests" / "workspaces" / "slow", tmp_path / "slow")
    shutil.copy(ROOT / "examples" / "quickstart" / "triton.lock", folder)
    assert WorkspaceFolder(folder, shared_cache).run("test", "//...").exit_code == 0
    cache = tmp_path / "cache"
    cache.mkdir()
    parts = [shared_cache / name for name in ("actions", "blobs", "trees")]
    subprocess.run(["cp", "--archive", "--link", *parts, cache], check=True)
    copy = tmp_path / "copy"
    for path in cache.glob("trees/*/bin/tritonserver"):
        shutil.copyfile(path, copy)
        shutil.copystat(path, copy)
        copy.rename(path)
    return WorkspaceFolder(folder, cache)


def servers(workspace: WorkspaceFolder) -> list[Path]:
    found = list(workspace.cache.glob("trees/*/bin/tritonserver"))
    assert found
    return found


@pytest.mark.parametrize("damage", [truncate, flip])
def test_a_damaged_file_in_a_folder_that_servers_run_from_is_found(
    served: WorkspaceFolder, damage: Damage
) -> None:
    for server in servers(served):
        damage(server)
    outcome = served.run("test", "--no-cached-results", "//...")
    assert outcome.exit_code == 0
    assert any("folder" in text and "damaged" in text for text in notes(outcome))


def test_cache_verify_looks_into_folders_too(served: WorkspaceFolder) -> None:
    (server, *_) = servers(served)
    flip_and_restore_the_time(server)
    assert verify(served, server.parent.parent) == (1, True)
    assert not server.exists()
    assert verify(served, server.parent.parent) == (0, False)
