"""Images at work in their own root file system, without Docker."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from parts import images, leftovers
from parts.bench import Bench
from parts.images import Memory, file, folder, link
from parts.missing import missing
from parts.ordinary import NOBODY, ordinary, readable_python
from parts.ports import free_port
from parts.recipes import sparse

import tritonbuild
from tritonbuild.digest import CHUNK
from tritonbuild.errors import ActionError, EnvironmentFailure
from tritonbuild.executors.sandbox import namespaces_refusal
from tritonbuild.gpus import Driver, Gpu, Lease
from tritonbuild.oci import Image, Member
from tritonbuild.oci.execute import Terms, run_image
from tritonbuild.oci.tar import recipe_of
from tritonbuild.oci.unpack import unpack
from tritonbuild.oci.user import User
from tritonbuild.tools import Bind, ToolContext, tool

__all__ = ["ordinary"]

BUILD = """
import sys, time
from pathlib import Path
from tritonbuild.executors.process import Spec, start
from tritonbuild.tools import Container

root, log, mark = sys.argv[1:]
script = f"(sleep {mark} &); sleep {mark} & sleep {mark}"
container = Container(Path(root), 12345, 54321)
argv = ["sh", "-c", script]
process = start(Spec(argv, {"PATH": "/bin"}, Path("/"), Path(log), container=container))
print("started", flush=True)
time.sleep(1000)
"""

# Without the packages' own imports, which another user's Python may lack.
ORDINARY = """
import sys
from pathlib import Path
for name in ("", ".executors", ".tools"):
    package = sys.modules["tritonbuild" + name] = type(sys)("tritonbuild" + name)
    package.__path__ = [sys.argv[1] + name.replace(".", "/")]
from tritonbuild.executors.process import Spec, start
from tritonbuild.tools.container import Container

place, script = Path(sys.argv[2]), sys.argv[3]
container = Container(place / "root", 12345, 54321)
argv = ["sh", "-c", script]
sys.exit(start(Spec(argv, {"PATH": "/bin"}, Path("/"), place / "log", container=container)).wait())
"""


class Yard:
    """A build's cache, where images are run."""

    def __init__(self, place: Path) -> None:
        if refusal := namespaces_refusal():
            missing(refusal, "allow unprivileged user namespaces")
        self.bench = Bench(place / "cache")
        self.log = place / "log"
        self.lease: Lease | None = None

    def with_image(self, image: Image, act: Callable[[ToolContext, Image], None]) -> None:
        @tool("t", version=1)
        def run(ctx: ToolContext) -> None:
            act(ctx, image)
            ctx.write("out", b"")

        self.bench.run(run, outputs=["out"], lease=self.lease)

    def start(self, image: Image, terms: Terms | None = None) -> tuple[int, str]:
        """Its exit code, and what it said."""
        code = -1

        def act(ctx: ToolContext, image: Image) -> None:
            nonlocal code
            code = run_image(ctx, image, self.log, terms).wait()

        self.log.write_bytes(b"")
        self.with_image(image, act)
        return code, self.log.read_text()

    def run(self, script: str, terms: Terms | None = None, *more: Member, **config: Any) -> str:
        """What a script in an image of a shell and `more` says."""
        layers = [images.busybox(), [*more]] if more else [images.busybox()]
        image = Memory().image(layers, **{"cmd": ["sh", "-c", script], **config})
        code, said = self.start(image, terms)
        assert code == 0, said
        return said

    @property
    def roots(self) -> list[Path]:
        return list((self.bench.cache.root / "kept").iterdir())


@pytest.fixture
def yard(tmp_path: Path) -> Yard:
    return Yard(tmp_path)


def test_it_runs_as_its_config_says(yard: Yard) -> None:
    said = yard.run(
        "id -u; id -g; whoami; pwd; echo $HOME $WORD $PATH; exit 0",
        user="server",
        env=["WORD=a=b", "PATH=/bin:/usr/bin"],
        working_dir="/etc",
    )
    assert said.split() == ["12345", "54321", "server", "/etc", "/", "a=b", "/bin:/usr/bin"]


def test_entrypoint_and_command_are_joined_and_can_be_replaced(yard: Yard) -> None:
    image = Memory().image([images.busybox()], entrypoint=["echo", "a"], cmd=["b"])
    assert yard.start(image) == (0, "a b\n")
    assert yard.start(image, Terms(command=["c"])) == (0, "a c\n")
    assert yard.start(image, Terms(entrypoint=["echo", "d"])) == (0, "d\n")
    assert len(yard.roots) == 1


def test_any_user_can_be_asked_for(yard: Yard) -> None:
    terms = Terms(user="777", env={"WORD": "x"})
    said = yard.run("id -u; id -g; echo $WORD; stat -c %u /bin/busybox", terms, user="server")
    assert said.split() == ["777", "0", "x", "777"]


