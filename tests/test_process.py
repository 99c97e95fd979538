"""Processes that never outlive the build."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from parts.missing import missing

from tritonbuild.errors import ActionError
from tritonbuild.executors.process import Process, Sandbox, Spec, start
from tritonbuild.executors.sandbox import namespaces_refusal

PATH = "/usr/bin:/bin"

FAMILY = """
trap '' TERM
sleep 1000{mark} &
setsid sleep 2000{mark} &
(setsid sh -c 'trap "" TERM; sleep 3000{mark}; :' &)
sleep 4000{mark}
"""
"""A program with a child, a child in a session of its own, an orphaned session, all stubborn."""
FAMILY_SIZE = 6

BUILD = """
import os, sys, time
from pathlib import Path
from tritonbuild.executors.process import Sandbox, Spec, start

folder, script, prefix, sandboxed, fork = sys.argv[1:]
root = Path(folder, "root")
(root / "work").mkdir(parents=True, exist_ok=True)
print("starting", flush=True)
process = start(
    Spec(
        ["sh", "-c", script],
        {"PATH": "/usr/bin:/bin"},
        root / "work",
        Path(folder, "log"),
        shm_prefix=prefix,
        sandbox=Sandbox(root) if sandboxed else None,
    )
)
forked = os.fork() if fork else 1
try:
    if forked:
        print(forked, flush=True)
    time.sleep(1000)
except KeyboardInterrupt:
    print("stopped", process.stop(), flush=True)
"""
"""A build that runs one program until it is ended itself."""

Run = Callable[..., Process]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Starts a shell script."""

    def run(script: str, *, env: dict[str, str] | None = None, **more: object) -> Process:
        environment = {"PATH": PATH, **(env or {})}
        return start(
            Spec(["sh", "-c", script], environment, tmp_path, tmp_path / "log", **more)  # type: ignore[arg-type]
        )

    return run


@pytest.fixture
def mark() -> Iterator[str]:
    """Digits that no other process has on its command line."""
    mark = f"{random.randrange(10**12, 10**13)}"
    yield mark
    for pid in alive(mark):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(params=["plain", "sandboxed"])
def sandboxed(request: pytest.FixtureRequest) -> bool:
    if request.param == "sandboxed" and namespaces_refusal():
        missing(namespaces_refusal(), "allow unprivileged user namespaces")
    return bool(request.param == "sandboxed")


def alive(mark: str) -> list[int]:
    """The processes with that mark on their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if any(mark in word for word in (folder / "cmdline").read_text().split("\0")):
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def writers(log: Path) -> list[int]:
    """The processes whose standard output is that file."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if (folder / "fd/1").readlink() == log:
                found.append(int(folder.name))
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    return found


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 20
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def build(
    folder: Path, script: str, *, prefix: str = "", sandboxed: bool = False, fork: bool = False
) -> subprocess.Popen[str]:
    program = folder / "build.py"
    program.write_text(BUILD)
    flags = ["1" if flag else "" for flag in (sandboxed, fork)]
    return subprocess.Popen(
        [sys.executable, program, folder, script, prefix, *flags],
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )


@pytest.mark.parametrize("code", [0, 3, 255])
def test_the_exit_code_is_the_programs(run: Run, code: int) -> None:
    assert run(f"exit {code}").wait() == code


def test_a_signal_that_ended_it_is_a_negative_code(run: Run) -> None:
    assert run("kill -SEGV $$").wait() == -signal.SIGSEGV


def test_its_output_and_errors_are_appended_to_the_log(run: Run, tmp_path: Path) -> None:
    run("echo one; echo two >&2").wait()
    run("echo three").wait()
    assert (tmp_path / "log").read_text() == "one\ntwo\nthree\n"


def test_its_environment_is_what_was_given(tmp_path: Path) -> None:
    log = tmp_path / "log"
    start(Spec(["env"], {"PATH": PATH, "ODD": "ü \udcff"}, tmp_path, log)).wait()
    assert log.read_bytes() == b"PATH=" + PATH.encode() + b"\nODD=\xc3\xbc \xff\n"


def test_its_standard_input_is_empty(run: Run) -> None:
    assert run("read line").wait() == 1


def test_it_inherits_no_file_of_the_build(run: Run, tmp_path: Path) -> None:
    with (tmp_path / "other").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        run("exec ls /proc/self/fd").wait()
    # The last one is ls reading the folder.
    assert (tmp_path / "log").read_text().split() == ["0", "1", "2", "3"]


