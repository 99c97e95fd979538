"""ONNX models for tests, made with the onnx package."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx
from onnx import TensorProto, helper

FLOAT = TensorProto.FLOAT
Dims = Sequence[int | str | None] | None


def value(name: str, dims: Dims, datatype: int = FLOAT) -> Any:
    """An input or output; dims None: no shape, a dim None: nothing said of it."""
    return helper.make_tensor_value_info(name, datatype, dims)


def model(
    inputs: Sequence[Any],
    outputs: Sequence[Any],
    nodes: Sequence[Any] | None = None,
    initializers: Sequence[Any] = (),
    *,
    ir_version: int = 8,
    opset: int = 17,
    sparse: Sequence[Any] = (),
) -> onnx.ModelProto:
    """A model; without nodes its output `y` is its input `x`."""
    graph = helper.make_graph(
        list(nodes or [helper.make_node("Identity", ["x"], ["y"])]),
        "graph",
        list(inputs),
        list(outputs),
        list(initializers),
        sparse_initializer=list(sparse),
    )
    return helper.make_model(
        graph,
        ir_version=ir_version,
        opset_imports=[helper.make_opsetid("", opset)],
        producer_name="tests",
    )


def identity(inputs: Dims, outputs: Dims, datatype: int = FLOAT) -> onnx.ModelProto:
    """y = x, with whatever shapes are stated."""
    return model([value("x", inputs, datatype)], [value("y", outputs, datatype)])
