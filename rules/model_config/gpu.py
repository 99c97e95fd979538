"""Whether a model runs on a GPU."""

from __future__ import annotations

from typing import Any

GPU_BACKENDS = ("tensorrt", "tensorrtllm", "vllm")
"""Their models load only where there is a GPU, and what they say may depend on which."""


def wants_gpu(config: Any) -> bool:
    """Whether a model with this config, which may be a part of it, loads only where there is a
    GPU."""
    on_gpu = any(group.kind == group.KIND_GPU for group in config.instance_group)
    return on_gpu or config.backend in GPU_BACKENDS