def test_it_starts_with_default_signal_handling(run: Run, tmp_path: Path) -> None:
    run("exec grep -E 'SigIgn|SigBlk' /proc/self/status").wait()
    assert [line.split()[1] for line in (tmp_path / "log").read_text().splitlines()] == [
        "0" * 16
    ] * 2


def test_its_files_are_readable_by_all_whatever_the_umask_of_the_build(
    run: Run, tmp_path: Path
) -> None:
    before = os.umask(0o077)
    try:
        run("touch made").wait()
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o644


def test_a_missing_program_is_an_error_that_names_the_path(tmp_path: Path) -> None:
    with pytest.raises(ActionError, match="no-such-program: not on PATH /usr/bin:/bin"):
        start(Spec(["no-such-program"], {"PATH": PATH}, tmp_path, tmp_path / "log"))


def test_a_script_whose_interpreter_is_missing_is_told_from_a_missing_one(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    with pytest.raises(ActionError, match=r"script: its interpreter .* does not exist"):
        start(Spec([str(script)], {}, tmp_path, tmp_path / "log"))


def test_a_program_that_is_not_executable_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ActionError, match="file: Permission denied"):
        start(Spec(["./file"], {}, tmp_path, tmp_path / "log"))


def test_a_missing_working_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ActionError, match="nowhere: No such file"):
        start(Spec(["true"], {"PATH": PATH}, tmp_path / "nowhere", tmp_path / "log"))


def test_waiting_ends_after_its_timeout(run: Run) -> None:
    process = run("sleep 1000")
    with pytest.raises(TimeoutError):
        process.wait(0.01)
    assert process.poll() is None
    assert process.stop() == -signal.SIGTERM
    assert process.poll() == -signal.SIGTERM


def test_the_program_may_end_by_itself_when_stopped(run: Run, tmp_path: Path) -> None:
    process = run("trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done")
    assert eventually(lambda: (tmp_path / "log").read_text() == "ready\n")
    assert process.stop() == 7


def test_the_pid_is_that_of_the_program(run: Run) -> None:
    process = run("exec sleep 1000")
    os.kill(process.pid, signal.SIGUSR1)
    assert process.wait() == -signal.SIGUSR1


def test_a_stopped_program_that_has_ended_keeps_its_code(run: Run) -> None:
    process = run("exit 5")
    process._supervisor.wait()
    assert process.stop() == 5
    assert process.stop() == 5


def test_threads_can_wait_for_the_same_process(run: Run) -> None:
    process = run("sleep 0.1; exit 9")
    with ThreadPoolExecutor(4) as pool:
        assert [f.result() for f in [pool.submit(process.wait) for _ in range(4)]] == [9] * 4


def test_it_outlives_the_thread_that_started_it(run: Run) -> None:
    started: list[Process] = []
    thread = threading.Thread(target=lambda: started.append(run("sleep 0.2; exit 4")))
    thread.start()
    thread.join()
    assert started[0].wait() == 4


def test_processes_started_at_once_do_not_hold_each_other(run: Run) -> None:
    # Had one inherited another's socket, that one would not notice that it was dropped.
    with ThreadPoolExecutor(16) as pool:
        processes = list(pool.map(lambda _: run("sleep 1000"), range(16)))
    supervisors = [process._supervisor for process in processes]
    keep, *others = processes
    del processes, others
    for supervisor in supervisors[1:]:
        supervisor.wait(20)
    assert keep.poll() is None
    assert keep.stop() == -signal.SIGTERM


def test_what_the_program_left_running_is_killed(run: Run, mark: str) -> None:
    assert run(f"(setsid sleep 1000{mark} &); sleep 2000{mark} & exit 6").wait() == 6
    assert alive(mark) == []


