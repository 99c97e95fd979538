"""What `tritonbuild run` starts: a server on the standard ports, until it is stopped."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import Context, Problem, RunInfo, ToolContext, UsageError, tool

from ..distribution import DistributionInfo
from ..servable import ModelInfo
from .inputs import served

if TYPE_CHECKING:
    from .launch import Launch
    from .ports import Ports

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
    from .launch import FromLayout
    from .layout import lay_out

    chosen = ports_of(ctx)
    return attend(ctx, FromLayout(lay_out(ctx, ctx.scratch / "server", all_gpus=True)), chosen)


def ports_of(ctx: ToolContext) -> Ports:
    """What the parameters say. Raises UsageError."""
    from .ports import Ports

    return Ports(*(_port(name, ctx.parameters[name]) for name in PORTS))


def attend(ctx: ToolContext, launch: Launch, ports: Ports) -> int:
    """Runs a server, in the foreground."""
    from .process import server

    log = ctx.scratch / "server.log"
    log.touch()
    with (
        log.open(errors="replace") as said,
        server(
            ctx,
            launch,
            log,
            timeout=float("inf"),
            fixed=ports,
            glance=lambda: show(said.read(), ctx),
        ) as running,
    ):
        for model in running.models():
            state = model.get("state") or "not loaded"
            show(f"{model['name']} version {model.get('version', '?')}: {state}\n", ctx)
        show(addresses(ports), ctx)
        while not ctx.cancelled:
            show(said.read(), ctx)
            if running.gone:
                show(f"{said.read()}{running.gone}\n", ctx)
                return 1
            time.sleep(INTERVAL)
    return 0


def addresses(ports: Ports) -> str:
    from .ports import LOOPBACK

    return (
        f"HTTP     http://{LOOPBACK}:{ports.http}\n"
        f"gRPC     {LOOPBACK}:{ports.grpc}\n"
        f"metrics  http://{LOOPBACK}:{ports.metrics}/metrics\n"
    )


def show(text: str, ctx: ToolContext) -> None:
    ctx.log.write(text)
    ctx.log.flush()