def test_an_exit_code_comes_through(yard: Yard) -> None:
    assert yard.start(Memory().image([images.busybox()], cmd=["sh", "-c", "exit 42"]))[0] == 42


def test_its_root_is_read_only_but_for_tmp(yard: Yard) -> None:
    yard.run(
        "echo x > /tmp/x && echo x > /dev/shm/x && echo x > /dev/null && test -c /dev/urandom &&"
        "for place in / /bin /dev /etc /etc/hosts /sys/x /proc/sys/kernel/hostname;"
        "do ! touch $place/x && ! (echo x > $place) || exit 9; done"
    )


def test_a_writable_root_forgets_what_was_written(yard: Yard) -> None:
    script = "test ! -e /new && echo x > /new && rm /bin/wget && test ! -e /bin/wget"
    for _ in range(2):
        yard.run(script, Terms(writable=True))
    assert len(yard.roots) == 1


def test_nothing_of_the_host_is_seen(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    said = yard.run(
        f"! test -e {tmp_path} && ls -d / /* && ls -d /proc/[0-9]* | wc -l; cat /proc/1/environ;"
        "cat /proc/self/mountinfo"
    )
    shown = [line for line in said.splitlines() if line.startswith("/")]
    assert shown == ["/", "/bin", "/dev", "/etc", "/proc", "/sys", "/tmp"]
    assert "secret" not in said
    assert str(yard.bench.cache.root) not in said


def test_it_has_no_privileges_even_as_its_root(yard: Yard) -> None:
    said = yard.run(
        "cat /proc/self/status; ! mount -t tmpfs tmpfs /tmp; ! mount -o remount,rw /", user="root"
    )
    for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh"):
        assert f"{name}:\t{'0' * 16}" in said
    assert "NoNewPrivs:\t1" in said
    assert "Uid:\t0\t0" in said


def test_the_loopback_is_the_host_s(yard: Yard) -> None:
    port = free_port()
    script = f"httpd -p 127.0.0.1:{port} -h /etc && wget -q -O - http://localhost:{port}/word"
    assert yard.run(script, None, file("etc/word", "found")) == "found"


def test_a_host_s_folder_is_bound_where_the_image_has_nothing(yard: Yard, tmp_path: Path) -> None:
    place = tmp_path / "a,b:c"
    place.mkdir()
    (place / "f").write_text("bound ")
    terms = Terms(
        binds=[
            Bind(place, "/models/deep"),
            Bind(place, "/open", writable=True),
            Bind(place / "f", "/etc/file"),
        ]
    )
    said = yard.run(
        "cat /models/deep/f /etc/file; ! touch /models/deep/x 2> /dev/null && touch /open/y", terms
    )
    assert said == "bound bound "
    assert {entry.name for entry in place.iterdir()} == {"f", "y"}


def test_an_image_s_links_lead_nowhere_on_the_host(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    script = f"cat /etc/resolv.conf > /dev/null; test -d /sys/devices && ls -A {tmp_path}/host"
    said = yard.run(
        script,
        Terms(binds=[Bind(tmp_path / "cache/blobs", "/models/x")]),
        link("models", f"{tmp_path}/host"),
        link("etc/resolv.conf", f"{tmp_path}/host/resolv.conf"),
    )
    assert "x" in said.split()
    assert list((tmp_path / "host").iterdir()) == []


def test_files_that_its_user_may_not_read_it_cannot(yard: Yard) -> None:
    more = [
        file("secret", "s", 0o600),
        file("own", "o", 0o600, uid=12345),
        file("team", "t", 0o640, gid=54321),
    ]
    assert (
        yard.run("! cat /secret 2> /dev/null && cat /own /team", None, *more, user="server") == "ot"
    )
    assert yard.run("cat /secret", None, *more, user="0") == "s"


def test_memory_for_tmp_can_be_bounded(yard: Yard) -> None:
    terms = Terms(scratch=[("/tmp", 1 << 20), ("/var/run", 0)])
    said = yard.run(
        "! cat /bin/busybox /bin/busybox > /tmp/x 2> /dev/null && touch /var/run/x &&"
        "stat -c %s /tmp/x",
        terms,
    )
    assert int(said) <= 1 << 20


def test_a_root_is_unpacked_once_and_again_after_a_kill(yard: Yard) -> None:
    image = Memory().image([images.busybox()], cmd=["true"])
    for _ in range(2):
        assert yard.start(image)[0] == 0
    (first,) = yard.roots
    assert yard.start(image, Terms(user="7"))[0] == 0
    assert len(yard.roots) == 2

    class Killed(BaseException):
        pass

    def act(ctx: ToolContext, image: Image) -> None:
        def make(path: Path) -> None:
            path.mkdir()
            (path / "half").touch()
            raise Killed

        with pytest.raises(Killed):
            ctx.kept("new", make)

    yard.with_image(image, act)
    assert len(yard.roots) == 2
    assert list(yard.bench.cache.tmp.iterdir()) == []
    assert first in yard.roots


def test_weights_are_shown_not_copied(yard: Yard) -> None:
    cache = yard.bench.cache
    weights = cache.put(b"w" * 2 * CHUNK)
    image = sparse(
        cache,
        recipe_of(images.busybox()),
        recipe_of([Member("models/w", content=weights), file("bin/x")]),
        cmd=["stat", "-c", "%s %a", "/models/w"],
    )
    assert yard.start(image) == (0, f"{2 * CHUNK} 444\n")
    assert [path.stat().st_size for path in yard.roots[0].rglob("w")] == [0]
    blob = cache.find(weights)
    assert blob is not None
    assert blob.stat().st_nlink == 1


def test_leased_gpus_are_seen_with_their_driver(yard: Yard, tmp_path: Path) -> None:
    library = tmp_path / "libcuda.so.1"
    library.write_text("driver")
    gpu = Gpu("GPU-1", "NVIDIA L4", "8.9", 24 << 30, 0)
    yard.lease = Lease((gpu,), Driver("550.1", "12.4", (library,), (gpu,)))
    said = yard.run(
        "echo $CUDA_VISIBLE_DEVICES $LD_LIBRARY_PATH; cat /usr/local/nvidia/lib64/libcuda.so.1",
        env=["PATH=/bin", "LD_LIBRARY_PATH=/own"],
    )
    assert said == "GPU-1 /usr/local/nvidia/lib64:/own\ndriver"


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"cmd": None}, "says no program to run"),
        ({"cmd": ["true"], "user": "nobody-there"}, "user 'nobody-there' is not in the image"),
    ],
)
def test_an_image_that_cannot_run_says_why(yard: Yard, config: dict[str, Any], fault: str) -> None:
    with pytest.raises(ActionError, match=fault):
        yard.start(Memory().image([images.busybox()], **config))
    assert yard.roots == [] or fault.startswith("says")


