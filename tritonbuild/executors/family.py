"""All processes that descend from this one, which must be their subreaper."""

from __future__ import annotations

import contextlib
import os
import select
import time
from signal import SIGKILL

_PATIENCE = 30.0
"""Seconds until a killed process that the kernel does not let go (dead disk, GPU) is left to it."""


class Family:
    """Collects those that end, and remembers how the first child, the program, did."""

    def __init__(self, child: int) -> None:
        self.child = child
        self.status: int | None = None
        """The program's wait status, once it ended."""

    def reap(self) -> bool:
        """Collects those that ended. True while any descendant is left: orphans become children of
        a subreaper, so who has no child has no descendant."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.child:
                self.status = status

    def kill(self) -> None:
        """Kills them all, the program first, so that it can't end by itself at the sight of a
        killed child. Again and again: some may fork while the list is read."""
        end = time.monotonic() + _PATIENCE
        while self.reap() and time.monotonic() < end:
            for pid in sorted(_descendants(os.getpid()), key=self.child.__ne__):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, SIGKILL)
            select.select([], [], [], 0.001)


def _descendants(ancestor: int) -> set[int]:
    """By the parents in /proc/*/stat; /proc/*/task/*/children is not in every kernel."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                # The second field, the program's name, may hold spaces and parentheses.
                parent = file.read().rpartition(b")")[2].split()[1]
                children.setdefault(int(parent), []).append(int(name))
    found: set[int] = set()
    waiting = [ancestor]
    while waiting:
        born = children.get(waiting.pop(), ())
        waiting += born
        found.update(born)
    return found
