"""The backends' own rules, a module for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..subject import Finding, Subject
from .fil import fil
from .identity import identity
from .onnxruntime import onnxruntime
from .openvino import openvino
from .python import python
from .pytorch import pytorch
from .tensorrt import tensorrt

RULES: Mapping[str, Callable[[Subject], Iterator[Finding]]] = {
    "fil": fil,
    "identity": identity,
    "onnxruntime": onnxruntime,
    "openvino": openvino,
    "python": python,
    "pytorch": pytorch,
    "tensorrt": tensorrt,
}


def backend(subject: Subject) -> Iterator[Finding]:
    if subject.own_backend:
        return  # only called like one of Triton's
    if (rule := RULES.get(subject.config.backend)) is not None:
        yield from rule(subject)
