"""A real tritonserver on this machine, for as long as it is asked something."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from tritonbuild.rule import Problem, Process, ToolContext

from . import diagnose, ports, stubs
from .diagnose import Places, ServerError
from .launch import Launch
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
        try:
            status, body = _answer(self.ports.http, method, path)
            return status, json.loads(body) if body else None
        except (OSError, HTTPException, ValueError) as error:
            raise UnreachableError(f"{method} {path}: {error}") from None

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
            # Who only listens there may be a stranger.
            metrics, _ = _answer(self.ports.metrics, "GET", "/metrics")
            return (metrics, self.ask("GET", "/v2/health/ready")[0]) == (200, 200)
        except (OSError, HTTPException, UnreachableError):
            return False


def _answer(port: int, method: str, path: str) -> tuple[int, bytes]:
    """Raises OSError, HTTPException."""
    connection = HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@contextmanager
def server(
    ctx: ToolContext,
    launch: Launch,
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
    launch.check(ctx)
    for _ in range(1 if fixed else ATTEMPTS):
        with _ports(fixed) as chosen:
            log.write_bytes(b"")
            identity = f"tritonbuild-{secrets.token_hex(8)}"
            process = launch.start(ctx, log, chosen, identity)
            running = Server(process, chosen, log, identity)
            try:
                if _wait(ctx, running, launch.places, timeout, glance):
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


def _wait(
    ctx: ToolContext,
    running: Server,
    places: Places,
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
            what = f"tritonserver ended while it started ({diagnose.outcome(ended)})"
            said = places.in_text(diagnose.last_error(_read(running.log)))
            raise _failure(f"{what}: {said}" if said else what, running, places)
        if running.is_ready and not diagnose.taken_port(_read(running.log)):
            running.start_seconds = time.monotonic() - began
            return True
        if dead := running.stubs.dead(running.process.pid):
            raise _failure(
                f"the Python process of a model ended while the model was loading ({dead})",
                running,
                places,
            )
        if time.monotonic() - began > timeout:
            raise _failure(
                f"the server was not ready after {timeout:g} s",
                running,
                places,
                "if it only takes longer, give it a longer `timeout`",
            )
        time.sleep(INTERVAL)


def _failure(what: str, running: Server, places: Places, remedy: str = "") -> ServerError:
    """Says why, from the log, and what state that left the server in."""
    log = _read(running.log)
    loading = diagnose.still_loading(log)
    if loading:
        what += f"; still loading: {', '.join(loading)}"
    told = diagnose.reasons(log, places)
    if not told:
        return ServerError(Problem(what, remedy=remedy))
    return ServerError(*told, *([what] if loading else []))


def _read(log: Path) -> str:
    return log.read_text(errors="replace")
