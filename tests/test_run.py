"""Of `tritonbuild run`: on the quick start, with a real server, and with a tool of the workspace's
own where the way to it is looked at."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection
from subprocess import Popen
from typing import Any

import pytest
from conftest import MINIMAL, WorkspaceFolder
from parts.gate import Gate, gate

DEADLINE = 240
"""Seconds until the server must be ready; the first test to get here also fetches it."""


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports: list[int] = [bound.getsockname()[1] for bound in sockets]
    for bound in sockets:
        bound.close()
    return ports


def ask(port: int, method: str, path: str, body: Any = None) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, json.dumps(body) if body else None)
        response = connection.getresponse()
        content = response.read()
        return response.status, json.loads(content) if content else None
    finally:
        connection.close()


@contextmanager
def running(workspace: WorkspaceFolder, label: str) -> Iterator[tuple[Popen[bytes], int]]:
    """A server that answers, and its HTTP port."""
    http, grpc, metrics = free_ports(3)
    settings = [
        f"--set=http_port={http}",
        f"--set=grpc_port={grpc}",
        f"--set=metrics_port={metrics}",
    ]
    process = workspace.start("run", label, *settings)
    try:
        deadline = time.monotonic() + DEADLINE
        while True:
            assert process.poll() is None, process.stderr and process.stderr.read().decode()
            assert time.monotonic() < deadline, "not ready in time"
            try:
                if ask(http, "GET", "/v2/health/ready")[0] == 200:
                    break
            except OSError:
                time.sleep(0.2)
        yield process, http
    finally:
        process.kill()
        process.communicate()


def test_a_repository_is_served_until_it_is_interrupted(quickstart: WorkspaceFolder) -> None:
    case = json.loads((quickstart.root / "models/golden/normalize.json").read_text())
    with running(quickstart, "//models:both") as (process, port):
        status, answer = ask(port, "POST", "/v2/models/normalize/infer", {"inputs": case["inputs"]})
        assert status == 200, answer
        assert answer["outputs"][0]["data"] == pytest.approx(case["outputs"][0]["data"])
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        with pytest.raises(OSError, match="refused"):
            ask(port, "GET", "/v2/health/live")


def test_a_single_model_is_served_too(quickstart: WorkspaceFolder) -> None:
    with running(quickstart, "//models:normalize") as (_, port):
        index = ask(port, "POST", "/v2/repository/index")[1]
    assert [model["name"] for model in index] == ["normalize"]


def test_a_target_that_cannot_be_run_is_an_error(quickstart: WorkspaceFolder) -> None:
    outcome = quickstart.run("run", "//models:train")
    assert outcome.exit_code == 7
    assert outcome.error["label"] == "//models:train"
    assert "cannot be run" in outcome.error["found"]


def test_a_setting_that_there_is_not_is_an_error(quickstart: WorkspaceFolder) -> None:
    outcome = quickstart.run("run", "//models:both", "--set", "htp_port=1")
    assert outcome.exit_code == 2
    assert outcome.error["remedy"] == "did you mean 'http_port'?"


OWN = """
import socket, time
from tritonbuild.rule import Dep, Field, Files, Literal, Rule, tool

@tool("greet", version=1)
def greet(ctx):
    ctx.log.write(ctx.read("made").decode() + ctx.read("said").decode())
    ctx.log.flush()
    if ctx.parameters["port"]:
        socket.create_connection(("127.0.0.1", ctx.parameters["port"]))
        while not ctx.cancelled:
            time.sleep(0.02)
    return ctx.parameters["code"]

class Greeters(Rule):
    table = "greeters"

    class Attributes(Rule.Attributes):
        needs: Dep[Files] = Field(description="What it reads first.")

    def analyze(self, ctx):
        (files,) = ctx.providers([ctx.attributes.needs])
        yield files

    def run(self, ctx):
        (files,) = ctx.providers([ctx.attributes.needs])
        inputs = {"made": files.entries["made"], "said": Literal(b"hello", "said")}
        return ctx.interactive(greet, parameters={"port": 0, "code": 0}, inputs=inputs)
"""
GREETER = """
[greeters.own]
needs = ":made"

[commands.made]
argv = ["sh", "-c", "{script}"]
outputs = ["made"]
network = true
"""


@pytest.fixture
def door() -> Iterator[Gate]:
    with gate() as made:
        yield made


@pytest.fixture
def greeter(
    workspace: Callable[[Mapping[str, str | bytes]], WorkspaceFolder],
) -> Callable[[str], WorkspaceFolder]:
    """A target whose tool reads what a command's script has made."""

    def make(script: str) -> WorkspaceFolder:
        return workspace(
            {
                "triton.toml": f'{MINIMAL}rules = ["rules.py"]\n',
                "rules.py": OWN,
                "p/triton.toml": GREETER.format(script=script),
            }
        )

    return make


def test_a_tool_gets_files_that_the_rule_wrote_itself(
    greeter: Callable[[str], WorkspaceFolder],
) -> None:
    outcome = greeter("echo made > made").run("run", "//p:own")
    assert outcome.exit_code == 0, outcome.text
    assert "made\nhello" in outcome.text
    assert outcome.targets == {"//p:own": "built"}
    assert (outcome.finished["metrics"]["actions"], outcome.executed) == (1, 1)


def test_a_tool_that_ends_with_an_error_is_told(greeter: Callable[[str], WorkspaceFolder]) -> None:
    outcome = greeter("echo made > made").run("run", "//p:own", "--set", "code=3")
    assert outcome.exit_code == 1
    assert outcome.error["found"] == "greet ended with exit code 3"
    assert outcome.error["label"] == "//p:own"


def test_what_cannot_be_built_is_told_with_its_place(
    greeter: Callable[[str], WorkspaceFolder],
) -> None:
    outcome = greeter("echo no >&2; exit 3").run("run", "//p:own")
    assert outcome.exit_code == 1
    assert (outcome.error["label"], outcome.error["file"]) == ("//p:made", "p/triton.toml")
    assert outcome.error["line"] == 5
    assert outcome.error["key"] == "commands.made"


def test_an_interrupt_while_it_builds_ends_with_eight(
    greeter: Callable[[str], WorkspaceFolder], door: Gate
) -> None:
    process = greeter(door.wait.replace("'", '\\"') + "; touch made").start("run", "//p:own")
    door.reached()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 8
    process.communicate()


def test_an_interrupt_while_it_serves_is_its_end(
    greeter: Callable[[str], WorkspaceFolder], door: Gate
) -> None:
    port = door.server.getsockname()[1]
    process = greeter("echo made > made").start("run", "//p:own", f"--set=port={port}")
    door.reached()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    process.communicate()


@pytest.mark.parametrize("port", ["99999", "0", "http"])
def test_a_port_that_is_none_is_an_error(quickstart: WorkspaceFolder, port: str) -> None:
    outcome = quickstart.run("run", "//models:normalize", "--set", f"http_port={port}")
    assert outcome.exit_code == 2
    assert "http_port" in outcome.error["found"]
    assert outcome.error["expected"] == "a port, 1 to 65535"
