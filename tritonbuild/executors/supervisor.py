"""The supervisor: a small process between the build and one program, which outlives both.

    build ── socket ── supervisor ── program ── whatever it starts
                                 └── init ── program …       in the sandbox: init is pid 1 there

It starts fast (few imports, nothing of the build's) and ends when the program has ended or the
build is gone: the build's end of the socket closes however the build dies. Then it kills all that
descends from it and removes the program's shared memory.

It reads what to start from its standard input (marshal: a dict, the parameters of `_run`). It
tells, a message each: `started PID` or `failed REASON`, then `ended CODE` (-N for signal N). It
hears `stop SECONDS`.
"""

from __future__ import annotations

import contextlib
import marshal
import os
import select
import signal
import sys
import time
from collections.abc import Callable

from tritonbuild.executors import containment, isolation, linux, mounts
from tritonbuild.executors.family import Family
from tritonbuild.executors.program import become

_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""The build answers to these; its end is what ends us."""

Root = tuple[str, bool, list[tuple[str, str, bool]], list[str], list[tuple[str, int]]]


def main(control: int) -> None:
    """`control` is this end of the socket."""
    build = _pidfd(os.getppid())
    os.set_inheritable(control, False)
    os.umask(0o022)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    try:
        specification = marshal.load(sys.stdin.buffer)  # noqa: S302  # from the build itself
        os.dup2(os.open(os.devnull, os.O_RDWR), 0)
        linux.adopt_orphans()
        _run(control, build, **specification)
    except (ConnectionError, EOFError):
        pass  # the build is gone
    except OSError as error:
        os.write(control, f"failed {_reason(error)}".encode())
    os._exit(0)  # spares taking down the interpreter


def _run(
    control: int,
    build: int | None,
    argv: list[str],
    env: dict[str, str],
    cwd: str,
    shm_prefix: str,
    memory: int,
    sandbox: tuple[str, str, list[str], list[tuple[str, str]], bool, list[str]] | None = None,
    container: tuple[tuple[int, int], Root] | None = None,
) -> None:
    """`sandbox`: the first parameters of isolation.build_root. `container`: user and group, and
    those of containment.build_root. At most one of them."""
    isolated = bool(sandbox or container)
    if isolated:
        mounts.enter(*(container[0] if container else (isolation.USER, isolation.USER)))
    host_proc = os.open("/proc", os.O_RDONLY)
    birth, born = os.pipe()
    fate, told = os.pipe()

    def program() -> None:
        # Fails when the supervisor has gone before die_with_parent could notice.
        os.write(born, os.readlink("self", dir_fd=host_proc).encode() + b"\n")
        become(argv, env, cwd, memory)

    def first() -> None:
        os.close(birth)
        linux.die_with_parent(signal.SIGKILL)
        if not isolated:
            return program()
        if sandbox:
            isolation.build_root(*sandbox, memory)
        if container:
            containment.build_root(*container[1], memory)
        child = _fork(program, born)
        os.close(born)
        return _be_init(child, told)

    family = Family(_fork(first, born))
    os.close(born)
    os.close(told)
    try:
        pid, _, failure = _read_all(birth).partition("\n")
        if failure or not pid:
            reason = failure.strip() or "its process was killed at once"
            os.write(control, f"failed {reason}".encode())
            return
        os.write(control, f"started {pid}".encode())
        _watch(family, control, build, stop_group=not isolated)
    finally:
        family.kill()
        if shm_prefix:
            _remove_shared_memory(shm_prefix)
    # Without a status it is one that even SIGKILL could not end yet.
    status = signal.SIGKILL if family.status is None else family.status
    os.set_blocking(fate, False)
    code = _read_all(fate) or str(os.waitstatus_to_exitcode(status))
    os.write(control, f"ended {code}".encode())


def _fork(run: Callable[[], None], born: int) -> int:
    """A child that runs the function; why that failed, if it did, goes to `born`."""
    pid = os.fork()
    if pid:
        return pid
    try:
        run()
    except BaseException as error:
        os.write(born, f"\n{_reason(error)}".encode())
    finally:
        os._exit(127)


def _be_init(program: int, told: int) -> None:
    """Pid 1 of the sandbox: forwards SIGTERM, adopts and reaps, and ends with the program, upon
    which the kernel kills all others in the namespace."""

    def forward(*_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program, signal.SIGTERM)

    signal.signal(signal.SIGTERM, forward)
    while True:
        pid, status = os.wait()
        if pid == program:
            os.write(told, str(os.waitstatus_to_exitcode(status)).encode())
            os._exit(0)


def _watch(family: Family, control: int, build: int | None, *, stop_group: bool) -> None:
    """Returns when the program ended, the build is gone, or a stop's time has run out."""
    awake, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    poller = select.poll()
    for fd in (control, awake, build):
        if fd is not None:
            poller.register(fd, select.POLLIN)
    deadline = float("inf")
    while True:
        family.reap()
        left = deadline - time.monotonic()
        if family.status is not None or left <= 0:
            return
        for fd, _ in poller.poll(None if left == float("inf") else left * 1000 + 1):
            if fd == awake:
                os.read(awake, 4096)
            elif fd == build or not (message := _receive(control)):
                return
            else:
                deadline = min(deadline, time.monotonic() + float(message.removeprefix("stop ")))
                with contextlib.suppress(ProcessLookupError):
                    stop = os.killpg if stop_group else os.kill
                    stop(family.child, signal.SIGTERM)


def _remove_shared_memory(prefix: str) -> None:
    for name in os.listdir("/dev/shm"):  # noqa: S108
        if name.startswith(prefix):
            with contextlib.suppress(OSError):
                os.unlink(f"/dev/shm/{name}")  # noqa: S108


def _pidfd(pid: int) -> int | None:
    """Readable when that process ends: says so even while a fork of it holds the socket."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # Linux < 5.3, when Python was built or now
        return None


def _receive(control: int) -> str:
    try:
        return os.read(control, 4096).decode()
    except ConnectionResetError:
        return ""


def _read_all(pipe: int) -> str:
    content = b""
    with contextlib.suppress(BlockingIOError):
        while chunk := os.read(pipe, 4096):
            content += chunk
    return content.decode(errors="replace")


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"
