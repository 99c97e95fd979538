"""What a program sees in the sandbox, and what happens where there can be none."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from parts.missing import missing
from parts.ordinary import NOBODY, readable_python

import tritonbuild
from tritonbuild.errors import ActionError
from tritonbuild.executors.process import Process, Sandbox, Spec, start
from tritonbuild.executors.sandbox import namespaces_available, namespaces_refusal

ENV = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}

VIEW = """
pwd; id -u; id -g; id -un; hostname; umask; env | sort
cat /etc/passwd /etc/hosts; date +%Z
ls -A / /build /build/work /etc /tmp /dev /dev/shm
ls -ld . input | cut -d ' ' -f 1,3,4; head -c 4 input; cat sub/other
"""

# Without the packages' own imports, which another user's Python may lack.
BUILD = """
import sys
from pathlib import Path
for name in ("", ".executors"):
    package = sys.modules["tritonbuild" + name] = type(sys)("tritonbuild" + name)
    package.__path__ = [sys.argv[1] + name.replace(".", "/")]
from tritonbuild.executors.process import Sandbox, Spec, start
from tritonbuild.executors.sandbox import namespaces_refusal

folder, script = Path(sys.argv[2]), sys.argv[3]
work = folder / "root/work"
(work / "sub").mkdir(parents=True)
(work / "input").write_text("data")
(work / "sub/other").write_text("more")
environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
sandbox = Sandbox(folder / "root")
process = start(Spec(["sh", "-c", script], environment, work, folder / "log", sandbox=sandbox))
code = process.wait()
print(f"hermetic={process.hermetic} code={code} refusal={namespaces_refusal()}")
sys.stdout.write((folder / "log").read_text())
"""
"""A build that runs a script in the sandbox and prints what it said."""


class Box:
    """A sandbox in a folder of its own, and the output of what ran in it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.work = self.root / "work"
        self.work.mkdir(parents=True)
        self.log = folder / "log"
        self.outputs: list[str] = []

    def start(
        self,
        script: str,
        *,
        binds: list[tuple[Path, str]] | None = None,
        network: bool = False,
        memory: int = 0,
        shown: list[Path] | None = None,
    ) -> Process:
        sandbox = Sandbox(self.root, binds or (), network, outputs=self.outputs, shown=shown or ())
        return start(
            Spec(["bash", "-c", script], ENV, self.work, self.log, sandbox=sandbox, memory=memory)
        )

    def run(
        self, script: str, *, binds: list[tuple[Path, str]] | None = None, network: bool = False
    ) -> str:
        """What it wrote; it must succeed."""
        code = self.start(script, binds=binds, network=network).wait()
        said = self.log.read_text()
        assert code == 0, said
        return said


@pytest.fixture
def box(tmp_path: Path) -> Box:
    if not namespaces_available():
        missing(namespaces_refusal(), "allow unprivileged user namespaces")
    return Box(tmp_path)


@pytest.fixture
def open_box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Box:
    """On a machine without namespaces."""
    monkeypatch.setenv("TRITONBUILD_NO_NAMESPACES", "1")
    return Box(tmp_path)


