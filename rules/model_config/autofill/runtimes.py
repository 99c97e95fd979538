"""How new a model a release's onnxruntime reads. A server that loads it says so no earlier."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import Problem

from ...formats import Signature
from ..releases import before

ONNXRUNTIME = (
    ("2.50", "1.19", 10, 21),
    ("2.56", "1.21", 10, 22),
    ("2.60", "1.23", 11, 23),
    ("2.66", "1.24", 13, 25),
    ("2.71", "1.27", 13, 26),
)
"""Triton's release, the onnxruntime that it brings, and that one's newest IR version and opset, as
found with onnxruntime's releases on PyPI."""
KNOWN_UNTIL = "2.73"
"""Of later releases nothing is known yet."""


def too_new(config: Any, signature: Signature, release: str) -> Iterator[Problem]:
    """What the onnxruntime of a release cannot read of a model. Nothing for other backends, and
    where the release is not known."""
    if config.backend != "onnxruntime" or not before(release, KNOWN_UNTIL):
        return
    known = [entry for entry in ONNXRUNTIME if not before(release, entry[0])]
    if not known:
        return
    _, runtime, *most = known[-1]
    said = (signature.facts.get("ir_version", ""), signature.facts.get("opset", ""))
    for what, version, newest in zip(("IR version", "opset"), said, most, strict=True):
        if version.isdecimal() and int(version) > newest:
            yield Problem(
                f"the model has {what} {version}",
                f"at most {newest}, which the onnxruntime {runtime} of Triton {release} reads",
                "export the model for it, or serve it with a newer release",
                key="backend",
            )
