"""What `tritonbuild run` starts: a server on the standard ports, until it is stopped."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any

from tritonbuild.rule import Context, Problem, RunInfo, ToolContext, UsageError, tool

from ..distribution import DistributionInfo
from ..servable import ModelInfo
from .inputs import served

PORTS = {"http_port": 8000, "grpc_port": 8001, "metrics_port": 8002}
"""Triton's own."""
INTERVAL = 0.2
"""Seconds between looks at the server and its log."""


def serve_info(
    ctx: Context[Any], distribution: DistributionInfo, models: Iterable[ModelInfo]
) -> RunInfo:
    """Provider: these models, served by a distribution."""
    inputs, parameters = served(ctx, distribution, models)
    return ctx.interactive(serve, parameters=parameters | PORTS, inputs=inputs)


def _port(name: str, value: object) -> int:
    if not isinstance(value, int) or not 0 < value < 1 << 16:
        raise UsageError(Problem(f"{name} is {value!r}", "a port, 1 to 65535"))
    return value


@tool("serve", version=1)
def serve(ctx: ToolContext) -> int:
    """Serves until the build is cancelled or the server ends; its log is shown as it comes."""
    from .layout import lay_out
    from .ports import LOOPBACK, Ports
    from .process import server

    chosen = Ports(*(_port(name, ctx.parameters[name]) for name in PORTS))
    log = ctx.scratch / "server.log"
    layout = lay_out(ctx, ctx.scratch / "server", all_gpus=True)
    log.touch()
    with (
        log.open(errors="replace") as said,
        server(
            ctx,
            layout,
            log,
            timeout=float("inf"),
            fixed=chosen,
            glance=lambda: _show(said.read(), ctx),
        ) as running,
    ):
        for model in running.models():
            state = model.get("state") or "not loaded"
            _show(f"{model['name']} version {model.get('version', '?')}: {state}\n", ctx)
        _show(
            f"HTTP     http://{LOOPBACK}:{chosen.http}\n"
            f"gRPC     {LOOPBACK}:{chosen.grpc}\n"
            f"metrics  http://{LOOPBACK}:{chosen.metrics}/metrics\n",
            ctx,
        )
        while not ctx.cancelled:
            _show(said.read(), ctx)
            if running.gone:
                _show(f"{said.read()}{running.gone}\n", ctx)
                return 1
            time.sleep(INTERVAL)
    return 0


def _show(text: str, ctx: ToolContext) -> None:
    ctx.log.write(text)
    ctx.log.flush()
