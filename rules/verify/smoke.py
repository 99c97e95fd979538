"""Whether every model of a server is ready."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from tritonbuild.rule import Problem

from ..server.diagnose import ServerError
from ..server.model_status import is_ready
from ..server.process import Server, UnreachableError
from .report import Outcome


def run(server: Server, models: Iterable[str]) -> Iterator[Outcome]:
    """An outcome for each model, by Triton's name of it."""
    for name in models:
        began = time.monotonic()
        try:
            found = list(_problems(server, name))
        except (ServerError, UnreachableError) as error:
            found = [server.gone or f"the server does not answer: {error}"]
        problems = [Problem(text) for text in found]
        yield Outcome(name, name, problems=problems, seconds=time.monotonic() - began)


def _problems(server: Server, model: str) -> Iterator[str]:
    versions = [version for version in server.models() if version["name"] == model]
    if not versions:
        yield f"model {model!r} is not in the server's index"
    for version in versions:
        state, reason = version.get("state") or "not loaded", version.get("reason")
        if state != "READY":
            number = version.get("version", "?")
            yield f"model {model!r} version {number} is {state}" + (f": {reason}" if reason else "")
    if not is_ready(server, model):
        yield f"model {model!r} is not ready"
