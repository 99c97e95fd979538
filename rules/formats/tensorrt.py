"""TensorRT's plans. Their format is not published: a plan is known by its first bytes, as
https://github.com/pytorch/TensorRT knows it, and its inputs and outputs by running it only.
"""

from __future__ import annotations

KIND = "a TensorRT plan"
MAGIC = b"ftrt"
_MAJOR = 24
"""Where TensorRT's major version stands, as told in
https://github.com/NVIDIA/TensorRT/issues/3073."""


def is_plan(head: bytes) -> bool:
    """Whether a file begins as a plan does."""
    return head.startswith(MAGIC)


def major_version(head: bytes) -> str:
    """TensorRT's that built the plan, from its first bytes; empty where it cannot be told."""
    if not is_plan(head) or len(head) <= _MAJOR or not 8 <= head[_MAJOR] <= 30:
        return ""
    return str(head[_MAJOR])
