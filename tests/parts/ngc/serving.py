"""Servers of images in Docker, with models of a release's backends."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from docker import DockerClient
from docker.models.containers import Container

from parts.leftovers import eventually

DEADLINE = 120
"""Seconds, until a server is ready."""
CACHE = "--cache-config=local,size=1048576"
NATIVE = ("dali", "identity", "onnxruntime", "openvino", "pytorch", "repeat", "square")
"""Backends of 24.10 that serve a model that is nothing but a config."""
CONFIG = (
    'backend: "{}"\nmax_batch_size: 4\n'
    'input {{ name: "x" data_type: TYPE_FP32 dims: -1 }}\n'
    'output {{ name: "y" data_type: TYPE_FP32 dims: -1 }}\n'
)
DOUBLE = """\
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([
                pb_utils.Tensor("y", pb_utils.get_input_tensor_by_name(r, "x").as_numpy() * 2)
            ])
            for r in requests
        ]
"""


def ask(port: int, path: str, body: Any = None) -> Any:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return json.loads(content) if content else None
    finally:
        connection.close()


def is_ready(port: int) -> bool:
    try:
        ask(port, "/v2/health/ready")
    except (OSError, HTTPException, AssertionError):
        return False
    return True


def models(folder: Path, backends: tuple[str, ...]) -> Path:
    """One for each backend, and `double`, of Python, that the checksum agent looks at."""
    for name in backends:
        (folder / name / "1").mkdir(parents=True)
        (folder / name / "config.pbtxt").write_text(CONFIG.format(name))
    double = folder / "double"
    (double / "1").mkdir(parents=True)
    (double / "1/model.py").write_text(DOUBLE)
    md5 = hashlib.md5(DOUBLE.encode(), usedforsecurity=False).hexdigest()
    (double / "config.pbtxt").write_text(
        CONFIG.format("python") + 'model_repository_agents { agents { name: "checksum" '
        f'parameters {{ key: "MD5:1/model.py" value: "{md5}" }} }} }}\n'
    )
    return folder


@contextmanager
def served(
    client: DockerClient, image: str, repository: Path, *flags: str
) -> Iterator[tuple[Container, int]]:
    """A container whose server is ready, and its HTTP port."""
    container = client.containers.create(
        image,
        ["tritonserver", "--model-repository=/models", *flags],
        volumes={str(repository): {"bind": "/models", "mode": "ro"}},
        ports={"8000/tcp": ("127.0.0.1", 0)},
        shm_size=128 << 20,
    )
    try:
        container.start()
        container.reload()
        port = int(container.attrs["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"])

        def settled() -> bool:
            container.reload()
            return container.status != "running" or is_ready(port)

        eventually(settled, DEADLINE)
        assert container.status == "running", container.logs().decode()
        yield container, port
    finally:
        container.remove(force=True, v=True)
