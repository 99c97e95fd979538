"""A model whose config Triton takes or refuses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MODEL = b"""\
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([]) for _ in requests]
"""
"""Of a Python model, or of a backend: it answers whatever it is asked, with nothing."""
ONE = {"1/model.py": MODEL}


@dataclass(frozen=True)
class Case:
    config: str | None
    """The config.pbtxt; None: there is none."""
    files: Mapping[str, bytes] = field(default_factory=lambda: ONE)
    """All others of the model's folder; a name that ends in / is an empty folder."""


Cases = Mapping[str, Case]

X = 'input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }\n'
Y = 'output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }\n'


def model(more: str = "", *, batch: int = 8, x: str = X, y: str = Y) -> Case:
    """A Python model that loads, with `more` in its config."""
    return Case(f'backend: "python"\nmax_batch_size: {batch}\n{x}{y}{more}')


def files(more: str, stored: Mapping[str, bytes], *, batch: int = 8) -> Case:
    """The same with other files than its version 1."""
    return Case(model(more, batch=batch).config, stored)
