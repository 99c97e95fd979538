"""What only a running server knows of a model's config: one is started with it and asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tritonbuild.rule import Artifact, Context, GpuNeed, Needs, ToolContext, tool

from ..distribution import DistributionInfo
from ..model_config.completion import Full, never_completes
from ..model_config.sources import after, leaves
from ..servable import ModelInfo, servable
from .inputs import served
from .layout import ENVIRONMENT_KEY

CONFIG = "config.json"
OFFLINE = "offline.json"
"""Where the tool finds what is known without a server."""
TIMEOUT = 600.0
"""Seconds that the model may take to load."""
GPU_BACKENDS = ("tensorrt", "tensorrtllm", "vllm")
"""Their models load only where there is a GPU, and what they say may depend on which."""


def may_know_more(model: ModelInfo) -> bool:
    """Whether a server may know more of a model's config than can be told from its files."""
    backend = model.backend
    return backend is not None and not never_completes(
        backend.name, python_based=backend.python_based
    )


def asked(ctx: Context[Any], distribution: DistributionInfo, model: ModelInfo) -> Artifact:
    """A file: the full config as a server of this distribution completes it, in the format of
    `model_config.completion.Full`. No server is started where nothing is unknown."""
    inputs, parameters = served(ctx, distribution, servable(ctx, [model], "").models)
    made = ctx.tool(
        ask,
        name=f"ask {model.label}",
        parameters=parameters | {"name": model.name},
        inputs=inputs | {OFFLINE: model.config},
        outputs=[CONFIG],
        needs=Needs(gpu=GpuNeed() if is_on_gpu(model) else None),
    )
    return made[CONFIG]


def is_on_gpu(model: ModelInfo) -> bool:
    """Whether a server can be asked of it only where there is a GPU; then that is in the key."""
    return model.backend is not None and model.backend.name in GPU_BACKENDS


@tool("ask", version=1, libraries=("protobuf", "tritonclient"))
def ask(ctx: ToolContext) -> None:
    """Starts a server with a model and what it needs, and writes the model's config. Raises
    ActionError with the server's reason when it does not come up."""
    offline = Full.from_json(ctx.read(OFFLINE))
    full = _asked(ctx, offline) if offline.unknown else offline
    ctx.write(CONFIG, full.to_json())


def _asked(ctx: ToolContext, offline: Full) -> Full:
    from .layout import lay_out
    from .model_status import config_of
    from .process import server

    name, log = ctx.parameters["name"], ctx.scratch / "server.log"
    log.touch()
    layout = lay_out(ctx, ctx.scratch / "server")
    if not wants_gpu(offline.config):
        # What it says of instances must not depend on this machine's devices.
        layout = replace(layout, variables={**layout.variables, "CUDA_VISIBLE_DEVICES": ""})
    with server(ctx, layout, log, timeout=TIMEOUT) as running:
        config: Any = config_of(running, name)
    if ENVIRONMENT_KEY in config.parameters and ENVIRONMENT_KEY not in offline.config.parameters:
        del config.parameters[ENVIRONMENT_KEY]  # where its environment lies here
    known = dict(leaves(offline.config))
    return Full(config, after(known, offline.sources, config, "server"), [], offline.advice)


def wants_gpu(config: Any) -> bool:
    """Whether a model with this config loads only where there is a GPU."""
    on_gpu = any(group.kind == group.KIND_GPU for group in config.instance_group)
    return on_gpu or config.backend in GPU_BACKENDS
