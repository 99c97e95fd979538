"""A workspace for models on the real server of PyPI's release, and models to put into it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from contextlib import closing
from http.client import HTTPConnection
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from parts.tree import Tree
from tritonbuild.cancel import Cancellation
from tritonbuild.label import Label
from tritonbuild.rule import ToolContext, tool
from tritonbuild.serve import serve
from tritonbuild.session import Session

MANIFEST = """\
[workspace]
name = "models"
distribution = "//:pypi"
[distributions.pypi]
pypi = "nvidia-pytriton==0.7.0"
[backends.python]
[backends.onnxruntime]
path = "onnxruntime"
requirements = ["onnxruntime>=1.20,<2"]
[repoagents.checksum]
[caches.local]
"""
SCALE = """\
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse([
                pb_utils.Tensor("y", pb_utils.get_input_tensor_by_name(r, "x").as_numpy() * FACTOR)
            ])
            for r in requests
        ]
"""
IO = (
    'input = [{{ name = "x", data_type = "FP32", dims = {0} }}]\n'
    'output = [{{ name = "y", data_type = "FP32", dims = {0} }}]\n'
)


def scale(factor: float) -> str:
    """A model.py: y is x times a factor."""
    return SCALE.replace("FACTOR", f"np.float32({factor})")


def io(*dims: int) -> str:
    """What the config of such a model says."""
    return IO.format(list(dims))


def onnx_add(amount: float, *shape: int | str) -> bytes:
    """An ONNX model: z is y plus an amount."""
    from onnx import TensorProto, helper

    y, z = (helper.make_tensor_value_info(n, TensorProto.FLOAT, list(shape)) for n in "yz")
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [amount])
    node = helper.make_node("Add", ["y", "one"], ["z"])
    graph = helper.make_graph([node], "add", [y], [z], [one])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def tree_of_models(
    root: Path, cache: Path, patch: pytest.MonkeyPatch, files: Mapping[str, str | bytes]
) -> Tree:
    """A workspace with a real Triton."""
    patch.setenv("TRITONBUILD_CACHE_DIR", str(cache))
    tree = Tree(root)
    shutil.copytree(ROOT / "examples/quickstart/backends/onnxruntime", root / "onnxruntime")
    shutil.copy(ROOT / "examples/quickstart/triton.lock", root)
    tree.write({"triton.toml": MANIFEST, **files})
    return tree


class Asked:
    """A running server."""

    def __init__(self, port: int, log: Path):
        self._port = port
        self._log = log

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def json(self, method: str, path: str, body: Any = None) -> Any:
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=60)) as connection:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse().read()
        return json.loads(answer) if answer else None

    def infer(self, model: str, name: str, values: list[float], *, rows: int = 0) -> Any:
        """The answer's outputs, name → data; `rows` of the values make a batch."""
        shape = [rows, len(values) // rows] if rows else [len(values)]
        tensor = {"name": name, "shape": shape, "datatype": "FP32", "data": values}
        answer = self.json("POST", f"/v2/models/{model}/infer", {"inputs": [tensor]})
        assert "outputs" in answer, answer
        return {output["name"]: output["data"] for output in answer["outputs"]}

    def statistics(self, model: str) -> dict[str, Any]:
        (found,) = self.json("GET", f"/v2/models/{model}/stats")["model_stats"]
        return dict(found)


def ask(
    tree: Tree,
    label: str,
    patch: pytest.MonkeyPatch,
    body: Callable[[Asked], None],
    repository: Path | None = None,
) -> None:
    """Serves a target as `tritonbuild run` does, or another repository in its place, and runs
    `body` against the server. Raises what either raises."""
    from tritonbuild.rules.server.launch import FromLayout
    from tritonbuild.rules.server.layout import lay_out
    from tritonbuild.rules.server.process import server

    def step(ctx: ToolContext) -> None:
        log = ctx.scratch / "log"
        layout = lay_out(ctx, ctx.scratch / "server")
        if repository:
            shutil.rmtree(layout.repository)
            layout.repository.symlink_to(repository)
        with server(ctx, FromLayout(layout), log, timeout=120) as running:
            body(Asked(running.ports.http, log))

    module = import_module("tritonbuild.rules.server.serve")
    patch.setattr(module, "serve", tool("serve", version=1)(step))
    package, _, name = label.removeprefix("//").partition(":")
    with Session(tree.root, lambda event: None, Cancellation()) as session:
        report = serve(session, Label(package, name), {})
    assert not report.exit_code, report.problems