@pytest.fixture
def port() -> Iterator[int]:
    """Of a listener on this machine's loopback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def seen(folder: Path, python: str = sys.executable, *prefix: str, **how: int) -> str:
    """What VIEW prints for a build of its own in that folder."""
    argv = [python, "-c", BUILD, str(Path(tritonbuild.__file__).parent), str(folder), VIEW]
    done = subprocess.run([*prefix, *argv], stdout=subprocess.PIPE, cwd="/", **how)  # type: ignore[call-overload]
    assert done.returncode == 0
    return str(done.stdout, "utf-8")


def test_the_program_runs_at_a_fixed_path_as_a_fixed_user_on_a_fixed_host(box: Box) -> None:
    said = box.run("pwd; id -u; id -g; id -un; hostname; umask; cat /proc/sys/kernel/domainname")
    assert said.split() == ["/build/work", "1000", "1000", "build", "tritonbuild", "0022", "(none)"]


def test_the_environment_is_what_was_given(box: Box) -> None:
    start(Spec(["env"], ENV, box.work, box.log, sandbox=Sandbox(box.root))).wait()
    assert box.log.read_text().split() == [f"{name}={value}" for name, value in ENV.items()]


def test_all_is_the_same_in_another_folder(box: Box, tmp_path: Path) -> None:
    said = seen(tmp_path / "a")
    assert said.startswith("hermetic=True code=0 refusal=\n/build/work\n1000\n")
    assert seen(tmp_path / "elsewhere/b") == said


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_all_is_the_same_for_another_user(
    box: Box, tmp_path_factory: pytest.TempPathFactory
) -> None:
    python = readable_python()
    base = Path("/var/tmp") / f"tritonbuild-test-{os.getpid()}"
    mine, theirs = base / "mine", base / "theirs"
    mine.mkdir(parents=True)
    theirs.mkdir()
    os.chown(theirs, NOBODY, NOBODY)
    try:
        assert seen(theirs / "x", python, user=NOBODY, group=NOBODY, umask=0o022) == seen(
            mine / "x"
        )
    finally:
        shutil.rmtree(base)


def test_the_host_s_other_folders_and_processes_are_not_seen(box: Box, tmp_path: Path) -> None:
    hidden = [
        tmp_path,
        Path.home(),
        Path(tritonbuild.__file__),
        Path("/var"),
        Path("/proc/3000000"),
    ]
    box.run("".join(f"! test -e '{path}' && " for path in hidden) + "ls -d /proc/[0-9]* | wc -l")
    assert int(box.log.read_text()) <= 5


def test_what_lies_in_the_working_folder_at_the_start_cannot_be_changed(box: Box) -> None:
    (box.work / "deep").mkdir()
    (box.work / "input").write_text("data")
    (box.work / "deep/input").write_text("data")
    for attempt in ("echo x > {}", "echo x >> {}", "rm -f {}", "chmod u+w {}", "mv -f new {}"):
        for file in ("input", "deep/input"):
            assert box.start(f"touch new; {attempt.format(file)}").wait() != 0
            assert (box.work / file).read_text() == "data"


def test_new_files_can_be_made_in_the_working_folder_only(box: Box) -> None:
    box.run(
        "mkdir deep; echo a > deep/a; echo b > b; mkdir -p c/d; touch c/d/e; mv b c/b; ln c/b f"
    )
    assert (box.work / "c/b").read_text() == "b\n"
    assert (box.work / "deep/a").read_text() == "a\n"
    assert (box.work / "f").stat().st_uid == os.geteuid()
    for place in ("/build", "/", "/usr", "/etc", "/dev", "/sys", "/build/new/deep"):
        assert box.start(f"mkdir -p {place}/x").wait() != 0


def test_folders_of_inputs_are_open_where_an_output_goes_only(box: Box) -> None:
    for folder in ("closed/below", "open/below", "open/out/below", "closed/out"):
        (box.work / folder).mkdir(parents=True)
        (box.work / folder / "input").write_text("data")
    box.outputs = ["open/out", "new/file"]
    box.run("echo a > open/a; echo b > open/out/b; echo c > open/out/below/c; mkdir new")
    for folder in ("closed", "closed/below", "closed/out", "open/below"):
        assert box.start(f"echo x > {folder}/x").wait() != 0
        assert not (box.work / folder / "x").exists()
    for folder in ("closed/below", "open/below", "open/out/below"):
        assert box.start(f"echo x > {folder}/input").wait() != 0
        assert (box.work / folder / "input").read_text() == "data"


def test_a_folder_of_inputs_takes_one_mount_whatever_it_holds(box: Box) -> None:
    (box.work / "many/deep").mkdir(parents=True)
    before = int(box.run("wc -l < /proc/self/mountinfo"))
    box.log.unlink()
    for number in range(200):
        (box.work / "many" / str(number)).write_text("x")
        (box.work / "many/deep" / str(number)).write_text("x")
    assert int(box.run("wc -l < /proc/self/mountinfo")) == before


def test_an_input_that_shares_its_content_with_a_file_outside_protects_it(
    box: Box, tmp_path: Path
) -> None:
    blob = tmp_path / "blob"
    blob.write_text("kept")
    os.link(blob, box.work / "input")
    box.start("chmod 777 input; echo x > input; ln input twice && echo x > twice").wait()
    assert blob.read_text() == "kept"


def test_binds_are_read_only_folders_and_files_below_the_root(box: Box, tmp_path: Path) -> None:
    folder, file = tmp_path / "tree", tmp_path / "weights"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/tool").write_text("#!/bin/sh\necho tool")
    (folder / "bin/tool").chmod(0o755)
    file.write_text("weights")
    binds = [(folder, "env"), (file, "work/data/weights")]
    said = box.run("PATH=/build/env/bin:$PATH; tool; cat data/weights", binds=binds)
    assert said == "tool\nweights"
    for attempt in ("touch /build/env/x", "touch data/new", "> data/weights", "rm data/weights"):
        assert box.start(attempt, binds=binds).wait() != 0


def test_a_bind_through_a_link_shows_what_the_link_names(box: Box, tmp_path: Path) -> None:
    (tmp_path / "real").write_text("content")
    (tmp_path / "link").symlink_to("real")
    assert box.run("cat ../file", binds=[(tmp_path / "link", "file")]) == "content"


def test_a_bind_outside_the_root_is_refused(box: Box, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.\./escape is not below"):
        box.start("true", binds=[(tmp_path, "../escape")])


def test_a_bind_that_is_missing_is_an_error(box: Box, tmp_path: Path) -> None:
    with pytest.raises(ActionError, match="none to /build/env: No such file"):
        box.start("true", binds=[(tmp_path / "none", "env")])


def test_there_is_no_network(box: Box, port: int) -> None:
    said = box.run(f"! : < /dev/tcp/127.0.0.1/{port} && tail -n +3 /proc/net/dev | wc -l")
    assert "Connection refused" in said
    assert said.endswith("\n1\n")


def test_a_loopback_of_its_own_works(box: Box) -> None:
    # Refused by a loopback that is up; one that is down is unreachable.
    said = box.run("! : < /dev/tcp/localhost/9")
    assert "connect: Connection refused" in said


def test_the_host_s_network_is_there_when_asked_for(box: Box, port: int) -> None:
    box.run(f": < /dev/tcp/127.0.0.1/{port}; test -e /etc/resolv.conf", network=True)


def test_devices_work(box: Box) -> None:
    box.run(
        "set -e; echo x > /dev/null; head -c 8 /dev/urandom | wc -c; cat <(echo y);"
        "head -c 8 /dev/zero > z; echo s > /dev/shm/x; echo t > /tmp/x; ! echo > /dev/full;"
        "echo o > /dev/stdout"
    )


def test_devices_of_the_host_are_shown_when_asked_for(box: Box) -> None:
    assert "kmsg" not in box.run("ls /dev").split()
    shown = [Path("/dev/kmsg"), Path("/dev/pts")]
    box.start("test -c /dev/kmsg && test -d /dev/pts && ls /dev", shown=shown).wait()
    assert "kmsg" in box.log.read_text().split()


def test_folders_of_the_host_are_shown_read_only_when_asked_for(box: Box) -> None:
    look = "ls /sys/class/mem; grep ' /sys/class/mem ' /proc/self/mountinfo | cut -d ' ' -f 6"
    assert "null" not in box.run(f"{look}; true")
    assert box.start(look, shown=[Path("/sys/class/mem")]).wait() == 0
    assert "null" in box.log.read_text()
    assert "ro," in box.log.read_text()


def test_programs_gain_no_privileges(box: Box) -> None:
    said = box.run("grep -E 'CapEff|NoNewPrivs' /proc/self/status")
    assert said.split() == ["CapEff:", "0" * 16, "NoNewPrivs:", "1"]


def test_the_host_s_kernel_cannot_be_set_through_proc(box: Box) -> None:
    said = box.run(
        "shopt -s nullglob; cd /proc;"
        "for file in sys/{vm/swappiness,kernel/core_pattern} sysrq-trigger {irq,bus,fs}/*; do"
        "  ! test -w $file || echo $file; done;"
        "find . -path './[0-9]*' -prune -o -type f -writable -print 2>/dev/null; true"
    )
    assert said == ""


def test_a_new_proc_cannot_be_mounted_over_it(box: Box) -> None:
    said = box.run(
        "unshare --user --map-root-user --mount --pid --fork sh -c"
        " 'mount -t proc proc /proc && test -w /proc/sys/vm/swappiness && echo writable'; true"
    )
    assert "writable" not in said


def test_a_process_may_set_what_is_its_own_in_proc(box: Box) -> None:
    box.run("echo 500 > /proc/self/oom_score_adj && echo name > /proc/self/comm")


def test_an_inner_namespace_cannot_undo_what_is_read_only(box: Box) -> None:
    (box.work / "input").write_text("data")
    box.start(
        "unshare --user --map-root-user --mount sh -c"
        " 'umount input; mount -o remount,rw,bind input; mount -o remount,rw,bind /build;"
        " echo x > input; touch /build/x'"
    ).wait()
    assert (box.work / "input").read_text() == "data"
    assert not (box.root / "x").exists()


def test_memory_also_bounds_files_in_memory(box: Box) -> None:
    process = box.start("head -c 64M /dev/zero > /dev/shm/x", memory=16 << 20)
    assert process.wait() != 0
    assert "No space left" in box.log.read_text()


def test_exit_codes_and_signals_come_through(box: Box) -> None:
    assert box.start("exit 42").wait() == 42
    assert box.start("kill -ABRT $$").wait() == -signal.SIGABRT


def test_orphans_are_reaped_inside(box: Box) -> None:
    said = box.run(
        "for i in 1 2 3; do (setsid true &); done;"
        "while ps -eo stat | grep -q Z; do :; done; echo none"
    )
    assert said == "none\n"


def test_stop_ends_the_program_gently_first(box: Box) -> None:
    process = box.start("trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done")
    while "ready" not in box.log.read_text():
        assert process.poll() is None
    assert process.stop() == 3
    assert "bye" in box.log.read_text()


def test_the_pid_is_the_host_s(box: Box) -> None:
    process = start(Spec(["sleep", "1000"], ENV, box.work, box.log, sandbox=Sandbox(box.root)))
    os.kill(process.pid, signal.SIGUSR1)
    assert process.wait() == -signal.SIGUSR1


def test_a_missing_program_is_an_error(box: Box) -> None:
    spec = Spec(["no-such-program"], ENV, Path("work"), box.log, sandbox=Sandbox(box.root))
    with pytest.raises(ActionError, match="no-such-program: not on PATH"):
        start(spec)


def test_programs_are_told_where_the_root_lies(box: Box) -> None:
    assert Sandbox(box.root).inside == Path("/build")


def test_an_isolated_program_is_hermetic(box: Box) -> None:
    process = box.start("true")
    process.wait()
    assert process.hermetic


def test_without_namespaces_it_runs_in_the_same_layout_and_is_not_hermetic(
    open_box: Box, tmp_path: Path
) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/file").write_text("bound ")
    (open_box.work / "input").write_text("input ")
    binds = [(tmp_path / "tree", "env"), (tmp_path / "tree/file", "work/file")]
    process = open_box.start("cat input ../env/file file; pwd; echo out > made", binds=binds)
    assert process.wait() == 0
    assert not process.hermetic
    assert open_box.log.read_text() == f"input bound bound {open_box.work}\n"
    assert (open_box.work / "made").read_text() == "out\n"


def test_without_namespaces_the_root_is_where_it_is(open_box: Box) -> None:
    assert Sandbox(open_box.root).inside == open_box.root
    assert namespaces_refusal() == "TRITONBUILD_NO_NAMESPACES is set"


def test_a_kernel_that_refuses_namespaces_is_found_out(box: Box, tmp_path: Path) -> None:
    # In a namespace of its own the limit can be lowered without touching the machine's.
    forbid = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    if not shutil.which("unshare"):
        missing("there is no unshare", "apt-get install util-linux")
    prefix = ("unshare", "--user", "--map-root-user", "sh", "-c", forbid, "sh")
    said = seen(tmp_path / "x", sys.executable, *prefix)
    assert said.startswith("hermetic=False code=")
    assert "refusal=unshare: No space left on device" in said
    assert str(tmp_path / "x/root/work") in said
