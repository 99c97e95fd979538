"""ONNX models for `lint.py`, and what peers take to judge them. Run with an interpreter that has
the peers:

    python benchmarks/onnx_models.py make FOLDER COUNT   # m0.onnx …, one of them of 50 MB
    python benchmarks/onnx_models.py check FOLDER        # onnx.load and the checker; seconds
    python benchmarks/onnx_models.py session FOLDER      # onnxruntime's InferenceSession; seconds
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

LAYERS = 24
WIDTH, LARGE = 56, 720
"""Of a layer's square of weights: about 300 KB a model, and 50 MB."""


def make(folder: Path, count: int) -> None:
    random = np.random.default_rng(1)
    for number in range(count):
        model = dense(random, LARGE if number == count // 2 else WIDTH, number)
        (folder / f"m{number}.onnx").write_bytes(model.SerializeToString())


def dense(random: np.random.Generator, width: int, number: int) -> onnx.ModelProto:
    """Layers of matrix, bias and activation, as exporters write them."""
    nodes, weights = [], []
    for layer in range(LAYERS):
        name = f"model/layer_{layer}"
        given = f"{name}/in" if layer else "features"
        gives = f"model/layer_{layer + 1}/in" if layer + 1 < LAYERS else "scores"
        for kind, shape in (("weight", (width, width)), ("bias", (width,))):
            content = random.standard_normal(shape, np.float32)
            weights.append(numpy_helper.from_array(content, f"{name}/{kind}"))
        dense = [given, f"{name}/weight", f"{name}/bias"]
        nodes.append(helper.make_node("Gemm", dense, [f"{name}/dense"], f"{name}/Gemm", transB=1))
        nodes.append(helper.make_node("Relu", [f"{name}/dense"], [gives], f"{name}/Relu"))
    graph = helper.make_graph(
        nodes,
        f"model {number}",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", width])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", width])],
        weights,
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, ir_version=8, opset_imports=opset)


def check(file: Path) -> None:
    onnx.checker.check_model(onnx.load(file))


def session(file: Path) -> None:
    import onnxruntime  # type: ignore[import-untyped]

    onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def seconds(judge: Callable[[Path], None], folder: Path) -> float:
    start = time.perf_counter()
    for file in sorted(folder.rglob("*.onnx")):
        judge(file)
    return time.perf_counter() - start


def main() -> None:
    verb, folder, *rest = sys.argv[1:]
    if verb == "make":
        make(Path(folder), int(rest[0]))
    else:
        print(seconds({"check": check, "session": session}[verb], Path(folder)))


if __name__ == "__main__":
    main()
