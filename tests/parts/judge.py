"""A real Triton that judges models: all of a repository in one start."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from tritonbuild.rules.server import ports
from tritonbuild.rules.server.layout import Layout, lay_out
from tritonbuild.rules.server.ports import LOOPBACK

from parts.configs import MODEL, Case, Cases
from tritonbuild.rule import Process, ToolContext

LOADERS = (8, 4, 4, 1)
"""Models that load at a time, try by try: a server that loads several may end without a word."""
MOST = 25
"""Loaded models of a server, each with a process of its own."""
NOT_BEGUN = "failed to poll"
"""What it says of a model whose config it did not take."""
CRASHED = "Signal (11)"
"""What it says last."""
NO_BYTECODE = "00-no-bytecode.pth"
"""Keeps environments as they were made. A copy may remember what it compiled: half the time."""


@dataclass(frozen=True)
class Verdict:
    """What the server made of a model."""

    reason: str
    """Why it was refused; empty when it was loaded."""
    config: dict[str, Any] = field(default_factory=dict)
    """Of a loaded model, as the server tells it."""

    @property
    def is_loaded(self) -> bool:
        return not self.reason


class _EndedError(Exception):
    """The server did not live until it had tried every model."""


def judged(
    ctx: ToolContext, together: Iterable[Cases], alone: Cases, stand_ins: tuple[str, ...]
) -> dict[str, Verdict]:
    """In a tool that is given what a server is started from: every model's verdict, by name.

    Some are loaded `together`, those `alone` one after the other and without asking the backend
    to complete their configs, which takes it a second and a half.
    `stand_ins`: backends that take any config.
    """
    layout = lay_out(ctx, ctx.scratch / "server")
    for name in stand_ins:
        folder = layout.backends / name
        folder.mkdir()
        (folder / "model.py").write_bytes(MODEL)
    variables = _variables(ctx, layout)
    found: dict[str, Verdict] = {}
    for part in together:
        found |= _asked(ctx, layout, variables, part)
    return found | _one_by_one(ctx, layout, variables, alone)


def write(case: Case, folder: Path) -> None:
    """The model's folder."""
    folder.mkdir(parents=True)
    if case.config is not None:
        (folder / "config.pbtxt").write_text(case.config)
    for name, content in case.files.items():
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(content)


def _variables(ctx: ToolContext, layout: Layout) -> dict[str, str]:
    """Those of the layout, with a copy of its environment that Python may write bytecode into."""
    shared, own = layout.environments[0], ctx.scratch / "environment"
    shutil.copytree(shared, own, symlinks=True, copy_function=os.link)
    for folder, _, names in os.walk(own):
        os.chmod(folder, 0o755)
        if NO_BYTECODE in names:
            Path(folder, NO_BYTECODE).unlink()
    return {name: value.replace(str(shared), str(own)) for name, value in layout.variables.items()}


def _asked(
    ctx: ToolContext, layout: Layout, variables: Mapping[str, str], cases: Cases
) -> dict[str, Verdict]:
    for loaders in LOADERS[:-1]:
        with suppress(_EndedError):
            return _ask(ctx, layout, variables, cases, loaders)
    return _ask(ctx, layout, variables, cases, LOADERS[-1])


def _ask(
    ctx: ToolContext, layout: Layout, variables: Mapping[str, str], cases: Cases, loaders: int
) -> dict[str, Verdict]:
    _store(cases, layout)
    with _started(ctx, layout, variables, f"--model-load-thread-count={loaders}") as port:
        return _read(port, (ctx.scratch / "log").read_text(errors="replace"), cases)


def _one_by_one(
    ctx: ToolContext, layout: Layout, variables: Mapping[str, str], cases: Cases
) -> dict[str, Verdict]:
    """Of models that are loaded when they are asked for. A server in which one failed that had
    begun to run may end or hang with the next one, so another is started."""
    _store(cases, layout)
    flags = ("--model-control-mode=explicit", "--disable-auto-complete-config")
    found: dict[str, Verdict] = {}
    while waiting := [name for name in cases if name not in found]:
        with (
            ThreadPoolExecutor(1) as asking,
            _started(ctx, layout, variables, *flags) as port,
        ):
            for name in waiting[:MOST]:
                found[name] = _loaded(asking, port, name, ctx.scratch / "log")
                if not found[name].is_loaded and NOT_BEGUN not in found[name].reason:
                    break
    return found


def _loaded(asking: Executor, port: int, name: str, log: Path) -> Verdict:
    """The verdict on one model; a server that crashes over it neither answers nor goes away."""
    asked = asking.submit(_get, port, "POST", f"/v2/repository/models/{name}/load")
    while not wait([asked], 0.05).done:
        if CRASHED in log.read_text(errors="replace"):
            return Verdict("it ends the server")
    if refused := asked.result():
        return Verdict(refused["error"])
    return Verdict("", _get(port, "GET", f"/v2/models/{name}/config"))


def _store(cases: Cases, layout: Layout) -> None:
    shutil.rmtree(layout.repository)
    for name, case in cases.items():
        write(case, layout.repository / name)


@contextmanager
def _started(
    ctx: ToolContext, layout: Layout, variables: Mapping[str, str], *flags: str
) -> Iterator[int]:
    """The port of a server that has tried what it loads when it starts. Raises _EndedError."""
    log = ctx.scratch / "log"
    log.write_bytes(b"")
    with ports.free() as chosen:
        identity = f"tritonbuild-judge-{os.getpid()}-{chosen.http}"
        argv = [
            str(layout.server),
            f"--model-repository={layout.repository}",
            f"--backend-directory={layout.backends}",
            f"--cache-directory={layout.distribution / 'caches'}",
            f"--repoagent-directory={layout.distribution / 'repoagents'}",
            "--cache-config=local,size=1048576",
            f"--backend-config=python,shm-region-prefix-name={identity}",
            "--exit-on-error=false",
            "--strict-readiness=false",
            "--allow-grpc=false",
            "--allow-metrics=false",
            f"--http-address={LOOPBACK}",
            f"--http-port={chosen.http}",
            *flags,
        ]
        process = ctx.start(argv, env=variables, cwd=layout.root, log=log, shm_prefix=identity)
        try:
            _wait(process, chosen.http, log)
            yield chosen.http
        finally:
            process.stop(0.0)


def _get(port: int, method: str, path: str) -> Any:
    connection = HTTPConnection(LOOPBACK, port, timeout=60)
    try:
        connection.request(method, path)
        return json.loads(connection.getresponse().read() or b"null")
    finally:
        connection.close()


def _wait(process: Process, port: int, log: Path) -> None:
    """Until it has tried every model: its port opens only then."""
    while True:
        if process.poll() is not None:
            raise _EndedError(log.read_text(errors="replace")[-3000:])
        try:
            _get(port, "GET", "/v2/health/live")
            return
        except (OSError, HTTPException):
            time.sleep(0.05)


def _read(port: int, log: str, names: Iterable[str]) -> dict[str, Verdict]:
    polled: Mapping[str, str] = dict(
        re.findall(r"Poll failed for model directory '(.+?)': (.+?)\"?$", log, re.MULTILINE)
    )
    found: dict[str, Verdict] = {}
    for entry in _get(port, "POST", "/v2/repository/index"):
        name = entry["name"]
        if entry.get("state") == "READY":
            found[name] = Verdict("", _get(port, "GET", f"/v2/models/{name}/config"))
        elif name not in found:
            found[name] = Verdict(entry.get("reason") or polled.get(name) or "it is not loaded")
    return {name: found.get(name) or Verdict(polled.get(name, "it is not there")) for name in names}
