"""What backends complete in a config out of their model files, and what they refuse at load.

A config is loaded version by version: each is completed from its own file. The rules are those of
the backends' own code, release r24.10 unless said otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import Problem

from ...formats import Signature
from . import onnxruntime, openvino, tensorflow
from .runtimes import too_new

__all__ = ["DEFAULT_MAX_BATCH_SIZE", "autofill", "too_new", "unknown"]
DEFAULT_MAX_BATCH_SIZE = 4
"""What a server gives its backends as `default-max-batch-size` when nobody says otherwise."""


def unknown(config: Any, signature: Signature) -> list[str]:
    """Why the backend completes more than `autofill` can; to be asked before that."""
    if config.backend == "onnxruntime":
        return onnxruntime.unknown(config, signature)
    return []


def autofill(config: Any, signature: Signature, release: str = "") -> Iterator[Problem]:
    """Completes the ModelConfig in place and yields what the backend would refuse; the key of a
    problem is the place in the config, such as `input[0].dims`.

    `release` is Triton's version; empty: the newest. A part that `unknown` tells of is left as it
    is, and nothing that depends on it is refused.
    """
    if config.backend == "onnxruntime":
        yield from onnxruntime.autofill(config, signature, release, DEFAULT_MAX_BATCH_SIZE)
    elif config.backend == "openvino":
        yield from openvino.autofill(config, signature, DEFAULT_MAX_BATCH_SIZE)
    elif config.platform == "tensorflow_savedmodel":
        yield from tensorflow.autofill(config, signature, DEFAULT_MAX_BATCH_SIZE)
