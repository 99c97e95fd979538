"""How a build is stopped from outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tritonbuild.errors import Interrupted


class Cancellation:
    """Set once, by the first signal; everything that takes long looks at it."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self.shielded = False
        """Whether the main thread looks at it itself and must not be torn out of what it does."""

    def __bool__(self) -> bool:
        return self._event.is_set()

    def check(self) -> None:
        """Raises Interrupted once it is set."""
        if self:
            raise Interrupted()

    def set(self) -> None:
        self._event.set()

    @contextmanager
    def shield(self) -> Iterator[None]:
        self.shielded = True
        try:
            yield
        finally:
            self.shielded = False
