"""A server of a composed image has what that of `full` has: with each model, no file is mapped in
`full` that ours has not, by the server or by a stub, and the answers are the same."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from docker import DockerClient
from docker.models.containers import Container
from parts.answering import ask
from parts.composing import Flags, composed, standing
from parts.dockerd import Dockerd
from parts.ngc.releases import LIBRARIES
from parts.ngc.server import HOME
from parts.ngc.serving import CACHE, CONFIG, NATIVE, models, served
from parts.ngc.shelf import NAME, ngc

pytestmark = pytest.mark.xdist_group(__name__)

EVERYTHING = """\
import importlib, socket, ssl, sys
import numpy.fft, numpy.linalg, numpy.random
import triton_python_backend_utils as pb_utils

def there(name):
    try:
        importlib.import_module(name)
    except ImportError:
        return False
    return True

NAMES = sorted(sys.stdlib_module_names - {"antigravity", "this"})
FOUND = sum(map(there, NAMES))
ssl.create_default_context()
socket.getaddrinfo("localhost", 80)
numpy.linalg.inv(numpy.eye(64) * 2)

class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([
                pb_utils.Tensor("y", pb_utils.get_input_tensor_by_name(r, "x").as_numpy() + FOUND)
            ])
            for r in requests
        ]
"""
"""Imports all of Python's own library that there is, and answers how much that was."""
COMPOSED = {
    **{name: [f"--backend={name}"] for name in NATIVE},
    "everything": ["--backend=python"],
    "whole": [
        *(f"--backend={name}" for name in (*NATIVE, "python")),
        "--repoagent=checksum", "--cache=local",
    ],
}  # fmt: skip
"""What images are composed of: for one model alone, and for all."""
FLAGS = {"double": [CACHE]}
"""Model → flags of its server; besides, the checksum agent looks at this one."""
DAMAGE = {
    "onnxruntime": f"rm /{HOME}/backends/onnxruntime/libonnxruntime_providers_openvino.so",
    "everything": f"rm $(realpath /{LIBRARIES}/libsqlite3.so.0)",
    "identity": f"echo >> $(realpath /{LIBRARIES}/libb64.so.0d)",
}
"""Model → what is done to an image that serves it all the same: nothing names the first file, the
model makes do without what names the second, the third is as good as before."""


class Loaded(NamedTuple):
    """A server that has answered a model's request."""

    files: dict[str, str]
    """Path → SHA-256 of what it and its stubs have mapped."""
    answer: Any


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ngc(tmp_path_factory.mktemp("ngc"), "24.10") as running:
        yield running


@pytest.fixture(scope="module")
def client(docker_daemon: Dockerd, host: str) -> Iterator[DockerClient]:
    """Of a daemon that has `full`."""
    client = docker_daemon.client()
    client.api.timeout = 300
    client.images.pull(f"{host}/{NAME}", "24.10-py3")
    yield client
    client.close()


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = models(tmp_path_factory.mktemp("repository"), NATIVE)
    (folder / "everything/1").mkdir(parents=True)
    (folder / "everything/1/model.py").write_text(EVERYTHING)
    (folder / "everything/config.pbtxt").write_text(CONFIG.format("python"))
    return folder


@pytest.fixture(scope="module")
def ours(
    client: DockerClient,
    host: str,
    docker_daemon: Dockerd,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], str]:
    """Composes an image, in Docker; gives its name there."""
    place = tmp_path_factory.mktemp("composed")
    folder = standing(place, place / "cache")
    folder.environment["DOCKER_HOST"] = docker_daemon.host
    full = f"{host}/{NAME}:24.10-py3"
    flags = Flags(f"{full}-min", full).all

    @cache
    def compose(name: str) -> str:
        image = f"equal/with-{name}:v1"
        composed(folder, *flags, *COMPOSED[name], "--load", f"--output-name={image}")
        return image

    return compose


@pytest.fixture(scope="module")
def full(client: DockerClient, host: str, repository: Path) -> Callable[[str], Loaded]:
    """What there is in `full` when it serves a model."""
    return cache(lambda model: loaded(client, f"{host}/{NAME}:24.10-py3", repository, model))


def loaded(client: DockerClient, image: str, repository: Path, model: str) -> Loaded:
    """Of a server that has loaded no other model."""
    flags = ("--model-control-mode=explicit", f"--load-model={model}", *FLAGS.get(model, ()))
    with served(client, image, repository, *flags) as (container, port):
        values = {"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.5, 2.5]}
        answer = ask(port, f"/v2/models/{model}/infer", {"inputs": [values]})
        return Loaded(mapped(container), answer["outputs"])


def mapped(container: Container) -> dict[str, str]:
    """By all of its processes; but not of the repository, and not what they made for themselves."""
    top: Any = container.top()
    found: dict[str, str] = {}
    for process in top["Processes"]:
        folder = Path("/proc", process[top["Titles"].index("PID")])
        for line in (folder / "maps").read_text().splitlines():
            path = line.partition("/")[2]
            if not path or path.endswith(" (deleted)") or f"/{path}" in found:
                continue
            if not path.startswith(("dev/", "memfd:", "models/")):
                content = (folder / "root" / path).read_bytes()
                found[f"/{path}"] = hashlib.sha256(content).hexdigest()
    return found


def missing(full: Loaded, ours: Loaded) -> set[str]:
    """What is mapped in `full` and not in ours, or is another file there."""
    return {path for path, digest in full.files.items() if ours.files.get(path) != digest}


@pytest.mark.parametrize("model", [*NATIVE, "double", "everything"])
def test_a_server_with_all_backends_has_what_full_has(
    model: str,
    client: DockerClient,
    repository: Path,
    full: Callable[[str], Loaded],
    ours: Callable[[str], str],
) -> None:
    found = loaded(client, ours("whole"), repository, model)
    assert missing(full(model), found) == set()
    assert found.answer == full(model).answer
    names = {Path(path).name for path in full(model).files}
    backend = model if model in NATIVE else "python"
    assert {"tritonserver", "libtritonserver.so", f"libtriton_{backend}.so"} <= names
    assert ("triton_python_backend_stub" in names) == (backend == "python")


@pytest.mark.parametrize("model", [name for name in COMPOSED if name != "whole"])
def test_a_server_with_one_backend_has_what_full_has(
    model: str,
    client: DockerClient,
    repository: Path,
    full: Callable[[str], Loaded],
    ours: Callable[[str], str],
) -> None:
    found = loaded(client, ours(model), repository, model)
    assert missing(full(model), found) == set()
    assert found.answer == full(model).answer


@pytest.mark.parametrize("model", DAMAGE)
def test_a_file_that_is_gone_or_another_is_missed(
    model: str,
    client: DockerClient,
    repository: Path,
    full: Callable[[str], Loaded],
    ours: Callable[[str], str],
) -> None:
    steps = f"FROM {ours(model)}\nRUN {DAMAGE[model]}\n"
    damaged, _ = client.images.build(fileobj=BytesIO(steps.encode()), rm=True)
    assert damaged.id
    try:
        found = loaded(client, damaged.id, repository, model)
    finally:
        client.images.remove(damaged.id, force=True)
    file = DAMAGE[model].rpartition("/")[2].rstrip(")")
    assert [path for path in missing(full(model), found) if Path(path).name.startswith(file)]
    # Answers alone do not tell it of all.
    assert (found.answer == full(model).answer) == (model != "everything")
