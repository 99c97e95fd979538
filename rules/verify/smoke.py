"""Whether every model of a server is ready."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from ..server.process import Server, UnreachableError
from .report import Outcome


def run(server: Server, models: Iterable[str]) -> Iterator[Outcome]:
    """An outcome for each model, by Triton's name of it."""
    for name in models:
        began = time.monotonic()
        try:
            problems = list(_problems(server, name))
        except UnreachableError as error:
            problems = [server.gone or f"the server does not answer: {error}"]
        yield Outcome(name, problems, time.monotonic() - began)


def _problems(server: Server, model: str) -> Iterator[str]:
    versions = [version for version in server.models() if version["name"] == model]
    if not versions:
        yield f"model {model!r} is not in the server's index"
    for version in versions:
        state, reason = version.get("state") or "not loaded", version.get("reason")
        if state != "READY":
            number = version.get("version", "?")
            yield f"model {model!r} version {number} is {state}" + (f": {reason}" if reason else "")
    if server.ask("GET", f"/v2/models/{quote(model)}/ready")[0] != 200:
        yield f"model {model!r} is not ready"
