"""What only a running server knows of a model's config: one is started with it and asked."""

from __future__ import annotations

from typing import Any

from tritonbuild.rule import Artifact, Context, GpuNeed, Needs, ToolContext, tool

from ..distribution import DistributionInfo
from ..model_config.completion import Full, never_completes
from ..model_config.environment import KEY as ENVIRONMENT_KEY
from ..model_config.sources import after, leaves
from ..servable import ModelInfo, servable
from .inputs import served

CONFIG = "config.json"
OFFLINE = "offline.json"
"""Where the tool finds what is known without a server."""
TIMEOUT = 600.0
"""Seconds that the model may take to load."""
NO_GPU = "say so in the manifest, so that a GPU is found for it: config.instance_group"


def may_know_more(model: ModelInfo) -> bool:
    """Whether a server may know more of a model's config than can be told from its files."""
    backend = model.backend
    return backend is not None and not never_completes(
        backend.name, own=backend.is_own or model.brings_backend
    )


def asked(ctx: Context[Any], distribution: DistributionInfo, model: ModelInfo) -> Artifact:
    """A file: the full config as a server of this distribution completes it, in the format of
    `model_config.completion.Full`. No server is started where nothing is unknown."""
    models = servable(ctx, [model], "").models
    on_gpu = any(each.wants_gpu for each in models)
    inputs, parameters = served(ctx, distribution, models)
    made = ctx.tool(
        ask,
        name=f"ask {model.label}",
        parameters=parameters | {"name": model.name},
        inputs=inputs | {OFFLINE: model.config},
        outputs=[CONFIG],
        needs=Needs(gpu=GpuNeed() if on_gpu else None),
    )
    return made[CONFIG]


@tool("ask", version=2, libraries=("protobuf", "tritonclient"))
def ask(ctx: ToolContext) -> None:
    """Starts a server with a model and what it needs, and writes the model's config. Raises
    ActionError with the server's reason when it does not come up."""
    offline = Full.from_json(ctx.read(OFFLINE))
    full = _asked(ctx, offline) if offline.unknown else offline
    ctx.write(CONFIG, full.to_json())


def _asked(ctx: ToolContext, offline: Full) -> Full:
    from .diagnose import ServerError, without_gpu
    from .launch import FromLayout
    from .layout import lay_out
    from .model_status import config_of
    from .process import server

    name, log = ctx.parameters["name"], ctx.scratch / "server.log"
    log.touch()
    layout = lay_out(ctx, ctx.scratch / "server")
    try:
        with server(ctx, FromLayout(layout), log, timeout=TIMEOUT) as running:
            config: Any = config_of(running, name)
    except ServerError as error:
        if ctx.gpus:
            raise
        raise ServerError(*without_gpu(error.problems, NO_GPU)) from None
    if ENVIRONMENT_KEY in config.parameters and ENVIRONMENT_KEY not in offline.config.parameters:
        del config.parameters[ENVIRONMENT_KEY]  # where its environment lies here
    known = dict(leaves(offline.config))
    return Full(config, after(known, offline.sources, config, "server"), [], offline.advice)
