"""Files that cannot be read, disks that are full, files that change while they are used."""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from conftest import MINIMAL, Outcome, WorkspaceFolder
from parts.around import around, ordinary, with_disk
from parts.gate import Gate, gate

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]

MODEL = f"""{MINIMAL}
[backends.square]
[models.m]
backend = "square"
versions = {{ 1 = "weights.onnx" }}
"""
COMMAND = """
[commands.c]
argv = ["sh", "-c", "cat weights.onnx > out"]
inputs = ["weights.onnx"]
outputs = ["out"]
"""
HUNGRY = """
[commands.careless]
argv = ["sh", "-c", "yes | head -c 1200000 > large; mkdir d; for i in $(seq 40); do echo $i > d/$i; done"]
outputs = ["large", "d"]

[commands.user]
argv = ["sh", "-c", "cat large d/* > user"]
inputs = [":careless"]
outputs = ["user"]
"""  # noqa: E501


@pytest.fixture
def door() -> Iterator[Gate]:
    with gate() as made:
        yield made


def failed(outcome: Outcome, exit_code: int) -> None:
    assert outcome.exit_code == outcome.finished["exit_code"] == exit_code, outcome.text
    assert outcome.errors
    assert "Traceback" not in outcome.text


def unfinished(workspace: WorkspaceFolder) -> list[Path]:
    return [path for path in workspace.root.rglob(".*") if path.name != ".lock"]


@pytest.mark.parametrize(
    ("path", "exit_code", "label"),
    [
        ("weights.onnx", 1, "//:m"),
        ("triton.toml", 2, ""),
        ("p/triton.toml", 2, ""),
        ("p", 2, ""),
        (".gitignore", 2, ""),
        ("triton.lock", 2, ""),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    workspace: MakeWorkspace, path: str, exit_code: int, label: str
) -> None:
    folder = workspace({"triton.toml": MODEL, "weights.onnx": b"w" * 2000000, "p/triton.toml": ""})
    folder.write({".gitignore": "", "triton.lock": "version = 1\n"})
    (folder.root / path).chmod(0)
    try:
        outcome = around(folder, ordinary(), "build", "//...")
    finally:
        (folder.root / path).chmod(0o755)
    failed(outcome, exit_code)
    error = outcome.error
    assert error["found"] == f"{path} cannot be read: Permission denied"
    assert (error["file"], error["label"]) == (path, label)
    assert error["expected"]
    assert unfinished(folder) == [folder.root / ".gitignore"]
    folder.build()


@pytest.mark.parametrize("place", ["cache", "workspace", "workspace/tritonbuild-out"])
def test_a_folder_that_cannot_be_written_is_a_fault_of_the_machine(
    workspace: MakeWorkspace, tmp_path: Path, place: str
) -> None:
    folder = workspace({"triton.toml": MINIMAL + COMMAND, "weights.onnx": "w"})
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place).chmod(0o555)
    try:
        outcome = around(folder, ordinary(), "build", "//...")
    finally:
        (tmp_path / place).chmod(0o755)
    failed(outcome, 36)
    assert "Permission denied" in outcome.error["found"]
    folder.build()


# From a disk on which nothing fits to one that lacks a little at the end.
@pytest.mark.parametrize("kibibytes", [16, 72, 120, 400, 1000, 1600, 2600, 3400])
def test_a_full_cache_is_a_fault_of_the_machine(workspace: MakeWorkspace, kibibytes: int) -> None:
    folder = workspace({"triton.toml": MINIMAL + HUNGRY})
    outcome = around(folder, with_disk(folder.cache, kibibytes), "build", "//...")
    failed(outcome, 36)
    for error in outcome.errors:
        assert "space" in error["found"] or "full" in error["found"] or "I/O" in error["found"]
        assert "free space" in error["remedy"]
    assert unfinished(folder) == []
    for path in folder.output("").rglob("large"):
        assert path.read_bytes() == b"y\n" * 600000


@pytest.mark.parametrize("kibibytes", [12, 100, 1200, 2000])
def test_a_full_output_tree_is_a_fault_of_the_machine(
    workspace: MakeWorkspace, kibibytes: int
) -> None:
    folder = workspace({"triton.toml": MINIMAL + HUNGRY})
    seen = '"$@"; code=$?; find "$0" -name ".*" ! -name .lock >&2; exit $code'
    disk = with_disk(folder.output(""), kibibytes)
    outcome = around(folder, [*disk, "sh", "-c", seen, str(folder.output(""))], "build", "//...")
    failed(outcome, 36)
    for error in outcome.errors:
        assert error["found"].endswith("cannot be written: No space left on device")
        assert error["found"].startswith("tritonbuild-out/_/")
        assert "free space" in error["remedy"]
    assert ".tmp" not in outcome.text
    assert folder.build().executed == 0


