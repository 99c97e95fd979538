"""Of `tritonbuild run`, on the quick start, with a real server."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from subprocess import Popen
from typing import Any

import pytest
from conftest import WorkspaceFolder

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
