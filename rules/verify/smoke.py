"""Whether every model of a server is ready, in every version that its policy chooses."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

from tritonbuild.rule import Folder, Problem

from ..model_config.policy import wanted
from ..server.diagnose import ServerError
from ..server.model_status import config_of, is_ready
from ..server.process import Server, UnreachableError
from .report import Outcome


def run(server: Server, models: Mapping[str, Folder]) -> Iterator[Outcome]:
    """An outcome for each model: Triton's name of it, and its folder."""
    for name, folder in models.items():
        began = time.monotonic()
        try:
            problems = list(_problems(server, name, folder))
        except (ServerError, UnreachableError) as error:
            problems = [Problem(server.gone or f"the server does not answer: {error}")]
        yield Outcome(name, name, problems=problems, seconds=time.monotonic() - began)


def _problems(server: Server, model: str, folder: Folder) -> Iterator[Problem]:
    versions = [version for version in server.models() if version["name"] == model]
    if not versions:
        yield Problem(f"model {model!r} is not in the server's index")
    for version in versions:
        state, reason = version.get("state") or "not loaded", version.get("reason")
        if state != "READY":
            told = f"version {version.get('version', '?')} is {state}"
            yield Problem(f"model {model!r} {told}" + (f": {reason}" if reason else ""))
    if not is_ready(server, model):
        yield Problem(f"model {model!r} is not ready")
        return
    # Of a version without a folder, the index says nothing, and the server calls itself ready.
    config: Any = config_of(server, model)
    policy = config.version_policy
    listed = {version.get("version") for version in versions}
    for number in wanted(folder, policy):
        if str(number) not in listed:
            yield Problem(
                f"model {model!r} version {number} is not served, which its version_policy "
                f"({_shown(policy)}) chooses",
                remedy=f"add version {number} to the model, or take it out of the policy",
            )


def _shown(policy: Any) -> str:
    """In one line."""
    return " ".join(str(policy).split())