@pytest.mark.parametrize(
    ("config", "fault"),
    [
        ({"cmd": ["no-such"]}, "no-such: not on PATH /bin"),
        ({"cmd": ["true"], "working_dir": "/none"}, "/none: No such file"),
    ],
)
def test_a_program_that_is_not_there_is_an_error(
    yard: Yard, config: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ActionError, match=fault):
        yard.start(Memory().image([images.busybox()], **config))


def test_without_namespaces_the_remedy_is_told(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITONBUILD_NO_NAMESPACES", "1")
    with pytest.raises(EnvironmentFailure, match="namespaces") as caught:
        yard.start(Memory().image([images.busybox()], cmd=["true"]))
    assert "Docker" in caught.value.problems[0].remedy


def test_it_ends_with_the_build_that_was_killed(yard: Yard, tmp_path: Path) -> None:
    yard.start(Memory().image([images.busybox()], cmd=["true"]))
    mark = f"9{secrets.randbelow(10**6):06}.{secrets.randbelow(10**6):06}"
    argv = [sys.executable, "-c", BUILD, yard.roots[0] / "root", tmp_path / "out", mark]
    with subprocess.Popen(list(map(str, argv)), stdout=subprocess.PIPE, text=True) as build:
        assert build.stdout is not None
        assert build.stdout.readline() == "started\n", (tmp_path / "out").read_text()
        assert leftovers.eventually(lambda: len(sleeping(mark)) == 3)
        build.kill()
    assert leftovers.eventually(lambda: not sleeping(mark))


def sleeping(mark: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes() == f"sleep\0{mark}\0".encode():
                found.append(path.parent.name)
        except OSError:
            continue
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="every test here is an ordinary user's then")
def test_an_ordinary_user_can_do_it_too(ordinary: Path) -> None:
    more = [folder("data", 0o555), file("data/x", "x", 0o400, uid=12345)]
    image = Memory().image([images.busybox(), more])
    unpack(image, ordinary / "root").settle(User(12345, 54321, "/").seen)
    os.seteuid(0)
    for path in (ordinary / "root", *(ordinary / "root").rglob("*")):
        os.lchown(path, NOBODY, NOBODY)
    script = "id -u; cat /data/x; ! touch /new; touch /tmp/x; cat /proc/self/uid_map"
    argv = [readable_python(), "-c", ORDINARY, Path(tritonbuild.__file__).parent, ordinary, script]
    done = subprocess.run(
        list(map(str, argv)), user=NOBODY, group=NOBODY, cwd="/", stdout=subprocess.PIPE
    )
    said = (ordinary / "log").read_text()
    assert done.returncode == 0, said
    assert said.split()[0] == "12345"
    assert said.split()[-3:] == ["12345", str(NOBODY), "1"]
