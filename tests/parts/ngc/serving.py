"""Servers of images in Docker, with models of a release's backends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from docker import DockerClient
from docker.models.containers import Container

from parts.answering import started

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
        yield container, started(container)
    finally:
        container.remove(force=True, v=True)
