"""`tritonbuild compose` beside Docker, which builds what compose.py writes of a command line: both
on the same `min` and `full`.

Of compose.py's steps that install something, Docker does as much as these images need, and no more:
of Debian's packages that `full` has, those that are no compilers and no headers, unpacked by dpkg
without documents, translations and bytecode; DCGM, and numpy for `python`, as `full` has them. No
container has a network, so apt, pip and NVIDIA's repository are left out."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname, normpath
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

import pytest
from conftest import WorkspaceFolder
from docker import DockerClient
from parts.answering import ask
from parts.composing import AMD64, Flags, composed, standing
from parts.dockerd import Dockerd
from parts.ngc.build import Pair, execution, release
from parts.ngc.compose import context, dockerfile
from parts.ngc.layers import Image, Store, image
from parts.ngc.releases import RELEASES
from parts.ngc.server import HOME
from parts.ngc.serving import CACHE, CONFIG, DOUBLE, served
from parts.ngc.shelf import NAME, ngc, put

from tritonbuild.oci import image_in
from tritonbuild.oci.registry import Reference, Repository

pytestmark = pytest.mark.xdist_group(__name__)

DOCKER = "/usr/bin/docker"
"""Debian's, which has BuildKit built in."""
CPUS = "24.03-cpus"
"""A tag: the same layers, in images that say that they are for CPUs alone."""


class Line(NamedTuple):
    """A command line of compose.py."""

    tag: str
    backends: Sequence[str] = ()
    repoagents: Sequence[str] = ()
    caches: Sequence[str] = ()
    serves: bool = False
    """Whether the test starts what is made of it."""

    @property
    def gpu(self) -> bool:
        return self.tag != CPUS

    @property
    def release(self) -> str:
        return self.tag.partition("-")[0]

    @property
    def flags(self) -> list[str]:
        return [
            *(f"--backend={name}" for name in self.backends),
            *(f"--repoagent={name}" for name in self.repoagents),
            *(f"--cache={name}" for name in self.caches),
            *(() if self.gpu else ("--enable-gpu=false",)),
        ]


ALL = ("onnxruntime", "openvino", "pytorch", "dali", "python", "identity", "square", "repeat")
LINES = [
    Line("24.03", serves=True),
    Line("24.03", ["python"]),
    Line("24.03", ["python"], caches=["local"], serves=True),
    Line("24.03", repoagents=["checksum"]),
    Line("24.03", ["identity", "repeat", "square"], serves=True),
    Line("24.03", ["square", "python", "square"], ["checksum"], ["local", "local"]),
    Line(CPUS),
    Line(CPUS, ["identity"], caches=["local"]),
    Line("23.10", ["python"]),
    Line("23.10", ["python", "identity"], ["checksum"]),
    Line("24.10", ["onnxruntime"], serves=True),
    Line("24.10", ["openvino"], caches=["local"]),
    Line("24.10", ALL, ["checksum"], ["local"], serves=True),
]

# What of the table in docs/compose.md is met here.
KINDS = ("backends", "repoagents", "caches")
"""Folders that are there in ours, empty if nothing of them was named."""
OF_FULL = ("LD_LIBRARY_PATH", "PYTHONPATH", "DCGM_VERSION")
"""Variables that compose.py sets for a backend, or for GPUs; ours have what `full` says."""
WHILE_BUILDING = ("DEBIAN_FRONTEND", "NVIDIA_BUILD_ID")
NVIDIAS = ("com.nvidia.build.id", "com.nvidia.build.ref")
MULTI = {"com.amazonaws.sagemaker.capabilities.multi-models": "true"}
"""A label of `full` that compose.py drops."""

UNPACK = """\
RUN --mount=type=bind,source=debs,target=/tmp/debs cd /tmp/debs \\
      && dpkg --force-depends --force-unsafe-io --path-exclude='/usr/share/doc/*' \\
           --path-exclude='/usr/share/man/*' --path-exclude='/usr/share/locale/*' \\
           --path-exclude='/usr/share/info/*' --unpack $(ls | grep -v ^libgomp1_) \\
      && ldconfig
"""
GOMP = """\
RUN --mount=type=bind,source=debs,target=/tmp/debs \\
      dpkg --force-depends --unpack /tmp/debs/libgomp1_* && ldconfig
"""
"""The one package that compose.py has for some backends alone."""