def test_a_program_that_ignores_sigterm_is_killed_with_all_it_started(
    run: Run, mark: str, sandboxed: bool, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    process = run(FAMILY.format(mark=mark), sandbox=Sandbox(tmp_path) if sandboxed else None)
    assert eventually(lambda: len(alive(f"000{mark}")) >= FAMILY_SIZE)
    assert process.stop(grace=0.2) == -signal.SIGKILL
    assert alive(mark) == []


def test_a_program_is_killed_before_it_sees_a_child_killed(
    run: Run, mark: str, sandboxed: bool, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    children = f"for _ in {{1..400}}; do sleep 1000{mark} & done; wait -n; exit 5"
    process = run(
        f"exec bash -c 'trap \"\" TERM; {children}'",
        sandbox=Sandbox(tmp_path) if sandboxed else None,
    )
    assert eventually(lambda: len(alive(mark)) > 400)
    assert process.stop(grace=0) == -signal.SIGKILL
    assert alive(mark) == []


def test_a_program_that_forks_all_the_time_is_killed(run: Run, mark: str) -> None:
    process = run(f"while :; do (setsid sleep 1000{mark} &); done")
    assert eventually(lambda: len(alive(mark)) > 20)
    process.stop(grace=0)
    assert alive(mark) == []


def test_all_ends_when_the_build_is_killed(tmp_path: Path, mark: str, sandboxed: bool) -> None:
    parent = build(tmp_path, FAMILY.format(mark=mark), sandboxed=sandboxed)
    with parent:
        # The build has the script on its command line too.
        assert eventually(lambda: len(alive(f"000{mark}")) >= FAMILY_SIZE + 1)
        parent.kill()
    assert eventually(lambda: alive(mark) == [])


@pytest.mark.parametrize("milliseconds", range(0, 24, 2))
def test_all_ends_when_the_build_is_killed_while_it_starts_the_program(
    tmp_path: Path, mark: str, sandboxed: bool, milliseconds: int
) -> None:
    parent = build(tmp_path, FAMILY.format(mark=mark), sandboxed=sandboxed)
    with parent:
        assert parent.stdout
        parent.stdout.readline()
        time.sleep(milliseconds / 1000)
        parent.kill()
    assert eventually(lambda: alive(mark) == [] and writers(tmp_path / "log") == [])


def test_all_ends_when_the_build_is_killed_though_a_fork_of_it_lives_on(
    tmp_path: Path, mark: str
) -> None:
    parent = build(tmp_path, f"sleep 1000{mark}", fork=True)
    with parent:
        assert parent.stdout
        parent.stdout.readline()
        forked = int(parent.stdout.readline())
        assert eventually(lambda: alive(f"1000{mark}") != [])
        parent.kill()
        parent.wait()
        try:
            assert eventually(lambda: alive(f"1000{mark}") == [forked])
        finally:
            os.kill(forked, signal.SIGKILL)


def test_ctrl_c_reaches_the_build_and_not_the_program(tmp_path: Path) -> None:
    script = (
        "trap 'echo interrupted' INT; trap 'exit 3' TERM; echo ready; while :; do sleep 0.01; done"
    )
    parent = build(tmp_path, script)
    with parent:
        assert parent.stdout
        parent.stdout.readline()
        parent.stdout.readline()
        assert eventually(lambda: (tmp_path / "log").read_text() == "ready\n")
        os.killpg(parent.pid, signal.SIGINT)
        assert parent.stdout.readline() == "stopped 3\n"
    assert "interrupted" not in (tmp_path / "log").read_text()


def test_signals_to_the_supervisor_do_not_end_it(run: Run) -> None:
    process = run("sleep 0.2; exit 8")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        process._supervisor.send_signal(number)
    assert process.wait() == 8


def test_the_program_ends_with_its_supervisor(
    run: Run, mark: str, sandboxed: bool, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    sandbox = Sandbox(tmp_path) if sandboxed else None
    process = run(f"sleep 1000{mark} & sleep 2000{mark}", sandbox=sandbox)
    process._supervisor.kill()
    assert process.wait() == -signal.SIGKILL
    assert eventually(lambda: alive(mark) == [])


def test_its_shared_memory_is_removed_after_it(run: Run, mark: str) -> None:
    other = Path(f"/dev/shm/other-{mark}")
    other.touch()
    try:
        assert run(f"touch /dev/shm/{mark}-one /dev/shm/{mark}-two", shm_prefix=mark).wait() == 0
        assert list(Path("/dev/shm").glob(f"*{mark}*")) == [other]
    finally:
        other.unlink()


def test_its_shared_memory_is_removed_when_the_build_is_killed(tmp_path: Path, mark: str) -> None:
    made = Path(f"/dev/shm/{mark}-region")
    with build(tmp_path, f"touch {made}; sleep 1000{mark}", prefix=mark) as parent:
        assert eventually(made.exists)
        parent.kill()
    assert eventually(lambda: not made.exists())


def test_memory_beyond_the_limit_is_refused(tmp_path: Path) -> None:
    def allocate(megabytes: int) -> int:
        code = f"import sys\ntry: bytearray({megabytes} << 20)\nexcept MemoryError: sys.exit(12)"
        argv = [sys.executable, "-I", "-S", "-c", code]
        return start(Spec(argv, {}, tmp_path, tmp_path / "log", memory=256 << 20)).wait()

    assert (allocate(64), allocate(512)) == (0, 12)
