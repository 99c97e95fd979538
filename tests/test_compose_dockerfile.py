"""The Dockerfile that `compose` writes, for those who must build with Docker: it builds, and makes
the image that compose makes itself."""

from __future__ import annotations

import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from conftest import WorkspaceFolder
from docker import DockerClient
from parts.dockerd import Dockerd
from parts.ngc.shelf import ngc

from tritonbuild.oci import Platform, View, image_in
from tritonbuild.oci.indexing import index_layer
from tritonbuild.oci.layout import Layout

DOCKER = "/usr/bin/docker"
MADE_ANEW = {
    "etc/ld.so.cache",
    "etc/passwd",
    "etc/group",
    "etc/shadow",
    "var/cache/ldconfig/aux-cache",
}


def built(client: DockerClient, name: str, file: Path) -> dict[str, int]:
    """Path → size, of files in an image; of links 0."""
    container = client.containers.create(name, "none")
    with file.open("wb") as target:
        for piece in container.export():
            target.write(piece)  # type: ignore[arg-type]  # bytes, whatever its types say
    container.remove()
    with tarfile.open(file) as tar:
        return {
            member.name: member.size if member.isfile() else 0
            for member in tar
            if member.isfile() or member.issym() or member.islnk()
        }


def test_docker_builds_the_same(tmp_path: Path, docker_daemon: Dockerd) -> None:
    (tmp_path / "here").mkdir()
    folder = WorkspaceFolder(tmp_path / "here", tmp_path / "cache")
    with ngc(tmp_path / "ngc", "24.03") as host:
        name = f"{host}/nvidia/tritonserver:24.03-py3"
        flags = ["--image", f"min,{name}-min", "--image", f"full,{name}", "--backend", "python",
                 "--backend", "identity", "--cache", "local"]  # fmt: skip
        outcome = folder.run("compose", *flags, "--layout", "out")
        assert outcome.exit_code == 0, outcome.text
        outcome = folder.run("compose", *flags, "--emit-dockerfile")
        assert outcome.exit_code == 0, outcome.text
        subprocess.run(
            [DOCKER, "build", "-q", "-f", "Dockerfile.compose", "-t", "theirs", "."],
            cwd=folder.root,
            env={**os.environ, "DOCKER_HOST": docker_daemon.host, "DOCKER_BUILDKIT": "1"},
            check=True,
        )
    docker = docker_daemon.client()
    theirs = built(docker, "theirs", tmp_path / "theirs.tar")
    layout = Layout(folder.root / "out")
    image = image_in(layout, layout.descriptor(), Platform.of("linux/amd64"))

    def listing(layer):  # type: ignore[no-untyped-def]
        with layer.uncompressed() as tar:
            return index_layer(tar, 1 << 40)

    ours = {
        entry.path: entry.size if entry.kind == "file" else 0
        for entry in View(image, listing).root.entries
        if entry.kind in ("file", "link")
    }
    left_out = {path for path in theirs if path.startswith((".dockerenv", "dev/", "proc/", "sys/"))}
    lost = {path for path in ours if path not in theirs}
    assert lost <= MADE_ANEW
    more = {path for path in theirs if path not in ours} - left_out - MADE_ANEW
    assert {path for path in more if not path.startswith(("etc/", "var/"))} == set()
    different = {p for p in ours.keys() & theirs.keys() if theirs[p] not in (0, ours[p])}
    assert {p for p in different if not p.startswith("etc/")} - MADE_ANEW == set()
    said = docker.images.get("theirs").attrs["Config"]
    execution = image.config.config
    assert execution is not None
    assert sorted(said["Env"]) == sorted(execution.env or [])
    assert said["WorkingDir"] == execution.working_dir


@pytest.mark.parametrize("flags", [["--emit-manifest"], ["--emit-dockerfile"]])
def test_nothing_is_written_where_something_is_wrong(tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "here").mkdir()
    folder = WorkspaceFolder(tmp_path / "here", tmp_path / "cache")
    outcome = folder.run("compose", "--backend", "..", *flags)
    assert outcome.exit_code == 2
    assert list(folder.root.iterdir()) == []