@dataclass
class Desk:
    """A registry with the releases, and who composes of them."""

    host: str
    client: DockerClient
    docker_host: str
    folder: WorkspaceFolder
    context: Path

    def theirs(self, line: Line) -> str:
        """What Docker has built of it, and pushed."""
        name = f"{self.host}/theirs/server:v{LINES.index(line)}"
        (self.context / "Dockerfile").write_text(text(line, self._images(line)))
        self._docker("build", "--quiet", "--tag", name, ".")
        self._docker("push", "--quiet", name)
        return name

    def ours(self, line: Line) -> str:
        """What compose has made of it and pushed, and Docker has pulled."""
        name = f"{self.host}/ours/server:v{LINES.index(line)}"
        images = self._images(line).all
        composed(self.folder, *images, *line.flags, "--push", "--output-name", name)
        self.client.images.pull(name)
        return name

    def _images(self, line: Line) -> Flags:
        name = f"{self.host}/{NAME}:{line.tag}-py3"
        return Flags(f"{name}-min", name)

    def _docker(self, *words: str) -> None:
        environment = {**os.environ, "DOCKER_HOST": self.docker_host, "DOCKER_BUILDKIT": "1"}
        done = subprocess.run(
            [DOCKER, *words], cwd=self.context, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def text(line: Line, images: Flags) -> str:
    """compose.py's Dockerfile, whose packages are mounted: none of their bytes stays in a layer."""
    written = dockerfile(
        RELEASES[line.release], images.full, images.min, backends=line.backends,
        repoagents=line.repoagents, caches=line.caches, gpu=line.gpu, packages="local",
    )  # fmt: skip
    unpack = UNPACK + (GOMP if {"onnxruntime", "pytorch"} & {*line.backends} else "")
    copied = re.compile(r"COPY debs .* rm -r /tmp/debs\n", re.DOTALL)
    made, count = copied.subn(lambda _: unpack, written)
    assert count == 1
    return made


def for_cpus(store: Store, name: str) -> Pair:
    """Its layers in images that say nothing of CUDA."""
    of, pair = RELEASES[name], release(name)
    for blob in pair.full.layers:
        store.path(blob.digest).symlink_to(pair.full.store.path(blob.digest))

    def saying(one: Image, env: Mapping[str, str], labels: dict[str, str], place: str) -> Image:
        left = {key: value for key, value in env.items() if "CUDA" not in key}
        return image(store, one.layers, execution(left, labels, place))

    gpu = {"TRITON_SERVER_GPU_ENABLED": "0"}
    return Pair(
        saying(pair.min, of.min_env, of.min_labels, "/workspace"),
        saying(pair.full, of.full_env | gpu, of.full_labels, f"/{HOME}"),
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, docker_daemon: Dockerd) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    pair = for_cpus(Store(folder / "store"), "24.03")
    put(folder / "ngc", pair.full, NAME, f"{CPUS}-py3")
    put(folder / "ngc", pair.min, NAME, f"{CPUS}-py3-min")
    checkout = context(folder / "context", packages=True)
    client = docker_daemon.client()
    client.api.timeout = 300
    with ngc(folder / "ngc", *RELEASES) as host:
        standing_in = standing(folder, folder / "cache")
        yield Desk(host, client, docker_daemon.host, standing_in, checkout)
    client.close()


class Found(NamedTuple):
    """What lies at a path."""

    kind: str
    mode: int
    size: int = 0
    what: str = ""
    """Digest of a file; where a link leads."""


FOLDER = Found("folder", 0o755)


def server(client: DockerClient, name: str) -> dict[str, Found]:
    """Path → what Docker finds below /opt/tritonserver. Hard links are the files that they are, and
    what lies behind a link to a folder is found there, too: Docker's COPY makes it a folder."""
    container = client.containers.create(name, "none")
    try:
        with TemporaryFile() as file:
            for piece in container.get_archive(f"/{HOME}", 1 << 20)[0]:
                file.write(piece)
            file.seek(0)
            found = _listed(file)
    finally:
        container.remove()
    for path, it in list(found.items()):
        target = normpath(f"{dirname(path)}/{it.what}")
        if it.kind == "link" and found.get(target, it).kind == "folder":
            found |= {
                path + other.removeprefix(target): there
                for other, there in found.items()
                if f"{other}/".startswith(f"{target}/")
            }
    return found


def _listed(file: IO[bytes]) -> dict[str, Found]:
    found: dict[str, Found] = {}
    with tarfile.open(fileobj=file) as tar:
        for member in tar:
            path, mode = member.name.partition("/")[2], member.mode & 0o7777
            if member.islnk():
                found[path] = found[member.linkname.partition("/")[2]]
            elif content := tar.extractfile(member) if member.isreg() else None:
                digest = hashlib.file_digest(content, "sha256").hexdigest()  # type: ignore[arg-type]
                found[path] = Found("file", mode, member.size, digest)
            else:
                kind = "link" if member.issym() else "folder"
                found[path] = Found(kind, mode, what=member.linkname)
    return found


def pushed(name: str) -> int:
    """Bytes of its layers in the registry."""
    reference = Reference.parse(name)
    with Repository.of(reference) as repository:
        there = image_in(repository, repository.resolve(name.rpartition(":")[2]), AMD64)
        return sum(layer.size for layer in there.manifest.layers)


def says_the_same(line: Line, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> None:
    """All that containers get of them, but for what the table has."""
    their, own = (dict(item.split("=", 1) for item in said["Env"]) for said in (theirs, ours))
    full = RELEASES[line.release]
    expected = {**their, **{name: full.full_env[name] for name in OF_FULL}}
    assert own == {name: v for name, v in expected.items() if name not in WHILE_BUILDING}
    labels = {name: v for name, v in theirs["Labels"].items() if name not in NVIDIAS}
    assert ours["Labels"] == labels | MULTI
    assert (theirs["User"], ours["User"]) == ("", "0:0")
    for key in ("Entrypoint", "Cmd", "WorkingDir", "ExposedPorts", "Volumes", "Healthcheck"):
        assert ours.get(key) == theirs.get(key), key


def models(folder: Path, line: Line) -> Path:
    """One of each backend, of its name."""
    folder.mkdir()
    for name in line.backends:
        (folder / name / "1").mkdir(parents=True)
        config = CONFIG.format(name)
        if name == "python":
            (folder / name / "1/model.py").write_text(DOUBLE)
            if line.repoagents:
                md5 = hashlib.md5(DOUBLE.encode(), usedforsecurity=False).hexdigest()
                config += 'model_repository_agents { agents { name: "checksum" '
                config += f'parameters {{ key: "MD5:1/model.py" value: "{md5}" }} }} }}\n'
        (folder / name / "config.pbtxt").write_text(config)
    return folder


def answers(port: int, line: Line) -> dict[str, Any]:
    """What the server says of itself and of its models, and answers for each."""
    x = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.5, 2.5]}
    index = ask(port, "/v2/repository/index", {"ready": True})
    return {
        "server": ask(port, "/v2"),
        "ready": sorted(entry["name"] for entry in index),
        **{
            name: ask(port, f"/v2/models/{name}/infer", {"inputs": [x]})["outputs"][0]["data"]
            for name in line.backends
        },
    }


