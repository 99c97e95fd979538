"""Processes that never outlive the build, however it ends, kill -9 included."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tritonbuild.errors import ActionError, EnvironmentFailure, Problem
from tritonbuild.executors.launch import MESSAGE_SIZE, Launched, LaunchError, launch
from tritonbuild.executors.sandbox import Sandbox, namespaces_available, namespaces_refusal

if TYPE_CHECKING:
    from tritonbuild.tools import Container

__all__ = ["Process", "Sandbox", "Spec", "start"]


@dataclass(frozen=True)
class Spec:
    """A program as a value."""

    argv: Sequence[str]
    env: Mapping[str, str]
    """All of its environment; its PATH also finds argv[0]."""
    cwd: Path
    """In a sandbox: below the sandbox's root, as the host sees it or relative. In a container: as
    the program sees it."""
    log: Path
    """Standard output and error are appended to it."""
    shm_prefix: str = ""
    """Files in /dev/shm whose names start with it are removed afterwards."""
    sandbox: Sandbox | None = None
    container: Container | None = None
    """Instead of a sandbox."""
    memory: int = 0
    """Bytes of data (RLIMIT_DATA) that each of its processes may have; 0: no limit. Memory that
    is reserved and not writable does not count. In a sandbox also the size of /tmp and of /dev/shm,
    each; in a container of /dev/shm."""


class Process:
    """A program that runs, with all that it starts: when it ends, whatever it left running is
    killed. Threads may share one. One that is dropped is killed."""

    def __init__(self, launched: Launched, *, hermetic: bool) -> None:
        self.pid = launched.pid
        self.hermetic = hermetic
        """Whether it runs in namespaces."""
        self._supervisor = launched.supervisor
        self._control = launched.control
        self._code: int | None = None
        self._lock = threading.Lock()
        weakref.finalize(self, os.close, launched.control)

    def poll(self) -> int | None:
        """The exit code, or None while it runs; -N when signal N ended it."""
        try:
            return self.wait(0)
        except TimeoutError:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once nothing of it is left. TimeoutError after `timeout` seconds."""
        if self._code is None:
            poller = select.poll()
            poller.register(self._control, select.POLLIN)
            if not poller.poll(None if timeout is None else math.ceil(max(0.0, timeout) * 1000)):
                raise TimeoutError(f"process {self.pid} still runs after {timeout} s")
        with self._lock:
            if self._code is None:
                self._code = self._receive()
            return self._code

    def stop(self, grace: float = 10.0) -> int:
        """SIGTERM to its process group, and SIGKILL to all that is left of it as soon as it ended
        or after `grace` seconds."""
        with contextlib.suppress(ConnectionError):  # it has just ended
            os.write(self._control, f"stop {grace}".encode())
        return self.wait()

    def _receive(self) -> int:
        try:
            message = os.read(self._control, MESSAGE_SIZE).decode()
        except ConnectionResetError:  # it ended before it read our `stop`; its last word comes next
            message = os.read(self._control, MESSAGE_SIZE).decode()
        self._supervisor.wait()
        if message.startswith("ended "):
            return int(message.removeprefix("ended "))
        # Somebody killed the supervisor, and with that the program itself.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        return -signal.SIGKILL


def start(spec: Spec) -> Process:
    """Returns when the program runs. ActionError when it can't be run: none of that name, not
    executable, no such working folder; EnvironmentFailure where no container can be."""
    isolated = spec.sandbox is not None and namespaces_available()
    cwd, sandbox = os.fspath(spec.cwd), None
    if spec.sandbox:
        spec.sandbox.prepare(isolated=isolated)
        cwd = _inside(spec.cwd, spec.sandbox)
        if isolated:
            sandbox = (
                os.fspath(spec.sandbox.root),
                spec.sandbox.work,
                list(spec.sandbox.outputs),
                [(os.fspath(source), path) for source, path in spec.sandbox.binds],
                spec.sandbox.network,
                [os.fspath(path) for path in spec.sandbox.shown],
            )
    specification = {
        "argv": list(spec.argv),
        "env": dict(spec.env),
        "cwd": cwd,
        "shm_prefix": spec.shm_prefix,
        "memory": spec.memory,
        "sandbox": sandbox,
        "container": None if spec.container is None else _parameters(spec.container),
    }
    try:
        with spec.log.open("ab") as log:
            launched = launch(specification, log.fileno())
    except (LaunchError, OSError) as error:
        raise ActionError(Problem(f"cannot start the program: {error}")) from error
    return Process(launched, hermetic=isolated or spec.container is not None)


def _parameters(container: Container) -> object:
    if refusal := namespaces_refusal():
        raise EnvironmentFailure(
            Problem(
                f"an image cannot be run from its own root file system here: {refusal}",
                "a machine that allows unprivileged user namespaces",
                "allow them (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, "
                "kernel.apparmor_restrict_unprivileged_userns), or run the image in Docker",
            )
        )
    binds = [(os.fspath(b.source), b.path, b.writable) for b in container.binds]
    shown = [os.fspath(path) for path in container.shown]
    root = (os.fspath(container.root), container.writable, binds, shown, [*container.scratch])
    return (container.user, container.group), root


def _inside(folder: Path, sandbox: Sandbox) -> str:
    if folder.is_absolute():
        folder = folder.relative_to(sandbox.root.absolute())
    return os.fspath(sandbox.inside / folder)
