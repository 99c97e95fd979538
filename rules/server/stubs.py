"""The python backend's helper processes, watched from outside: the server itself waits for ever
for one that ended while its model was loading.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from .diagnose import outcome

COMMAND = "triton_python_b"
"""As the kernel cuts the stub's name."""
INTERVAL = 0.5
"""Seconds between looks, each at every process."""
PATIENCE = 2.0
"""Seconds that the server has to collect one that ended as it should."""


@dataclass
class Watch:
    _since: dict[int, float] = field(default_factory=dict)
    """Ended ones that the server has not collected → when that was seen first."""
    _next: float = 0.0

    def dead(self, server: int) -> str:
        """How a stub of that server ended that it will not collect any more; or empty."""
        now = time.monotonic()
        if now >= self._next:
            ended = _ended(server)
            self._since = {pid: self._since.get(pid, now) for pid in ended}
            self._next = now + INTERVAL
            for pid, since in self._since.items():
                if now - since > PATIENCE:
                    return ended[pid]
        return ""


def _ended(server: int) -> dict[int, str]:
    """Stubs of that server that are zombies, and how they ended."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                head, _, rest = (folder / "stat").read_text().rpartition(")")
                fields = rest.split()  # from the third of proc(5)
                if fields[0] == "Z" and int(fields[1]) == server and head.endswith(f"({COMMAND}"):
                    code = os.waitstatus_to_exitcode(int(fields[-1]))
                    found[int(folder.name)] = outcome(code)
    return found
