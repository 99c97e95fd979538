"""A golden case: requests with the answers that a model must give."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from tritonbuild.rule import KeyPath, Problem, dotted

from .tensors import Tensor

Parameter = bool | int | float | str
LARGE = 4096
"""Values of a tensor: a larger one would make a JSON file that nobody wants to read."""


class CaseError(ValueError):
    """A file is not a case; the problem says where in it, and in which line if that is known."""

    def __init__(
        self,
        found: str,
        expected: str = "",
        key: KeyPath = (),
        remedy: str = "",
        line: int | None = None,
    ):
        self.problem = Problem(found, expected, remedy, key=dotted(key), line=line)
        place = f"{dotted(key)}: " if key else ""
        super().__init__(f"{place}{found}" + (f": expected {expected}" if expected else ""))


@dataclass(frozen=True)
class Request:
    inputs: tuple[Tensor, ...]
    responses: tuple[tuple[Tensor, ...], ...]
    """What must come back, in this order; outputs that are not listed are not looked at."""
    streams: bool = False
    """Asked so that any number of responses may come, as a decoupled model has to be. If not, it
    is just one."""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)

    @property
    def outputs(self) -> tuple[Tensor, ...]:
        """Of all responses."""
        return tuple(tensor for response in self.responses for tensor in response)


@dataclass(frozen=True)
class Case:
    requests: tuple[Request, ...]
    sequence: bool = False
    """They belong together: a stateful model gets them with one correlation id. If not, there is
    just one."""
    model: str = ""
    """Triton's name; empty: the target's only one."""
    version: str = ""
    """Empty: the server's choice."""


def is_large(case: Case) -> bool:
    """Whether nobody would want to read it as text."""
    tensors = (t for request in case.requests for t in (*request.inputs, *request.outputs))
    return any(tensor.values.size > LARGE for tensor in tensors)


def checked(case: Case) -> Case:
    """The case, once it is sure that it can be asked and proves something. Raises CaseError."""
    if not case.requests:
        raise CaseError("no request", "at least one", ("sequence",))
    for number, request in enumerate(case.requests):
        here: KeyPath = ("sequence", number) if case.sequence else ()
        _twice(request.inputs, (*here, "inputs"))
        for index, response in enumerate(request.responses):
            below = ("responses", index) if request.streams else ("outputs",)
            _twice(response, (*here, *below))
        for name, value in request.parameters.items():
            _parameter(name, value, (*here, "parameters", name))
    if not any(request.streams or request.outputs for request in case.requests):
        raise CaseError("no outputs", "at least one answer to compare")
    return case


def _twice(tensors: tuple[Tensor, ...], key: KeyPath) -> None:
    names = [tensor.name for tensor in tensors]
    for name in names:
        if names.count(name) > 1:
            raise CaseError(f"tensor {name!r} is there twice", key=key)
        if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise CaseError(f"tensor {name!r}", "a name in UTF-8, without NUL", key)


def _parameter(name: str, value: object, key: KeyPath) -> None:
    """What the protocol's own parameters are, and what a parameter may be at all."""
    if name.startswith(("sequence_", "triton_")):
        raise CaseError(f"parameter {name!r}", "no name that Triton keeps for itself", key)
    if name in ("priority", "timeout"):
        if type(value) is not int or not 0 <= value < 2**63:
            raise CaseError(f"{name} is {value!r}", "a whole number from 0", key)
    elif type(value) not in (bool, int, float, str):
        raise CaseError(f"{name} is {value!r}", "a string, a number, true or false", key)
    elif isinstance(value, str) and "\0" in value:
        raise CaseError(f"{name} is {value!r}", "a string without NUL", key)
    elif type(value) is int and not -(2**63) <= value < 2**63:
        raise CaseError(f"{name} is {value!r}", "a whole number of 64 bits", key)
    elif type(value) is float and not math.isfinite(value):
        raise CaseError(f"{name} is {value!r}", "a finite number", key)
