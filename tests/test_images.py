"""The `images` rule: what lies in an image, and that it is the same wherever it is made."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from parts import store
from parts.around import around
from parts.missing import missing
from parts.ordinary import NOBODY
from parts.serving import (
    IMAGE,
    Small,
    config,
    in_process,
    paths,
    small,
    stories,
    view_of,
)

from tritonbuild.oci.validate import validate

CORE = ["user triton-server", "Triton", "backend plain"]
MODELS = ["model one version 1", "model two version 1", "model one config", "model two config"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("images") / "cache"


@pytest.fixture
def ours(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    return in_process(tmp_path / "workspace", cache, monkeypatch)


def test_what_changes_seldom_lies_below(ours: Small) -> None:
    assert list(stories(ours.build())) == [*CORE, *MODELS]


def test_triton_lies_where_it_lies_in_nvidias_images(ours: Small) -> None:
    found = paths(ours.build())
    assert {path for path, kind in found.items() if kind == "file"} == {
        "etc/group", "etc/passwd",
        "models/one/1/weights", "models/one/config.pbtxt",
        "models/two/1/weights", "models/two/config.pbtxt",
        "opt/tritonserver/backends/plain/libtriton_plain.so",
        "opt/tritonserver/bin/tritonserver",
        "opt/tritonserver/lib/libtritonserver.so",
    }  # fmt: skip


def test_everything_belongs_to_root_and_can_be_read_by_all(ours: Small) -> None:
    entries = view_of(ours.build()).root.entries
    assert {(e.uid, e.gid) for e in entries} == {(0, 0)}
    assert {oct(e.mode) for e in entries if e.kind == "folder"} == {"0o755"}
    assert {e.path for e in entries if e.kind == "file" and e.mode == 0o755} == {
        "opt/tritonserver/bin/tritonserver"
    }


def test_its_config_says_how_it_is_run(ours: Small) -> None:
    image = ours.build()
    assert config(image) == {
        "Cmd": ["tritonserver", "--model-repository=/models"],
        "Env": ["PATH=/opt/tritonserver/bin", "LD_LIBRARY_PATH=/opt/tritonserver/lib"],
        "ExposedPorts": {"8000/tcp": {}, "8001/tcp": {}, "8002/tcp": {}},
        "StopSignal": "SIGTERM",
        "User": "1000:1000",
    }
    assert str(image.config.platform) == "linux/amd64"
    assert image.config.created == "1970-01-01T00:00:00Z"


def test_what_is_placed_is_a_layout_without_fault(ours: Small) -> None:
    image = ours.build()
    assert validate(image.source, image.descriptor) == []
    placed = ours.workspace.output("serving/_/server")
    assert {path.name for path in placed.iterdir()} == {"blobs", "index.json", "oci-layout"}
    blobs = {path.name for path in (placed / "blobs/sha256").iterdir()}
    documents = [image.descriptor, image.manifest.config, *image.manifest.layers]
    assert blobs == {one.content.hash for one in documents}


@pytest.mark.parametrize("program", ["skopeo", "umoci", "buildah"])
def test_other_programs_accept_it(program: str, ours: Small, tmp_path: Path) -> None:
    image = ours.build()
    try:
        path = store.program(program)
    except LookupError as error:
        missing(f"no {program}", str(error))
    placed = ours.workspace.output("serving/_/server")
    policy = tmp_path / "policy.json"
    policy.write_text('{"default":[{"type":"insecureAcceptAnything"}]}')
    layout = f"oci:{tmp_path}/copy:latest"
    named = ["skopeo", "--policy", policy, "copy", "--preserve-digests", f"oci:{placed}", layout]
    stored = [f"--root={tmp_path}/root", f"--runroot={tmp_path}/runroot", "--storage-driver=vfs"]
    unpack = [path, "unpack", "--rootless", f"--image={tmp_path}/copy:latest", tmp_path / "bundle"]
    pull = [path, *stored, f"--signature-policy={policy}", "pull", layout]
    commands: dict[str, list[list[object]]] = {
        "skopeo": [[path, "inspect", f"oci:{placed}"]],
        "umoci": [list(named), list(unpack)],
        "buildah": [list(named), list(pull)],
    }
    for command in commands[program]:
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    if program == "skopeo":
        assert json.loads(done.stdout)["Digest"] == image.descriptor.digest
    if program == "umoci":
        assert (tmp_path / "bundle/rootfs/models/one/1/weights").stat().st_size == 999_999


def test_the_time_is_that_of_source_date_epoch(
    ours: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767323045")
    image = ours.build()
    assert image.config.created == "2026-01-02T03:04:05Z"
    for layer in image.layers:
        with layer.uncompressed() as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
            assert {member.mtime for member in tar} == {1767323045}


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that other users reach."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o777)
        yield Path(made)


def test_it_is_the_same_for_others_in_other_folders(ours: Small, open_folder: Path) -> None:
    """By the digest that `--json` tells, which is its manifest's."""
    image = ours.build()
    workspace = small(open_folder / "other folder/ünder", IMAGE, cache=open_folder / "cache")
    outcome = workspace.build("//serving:server")
    (told,) = outcome.outputs.values()
    assert f"sha256:{told}" == image.descriptor.digest
    assert outcome.finished["metrics"]["executed"] > 5
    (event,) = [event for event in outcome.events if event["event"] == "target"]
    (output,) = event["outputs"]
    assert output["media_type"] == "application/vnd.oci.image.manifest.v1+json"
    if os.geteuid():
        missing("this is not root", "run the tests as root, who may become another user")
    shutil.rmtree(open_folder / "cache")
    shutil.rmtree(workspace.output(""))
    for path in (open_folder, *open_folder.rglob("*")):
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)
        path.chmod(path.stat().st_mode & ~0o077)
    become = [
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
        "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
        "sh", "-c", 'umask 077; exec "$@"', "sh",
    ]  # fmt: skip
    environment = {
        **workspace.env, "HOME": str(open_folder), "TZ": "Asia/Kathmandu",
        "PYTHONHASHSEED": "4242", "LC_ALL": "C",
    }  # fmt: skip
    again = around(workspace, become, "build", "//serving:server", environment=environment)
    assert again.exit_code == 0, again.text
    assert again.outputs == outcome.outputs