def serves_the_same(line: Line, desk: Desk, theirs: str, ours: str, repository: Path) -> None:
    flags = [CACHE] if line.caches else []
    with served(desk.client, theirs, repository, *flags) as (_, port):
        expected = answers(port, line)
    with served(desk.client, ours, repository, *flags) as (_, port):
        assert answers(port, line) == expected
    assert expected["server"]["version"] == RELEASES[line.release].server
    assert expected["ready"] == sorted(line.backends)
    for name in line.backends:
        assert expected[name] == ([3.0, 5.0] if name == "python" else [1.5, 2.5]), name


@pytest.mark.parametrize("line", LINES, ids=lambda line: " ".join([line.tag, *line.flags]))
def test_docker_makes_the_same_server_and_none_that_is_smaller(
    line: Line, desk: Desk, tmp_path: Path
) -> None:
    with ThreadPoolExecutor(1) as pool:
        building = pool.submit(desk.theirs, line)
        ours = desk.ours(line)
        theirs = building.result()
    found = server(desk.client, ours)
    assert found == {**dict.fromkeys(KINDS, FOLDER), **server(desk.client, theirs)}
    assert found["bin/tritonserver"].mode == 0o755
    own, their = (desk.client.images.get(name).attrs for name in (ours, theirs))
    assert own["Size"] <= their["Size"]
    assert pushed(ours) <= pushed(theirs)
    says_the_same(line, their["Config"], own["Config"])
    if line.serves:
        serves_the_same(line, desk, theirs, ours, models(tmp_path / "models", line))
