"""A gate in the way of a command, so that a test acts while the command runs."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

TIMEOUT = 60.0
"""Seconds that a test waits for a command to come."""


@dataclass
class Gate:
    server: socket.socket
    waiting: list[socket.socket] = field(default_factory=list)

    @property
    def wait(self) -> str:
        """The shell command that waits here. It needs `network = true`."""
        port = self.server.getsockname()[1]
        return f"bash -c 'cat < /dev/tcp/127.0.0.1/{port}'"

    def reached(self) -> None:
        """Returns when a command has come. TimeoutError when none does."""
        self.waiting.append(self.server.accept()[0])

    def open(self) -> None:
        """Lets those that came go on."""
        while self.waiting:
            self.waiting.pop().close()


@contextmanager
def gate() -> Iterator[Gate]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(TIMEOUT)
        made = Gate(server)
        try:
            yield made
        finally:
            made.open()