def test_a_build_goes_on_when_the_disk_has_space_again(
    workspace: MakeWorkspace, tmp_path: Path
) -> None:
    folder = workspace({"triton.toml": MINIMAL + HUNGRY})
    grow = '"$@" > "$0/first"; mount -o remount,size=100m "$TRITONBUILD_CACHE_DIR"; exec "$@"'
    disk = with_disk(folder.cache, 2600)
    outcome = around(folder, [*disk, "sh", "-c", grow, str(tmp_path)], "build", "//...")
    assert b'"exit_code":36' in (tmp_path / "first").read_bytes()
    assert outcome.exit_code == 0, outcome.text
    assert folder.output("_/user/user").stat().st_size > 1200000


def test_a_file_that_changes_while_it_is_used_is_used_once_more(
    workspace: MakeWorkspace, door: Gate
) -> None:
    folder = gated(workspace, door)
    with folder.start("build", "--json", "//...") as process:
        door.reached()
        folder.write({"weights.onnx": "two"})
        door.open()
        door.reached()
        door.open()
        assert process.wait(60) == 0
    assert folder.output("_/c/out").read_bytes() == b"two"
    assert folder.build().executed == 0


def test_a_file_that_changes_again_and_again_is_an_error(
    workspace: MakeWorkspace, door: Gate
) -> None:
    folder = gated(workspace, door)
    with folder.start("build", "//...") as process:
        for content in ("two", "three"):
            door.reached()
            folder.write({"weights.onnx": content})
            door.open()
        text = process.communicate(timeout=60)[1].decode()
        assert process.returncode == 1
    assert "error: weights.onnx: //:c: weights.onnx changed while it was used, twice" in text
    assert "Traceback" not in text
    assert not folder.output("_/c").exists()


def test_a_file_that_grows_all_the_time_ends_in_an_error(
    workspace: MakeWorkspace,
) -> None:
    folder = workspace({"triton.toml": MODEL + COMMAND})
    weights = folder.root / "weights.onnx"
    weights.write_bytes(bytes(100 << 20))
    stop = threading.Event()

    def grow() -> None:
        with weights.open("ab") as file:
            while not stop.is_set():
                file.write(b"more")
                file.flush()

    writer = threading.Thread(target=grow)
    writer.start()
    try:
        outcome = folder.run("build", "--keep-going", "//...")
    finally:
        stop.set()
        writer.join()
    failed(outcome, 1)
    assert all("weights.onnx" in error["found"] for error in outcome.errors), outcome.text
    assert unfinished(folder) == []
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert folder.build().outputs["tritonbuild-out/_/c/out"] == digest
    assert (
        sha256(folder.output("_/c/out")) == sha256(folder.output("_/m/m/1/weights.onnx")) == digest
    )


def test_a_file_that_is_replaced_now_and_then_never_gives_a_mixture(
    workspace: MakeWorkspace,
) -> None:
    folder = workspace({"triton.toml": MODEL + COMMAND})
    weights, other = folder.root / "weights.onnx", folder.root / "other"
    contents = [bytes([letter]) * (4 << 20) for letter in b"ab"]
    right = {hashlib.sha256(content).hexdigest() for content in contents}
    weights.write_bytes(contents[0])
    stop = threading.Event()

    def replace() -> None:
        for content in itertools.cycle(contents):
            other.write_bytes(content)
            other.replace(weights)
            if stop.wait(0.2):
                return

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        outcomes = [folder.run("build", "//...") for _ in range(8)]
    finally:
        stop.set()
        writer.join()
    for outcome in outcomes:
        assert outcome.exit_code in (0, 1), outcome.text
        files = [digest for path, digest in outcome.outputs.items() if path.endswith("/out")]
        assert set(files) <= right
    assert sha256(folder.output("_/c/out")) in right


def gated(workspace: MakeWorkspace, door: Gate) -> WorkspaceFolder:
    """A workspace whose command stops at the door when it has read its input."""
    command = COMMAND.replace("> out", f"> out; {door.wait}") + "network = true\n"
    return workspace({"triton.toml": MINIMAL + command, "weights.onnx": "one"})


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
