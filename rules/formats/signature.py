"""What a model takes and gives, as its file says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tritonbuild.rule import Problem


@dataclass(frozen=True)
class TensorInfo:
    """One input or output."""

    name: str
    datatype: str
    """ModelConfig's name for it, such as `TYPE_FP32`; `TYPE_INVALID` where ModelConfig has none;
    empty when the file does not say."""
    shape: tuple[int, ...] | None
    """All dimensions, a batch dimension too; -1 varies. None: the file does not say how many."""
    optional: bool = False
    """An input that the model has a value for, which a request may replace."""
    is_inferred: bool = False
    """The runtime works out more of the shape than the file states: a dimension that varies here
    may be fixed there."""
    kind: str = "tensor"
    """What it is instead of a tensor: `sequence`, `map`, `optional`, `sparse tensor`."""
    layout: str = ""
    """The dimensions' meaning, where the format has a word for it: `NCHW`, `N...`."""


@dataclass(frozen=True)
class Signature:
    """Inputs and outputs in the model's own order, and what else is known: `opset`, `producer`."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    facts: Mapping[str, str] = field(default_factory=dict)


class FormatError(Exception):
    """A file is not the model that its place is for."""

    def __init__(self, problem: Problem):
        super().__init__(str(problem))
        self.problem = problem
