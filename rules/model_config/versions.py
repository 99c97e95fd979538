"""The versions of a model: their numbers, and the names that backends know their files by."""

from __future__ import annotations

import re

LARGEST = 2**63 - 1
FILE_NAMES = {
    "dali": ("model.dali", "dali.py"),
    "onnxruntime": ("model.onnx",),
    "openvino": ("model.xml",),
    "python": ("model.py",),
    "pytorch": ("model.pt",),
    "tensorrt": ("model.plan",),
    "vllm": ("model.json",),
}
"""What a backend opens in a version folder when the config names no file; the first is its
default, any will do."""
PLATFORM_FILE_NAMES = {
    "tensorflow_graphdef": ("model.graphdef",),
    "tensorflow_savedmodel": ("model.savedmodel",),
    "torch_aoti": ("model.pt2",),
}
"""The same, where the config's platform decides."""


def wrong_number(number: str) -> tuple[str, str] | None:
    """What is wrong with a version's name and the remedy; None when nothing is.

    Triton skips folders whose name begins with 0 (its code lets `0` itself pass, its
    documentation does not), and takes `1abc` for version 1.
    """
    if re.fullmatch(r"[1-9][0-9]*", number):
        if int(number) <= LARGEST:
            return None
        return f"{number!r} does not fit into 64 bits", "number the versions 1, 2, 3 …"
    digits = re.match(r"0*([1-9][0-9]*)", number)
    remedy = f"write {digits[1]}" if digits else "number the versions 1, 2, 3 …"
    return f"{number!r} is not a version number", remedy


def file_names(backend: str, platform: str, configured: str) -> tuple[str, ...]:
    """What a version folder has to hold one of, the first for choice; empty when not known.

    `configured` is the config's default_model_filename.
    """
    if configured:
        return (configured,)
    return PLATFORM_FILE_NAMES.get(platform) or FILE_NAMES.get(backend, ())
