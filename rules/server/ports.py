"""Free ports of this machine's loopback interface."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

from tritonbuild.rule import EnvironmentFailure, Problem

LOOPBACK = "127.0.0.1"


class Ports(NamedTuple):
    """Where a server listens."""

    http: int
    grpc: int
    metrics: int


_given: set[int] = set()
_lock = threading.Lock()


@contextmanager
def free() -> Iterator[Ports]:
    """Three ports that nothing listens on, not given to anyone else in this process meanwhile.
    Another process may still take one before the server does."""
    with _lock, ExitStack() as stack:
        found: list[int] = []
        while len(found) < len(Ports._fields):
            bound = stack.enter_context(socket.socket())
            bound.bind((LOOPBACK, 0))
            port = bound.getsockname()[1]
            if port not in _given:
                found.append(port)
        _given.update(found)
    try:
        yield Ports(*found)
    finally:
        with _lock:
            _given.difference_update(found)


def check(ports: Ports) -> None:
    """Raises EnvironmentFailure if something listens on one of them: the server itself would notice
    only after loading every model."""
    for name, port in ports._asdict().items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT is not taken
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                raise EnvironmentFailure(
                    Problem(
                        f"port {port} ({name}) cannot be used: {error.strerror}",
                        "a free port",
                        f"stop what listens there, perhaps another server; or --set {name}_port=…",
                    )
                ) from None
