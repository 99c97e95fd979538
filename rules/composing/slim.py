"""What a distribution may leave out of what is cut out of `full`, and what is lost with it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

SLIM = {
    "headers": "whatever compiles backends in the image",
    "static-libraries": "likewise",
    "onnxruntime-cuda": "ONNX models on GPUs",
    "onnxruntime-openvino": "its execution accelerator for CPUs",
    "onnxruntime-tensorrt": "its execution accelerator for GPUs",
    "onnxruntime-tools": "its programs for measuring",
    "tensorrt-builder": "making plans, and with them ONNX Runtime's and PyTorch's TensorRT",
}
_PATTERNS = {
    "headers": r".*/include/.*|.*\.(h|hpp|cuh)",
    "static-libraries": r".*\.l?a",
    "onnxruntime-cuda": r".*/libonnxruntime_providers_cuda\.so[^/]*",
    "onnxruntime-openvino": r".*/backends/onnxruntime/"
    r"(libonnxruntime_providers_openvino|libopenvino|libtbb)[^/]*",
    "onnxruntime-tensorrt": r".*/libonnxruntime_providers_tensorrt\.so[^/]*",
    "onnxruntime-tools": r".*/(onnxruntime_perf_test|onnx_test_runner)",
    "tensorrt-builder": r".*/libnvinfer_builder_resource[^/]*",
}
"""Of the paths of files."""


@cache
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_PATTERNS[name] for name in sorted(names)) or r"(?!)")


def left_out(path: str, names: Iterable[str]) -> bool:
    return _pattern(tuple(names)).fullmatch(path) is not None
