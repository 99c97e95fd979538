"""A real tritonserver on this machine, for as long as it is asked something."""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from tritonbuild.rule import Problem, Process, ToolContext

from . import diagnose, linkage, ports, stubs
from .diagnose import ServerError
from .layout import Layout
from .ports import LOOPBACK, Ports

INTERVAL = 0.05
"""Seconds between looks at a server that starts."""
ATTEMPTS = 5
"""How often other ports are tried when someone else took one."""
GRACE, GRACE_UNREADY = 5.0, 1.0
"""Seconds that it has to stop."""


class UnreachableError(Exception):
    """Of its HTTP service."""


@dataclass
class Server:
    process: Process
    ports: Ports
    log: Path
    identity: str
    """What it calls itself, to tell it from a stranger on its port."""
    start_seconds: float = 0.0
    stubs: stubs.Watch = field(default_factory=stubs.Watch)

    @property
    def grpc(self) -> str:
        return f"{LOOPBACK}:{self.ports.grpc}"

    def ask(self, method: str, path: str) -> tuple[int, Any]:
        """Its HTTP status and the JSON that came with it, if any. Raises UnreachableError."""
        connection = HTTPConnection(LOOPBACK, self.ports.http, timeout=5)
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read()
            return response.status, json.loads(body) if body else None
        except (OSError, HTTPException, ValueError) as error:
            raise UnreachableError(f"{method} {path}: {error}") from None
        finally:
            connection.close()

    @property
    def gone(self) -> str:
        """How it ended; empty while it runs."""
        code = self.process.poll()
        return "" if code is None else f"tritonserver ended ({diagnose.outcome(code)})"

    def models(self) -> list[dict[str, str]]:
        """Its repository index: name, version, state and, for what is not ready, reason."""
        return list(self.ask("POST", "/v2/repository/index")[1])

    @property
    def is_ready(self) -> bool:
        """All models loaded and all ports open."""
        try:
            about = self.ask("GET", "/v2")[1]
            if not isinstance(about, dict) or about.get("name") != self.identity:
                return False
            with socket.create_connection((LOOPBACK, self.ports.metrics), timeout=5):
                return self.ask("GET", "/v2/health/ready")[0] == 200
        except (OSError, UnreachableError):
            return False


@contextmanager
def server(
    ctx: ToolContext,
    layout: Layout,
    log: Path,
    *,
    timeout: float,
    fixed: Ports | None = None,
    glance: Callable[[], None] = lambda: None,
) -> Iterator[Server]:
    """Starts it, waits until every model is ready, and stops it whatever happens.

    `timeout` is in seconds, for the start. `fixed` ports are taken as they are; else free ones
    are found. `glance` is called now and then while it starts. Raises ServerError; what the server
    said stays in the log file.
    """
    linkage.check(ctx, layout)
    for _ in range(1 if fixed else ATTEMPTS):
        with _ports(fixed) as chosen:
            log.write_bytes(b"")
            running = _start(ctx, layout, log, chosen)
            try:
                if _wait(ctx, running, layout, timeout, glance):
                    yield running
                    return
            finally:
                # A server with a broken stub would take all its time to stop, and then fail.
                running.process.stop(GRACE if running.start_seconds else GRACE_UNREADY)
    raise ServerError(f"someone else took port {diagnose.taken_port(_read(log))} meanwhile")


@contextmanager
def _ports(fixed: Ports | None) -> Iterator[Ports]:
    if fixed:
        ports.check(fixed)
        yield fixed
    else:
        with ports.free() as found:
            yield found


def _start(ctx: ToolContext, layout: Layout, log: Path, chosen: Ports) -> Server:
    identity = f"tritonbuild-{secrets.token_hex(8)}"
    argv = [
        str(layout.server),
        f"--id={identity}",
        f"--model-repository={layout.repository}",
        f"--backend-directory={layout.backends}",
        f"--repoagent-directory={layout.repoagents}",
        f"--cache-directory={layout.caches}",
        f"--backend-config=python,shm-region-prefix-name={identity}",
        "--model-control-mode=none",
        "--exit-on-error=true",
    ]
    if layout.cache:
        argv.append(f"--cache-config={layout.cache}")
    for service, port in chosen._asdict().items():
        argv += [f"--{service}-address={LOOPBACK}", f"--{service}-port={port}"]
    process = ctx.start(argv, env=layout.variables, cwd=layout.root, log=log, shm_prefix=identity)
    return Server(process, chosen, log, identity)


def _wait(
    ctx: ToolContext,
    running: Server,
    layout: Layout,
    timeout: float,
    glance: Callable[[], None],
) -> bool:
    """Until it is ready; False when someone else has one of its ports. Raises ServerError."""
    began = time.monotonic()
    while True:
        glance()
        if ctx.cancelled:
            raise ServerError("the server was stopped before it was ready")
        ended = running.process.poll()
        if ended is not None:
            if diagnose.taken_port(_read(running.log)):
                return False
            raise _failure(
                f"tritonserver ended while it started ({diagnose.outcome(ended)})", running, layout
            )
        if running.is_ready and not diagnose.taken_port(_read(running.log)):
            running.start_seconds = time.monotonic() - began
            return True
        if dead := running.stubs.dead(running.process.pid):
            raise _failure(
                f"the Python process of a model ended while the model was loading ({dead})",
                running,
                layout,
            )
        if time.monotonic() - began > timeout:
            raise _failure(
                f"the server was not ready after {timeout:g} s",
                running,
                layout,
                "if it only takes longer, give it a longer `timeout`",
            )
        time.sleep(INTERVAL)


def _failure(what: str, running: Server, layout: Layout, remedy: str = "") -> ServerError:
    """Says why, from the log, and what state that left the server in."""
    log = _read(running.log)
    loading = diagnose.still_loading(log)
    if loading:
        what += f"; still loading: {', '.join(loading)}"
    told = diagnose.reasons(log, layout.places)
    if not told:
        return ServerError(Problem(what, remedy=remedy))
    return ServerError(*told, *([what] if loading else []))


def _read(log: Path) -> str:
    return log.read_text(errors="replace")
