"""Servers in containers, asked over HTTP."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import Any

from docker.models.containers import Container

from parts.leftovers import eventually

DEADLINE = 120
"""Seconds, until a server is ready."""


def ask(port: int, path: str, body: Any = None) -> Any:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None)
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status == 200, content
        return json.loads(content) if content else None
    finally:
        connection.close()


def is_ready(port: int) -> bool:
    try:
        ask(port, "/v2/health/ready")
    except (OSError, HTTPException, AssertionError):
        return False
    return True


def started(container: Container) -> int:
    """Starts it; the port of its server's HTTP, which is ready."""
    container.start()
    container.reload()
    port = int(container.attrs["NetworkSettings"]["Ports"]["8000/tcp"][0]["HostPort"])

    def settled() -> bool:
        container.reload()
        return container.status != "running" or is_ready(port)

    eventually(settled, DEADLINE)
    assert container.status == "running", container.logs().decode()
    assert is_ready(port), container.logs().decode()
    return port
