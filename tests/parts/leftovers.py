"""What a build leaves on the machine when it is over, however it ended: nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from conftest import WorkspaceFolder

DEADLINE = 20.0
"""Seconds until something that should happen soon has not happened."""
SHARED_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Trace:
    """Marks everything that the builds of one workspace start."""

    mark: str
    workspace: WorkspaceFolder

    def processes(self) -> dict[int, str]:
        """Those that live, by their number; what they were started as."""
        return {
            pid: line or environment
            for pid, line, environment in _processes()
            if self.mark in line or self.mark in environment
        }

    def left(self) -> list[str]:
        """What is still there when a build had time to end: processes and shared memory."""
        left: list[str] = []

        def nothing() -> bool:
            left[:] = self._left()
            return not left

        # Not looked at once more: by then another test's server may be about to end.
        eventually(nothing)
        return left

    def _left(self) -> list[str]:
        return [*self.processes().values(), *orphaned_memory()]


@contextlib.contextmanager
def traced(workspace: WorkspaceFolder) -> Iterator[Trace]:
    """The workspace's programs get the mark into their environment and, by the name of the cache
    that they are given, into the paths on their command lines."""
    mark = f"traced-{secrets.token_hex(8)}"
    link = workspace.root.parent / f"cache-{mark}"
    workspace.cache.mkdir(parents=True, exist_ok=True)
    link.symlink_to(workspace.cache)
    workspace.cache = link
    workspace.environment["TEST_MARK"] = mark
    trace = Trace(mark, workspace)
    try:
        yield trace
    finally:
        for pid in trace.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def content(folder: Path) -> dict[str, tuple[int, str]]:
    """Every file and folder below one but an output tree's lock: its mode, and the SHA-256 of a
    file or a link's target."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.name == ".lock":
            continue
        if path.is_symlink():
            text = str(path.readlink())
        else:
            text = "" if path.is_dir() else hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(folder))] = (path.lstat().st_mode, text)
    return found


def orphaned_memory() -> list[str]:
    """Shared memory of servers that do not live any more."""
    regions = list(SHARED_MEMORY.glob("tritonbuild-*"))  # before the servers, which make them
    servers = " ".join(line for _, line, _ in _processes() if "--id=tritonbuild-" in line)
    # A region has the name of its server and a UUID behind it.
    return [str(path) for path in regions if f"--id={path.name[:-36]} " not in f"{servers} "]


def eventually(condition: Callable[[], object], deadline: float = DEADLINE) -> bool:
    """Whether it comes true in time."""
    end = time.monotonic() + deadline
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def free_ports() -> dict[str, int]:
    """For a server that is started a moment later."""
    with socket.socket() as one, socket.socket() as two, socket.socket() as three:
        for each in (one, two, three):
            each.bind(("127.0.0.1", 0))
        numbers = [each.getsockname()[1] for each in (one, two, three)]
    return dict(zip(("http", "grpc", "metrics"), numbers, strict=True))


def waits_for_a_lock(pid: int) -> bool:
    """As /proc/locks shows it, `->` before who waits."""
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {pid} " in line for line in lines)


def _processes() -> Iterator[tuple[int, str, str]]:
    """Number, command line and environment of every process but this one."""
    for folder in Path("/proc").glob("[0-9]*"):
        if int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            line, environment = (
                (folder / name).read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                for name in ("cmdline", "environ")
            )
            if line or environment:  # else it has ended, and its parent does not know yet
                yield int(folder.name), line, environment
