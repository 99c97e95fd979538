"""Images while registries, daemons, disks and people do what they should not: told in words, and
afterwards all is right."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from conftest import Outcome, WorkspaceFolder
from docker import DockerClient
from parts.around import around, with_disk
from parts.carrying import SERVER, carrying, identity, uploaded, valid, valid_in_registry
from parts.dockerd import Dockerd
from parts.faulty import Fault, faulty
from parts.leftovers import Trace, eventually, traced
from parts.ports import free_port
from parts.registry import HTPASSWD, PASSWORD, USER, log_in, registry, token_registry

MakeWorkspace = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]
WRONG = "another-password-that-nobody-should-see"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> WorkspaceFolder:
    """A workspace whose image is built."""
    folder = tmp_path_factory.mktemp("built")
    workspace = carrying(WorkspaceFolder(folder / "workspace", folder / "cache"))
    workspace.build(SERVER)
    return workspace


@pytest.fixture
def docker(built: WorkspaceFolder, tmp_path: Path) -> Path:
    """Docker's folder of configuration, empty."""
    folder = tmp_path / "docker"
    folder.mkdir()
    built.environment = {"DOCKER_CONFIG": str(folder)}
    return folder


@pytest.fixture
def ours(built: WorkspaceFolder, docker: Path) -> Iterator[Trace]:
    """Of what is built, everything that a test starts."""
    cache = built.cache
    with traced(built) as trace:
        yield trace
    built.cache = cache


@pytest.fixture
def fresh(workspace: MakeWorkspace) -> WorkspaceFolder:
    """Nothing is built."""
    return carrying(workspace({}))


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """An image of the test's own."""
    return f"acme/t{abs(hash(request.node.nodeid))}:v1"


def failed(outcome: Outcome, exit_code: int = 1) -> dict[str, Any]:
    """The first error."""
    assert outcome.exit_code == outcome.finished["exit_code"] == exit_code, outcome.text
    assert "Traceback" not in outcome.text
    return outcome.errors[0]


def succeeds(outcome: Outcome) -> Outcome:
    assert outcome.exit_code == 0, outcome.text
    return outcome


# Registries.


def test_a_token_that_ends_in_the_middle_of_a_push_is_renewed(
    built: WorkspaceFolder, docker: Path, tmp_path: Path, name: str
) -> None:
    with token_registry(tmp_path / "registry") as (host, tokens), faulty(host) as proxy:
        log_in(docker, proxy.host)
        scope = f"repository:{name.partition(':')[0]}:pull,push"
        old = f"Bearer {tokens.token((scope,), everything=True, age=7200)}"
        for method, path in (("PUT", "uploads"), ("PUT", "manifests")):
            headers = {"Authorization": old}
            proxy.faults.append(Fault("authorize", method, path, headers=headers))
        outcome = succeeds(built.run("push", SERVER, f"--to={proxy.host}/{name}"))
        assert [seen.status for seen in proxy.asked("PUT")].count(401) == 2
        taken = uploaded(proxy)
        assert len(taken) == len(set(taken))
        assert succeeds(built.run("pull", f"{proxy.host}/{name}", str(tmp_path / "pulled")))
    assert valid(tmp_path / "pulled") == valid(built.output("_/server"))
    said = f"{outcome.events}{outcome.text}"
    assert not any(secret in said for secret in (PASSWORD, old, *tokens.issued))


@pytest.mark.parametrize("verb", ["push", "pull", "promote"])
def test_a_wrong_password_is_told_and_nowhere_shown(
    built: WorkspaceFolder, docker: Path, tmp_path: Path, name: str, verb: str
) -> None:
    with registry(tmp_path / "registry", HTPASSWD) as host:
        log_in(docker, host, USER, WRONG)
        arguments = {
            "push": [SERVER, f"--to={host}/{name}"],
            "pull": [f"{host}/{name}", str(tmp_path / "pulled")],
            "promote": [f"{host}/{name}", f"{host}/{name}-too"],
        }[verb]
        outcome = built.run(verb, *arguments)
    error = failed(outcome)
    assert f"{host}: it does not take Docker's credentials (401)" in error["found"]
    assert f"`docker login {host}`" in error["remedy"]
    assert WRONG not in f"{outcome.events}{outcome.text}"
    kept = [path for folder in (built.cache, built.root) for path in folder.rglob("*")]
    assert not any(WRONG.encode() in path.read_bytes() for path in kept if path.is_file())
    assert not (tmp_path / "pulled").exists()


@pytest.mark.parametrize("verb", ["push", "pull", "promote"])
def test_a_registry_that_is_gone_is_told(
    built: WorkspaceFolder, docker: Path, tmp_path: Path, verb: str
) -> None:
    name = f"127.0.0.1:{free_port()}/acme/net:v1"
    arguments = {
        "push": [SERVER, f"--to={name}"],
        "pull": [name, str(tmp_path / "pulled")],
        "promote": [name, f"{name}-too"],
    }[verb]
    error = failed(built.run(verb, *arguments), 36)
    assert error["found"] == f"{name.partition('/')[0]}: Connection refused"
    assert "does it run there" in error["remedy"]
    assert not (tmp_path / "pulled").exists()


def test_a_registry_that_is_busy_for_a_while_is_waited_for(
    built: WorkspaceFolder, docker: Path, host: str, tmp_path: Path, name: str
) -> None:
    busy = [
        Fault("answer", method, path, status=503, times=2)
        for method, path in (("POST", "uploads"), ("PUT", "manifests"), ("GET", "blobs"))
    ]
    with faulty(host, *busy) as proxy:
        succeeds(built.run("push", SERVER, f"--to={proxy.host}/{name}"))
        succeeds(built.run("pull", f"{proxy.host}/{name}", str(tmp_path / "pulled")))
    assert [fault.times for fault in busy] == [0, 0, 0]
    assert valid(tmp_path / "pulled") == valid(built.output("_/server"))


def test_a_push_that_a_registry_breaks_off_goes_on_with_the_next_one(
    built: WorkspaceFolder, docker: Path, host: str, name: str
) -> None:
    broken = Fault("answer", "PUT", "manifests", status=503, times=99)
    with faulty(host, broken) as proxy:
        error = failed(built.run("push", SERVER, f"--to={proxy.host}/{name}"))
        assert "503" in error["found"]
        assert error["remedy"] == "try again later"
        before = uploaded(proxy)
        broken.times = 0
        outcome = succeeds(built.run("push", SERVER, f"--to={proxy.host}/{name}"))
        assert uploaded(proxy) == before
    (shipped,) = [event for event in outcome.events if event["event"] == "shipped"]
    assert shipped["moved"] < 10_000 < shipped["there"]
    assert valid_in_registry(f"{host}/{name}") == valid(built.output("_/server"))


# Disks.


@pytest.mark.parametrize("kibibytes", [16, 300, 600])
def test_a_full_cache_is_told_and_the_image_is_made_afterwards(
    fresh: WorkspaceFolder, built: WorkspaceFolder, kibibytes: int
) -> None:
    outcome = around(fresh, with_disk(fresh.cache, kibibytes), "build", SERVER)
    full(outcome)
    assert list(fresh.root.rglob(".tmp-*")) == []
    fresh.build(SERVER)
    assert valid(fresh.output("_/server")) == valid(built.output("_/server"))


@pytest.mark.parametrize("kibibytes", [16, 400, 40_000])
def test_a_full_output_tree_is_told_and_the_image_is_placed_afterwards(
    fresh: WorkspaceFolder, built: WorkspaceFolder, kibibytes: int
) -> None:
    outcome = around(fresh, within(fresh.output(""), kibibytes), "build", SERVER)
    full(outcome)
    assert ".tmp" not in outcome.text
    assert fresh.build(SERVER).executed == 0
    assert valid(fresh.output("_/server")) == valid(built.output("_/server"))


def test_a_full_disk_ends_a_pull_and_leaves_nothing_there(
    built: WorkspaceFolder, docker: Path, host: str, tmp_path: Path, name: str
) -> None:
    succeeds(built.run("push", SERVER, f"--to={host}/{name}"))
    place = tmp_path / "small"
    pull = ["pull", f"{host}/{name}", str(place / "pulled")]
    outcome = around(built, within(place, 40_000), *pull)
    full(outcome)
    assert ".tmp" not in outcome.text
    succeeds(built.run(*pull))
    assert valid(place / "pulled") == valid(built.output("_/server"))


def within(place: Path, kibibytes: int) -> list[str]:
    """What shows a program a small disk there, and tells what is unfinished on it in the end."""
    seen = '"$@"; code=$?; find "$0" -name ".tmp*" >&2; exit $code'
    return [*with_disk(place, kibibytes), "sh", "-c", seen, str(place)]


def full(outcome: Outcome) -> None:
    failed(outcome, 36)
    for error in outcome.errors:
        said = ("No space left on device", "disk I/O error", "database or disk is full")
        assert any(words in error["found"] for words in said), error
        assert "free space" in error["remedy"]


# Daemons.


@pytest.fixture
def client(ours: Trace, docker_daemon: Dockerd) -> Iterator[DockerClient]:
    """To a daemon that has not got the image."""
    ours.workspace.environment["DOCKER_HOST"] = docker_daemon.host
    client = docker_daemon.client()
    yield client
    client.images.remove(identity(ours.workspace.output("_/server")), force=True)
    client.close()


def test_a_daemon_that_ends_in_the_middle_of_a_load_is_told(
    ours: Trace, docker_daemon: Dockerd, client: DockerClient, name: str
) -> None:
    load = ["load", SERVER, f"--to={name}"]
    with ours.workspace.start(load[0], "--json", *load[1:]) as process:
        stopped_while_loading(docker_daemon, process)
        docker_daemon.kill()
        process.send_signal(signal.SIGCONT)
        code, events, text = ended(process)
    docker_daemon.start()
    assert code == events[-1]["exit_code"] == 1, text
    (error,) = events[-1]["errors"]
    assert "the Docker daemon broke off" in error["found"]
    assert error["remedy"] == "`docker info` says whether it runs"
    assert client.images.list(name) == []
    succeeds(ours.workspace.run(*load))
    assert client.images.get(name).id == identity(ours.workspace.output("_/server"))


def test_ctrl_c_ends_a_load_in_its_middle(
    ours: Trace, docker_daemon: Dockerd, client: DockerClient, name: str
) -> None:
    load = ["load", SERVER, f"--to={name}"]
    with ours.workspace.start(load[0], "--json", *load[1:], process_group=0) as process:
        stopped_while_loading(docker_daemon, process)
        os.killpg(process.pid, signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        is_interrupted(ours, process)
    assert client.images.list(name) == []
    succeeds(ours.workspace.run(*load))
    assert client.images.get(name).id == identity(ours.workspace.output("_/server"))


def stopped_while_loading(daemon: Dockerd, process: subprocess.Popen[bytes]) -> None:
    """Stops a load when the daemon has begun to take it."""
    loading = daemon.folder / "data/tmp"
    assert eventually(lambda: any(loading.glob("docker-import-*")))
    process.send_signal(signal.SIGSTOP)
    assert any(loading.glob("docker-import-*"))


# People.


def ended(process: subprocess.Popen[bytes]) -> tuple[int, list[dict[str, Any]], str]:
    """Its exit code, events and text."""
    out, text = process.communicate(timeout=30)
    assert b"Traceback" not in text, text.decode()
    return process.returncode, [json.loads(line) for line in out.splitlines()], text.decode()


def is_interrupted(trace: Trace, process: subprocess.Popen[bytes]) -> None:
    code, events, text = ended(process)
    assert code == events[-1]["exit_code"] == 8, text
    assert [error["found"] for error in events[-1]["errors"]] == ["interrupted"]
    assert trace.left() == []


@pytest.mark.parametrize(("method", "path"), [("PUT", "uploads"), ("PUT", "manifests")])
def test_ctrl_c_ends_a_push_that_a_registry_holds_up(
    ours: Trace, host: str, name: str, method: str, path: str
) -> None:
    silent = Fault("stall", method, path, times=9)
    with faulty(host, silent) as proxy:
        push = ["push", "--json", SERVER, f"--to={proxy.host}/{name}"]
        with ours.workspace.start(*push, process_group=0) as process:
            assert eventually(lambda: silent.times < 9)
            os.killpg(process.pid, signal.SIGINT)
            is_interrupted(ours, process)
    with faulty(host) as proxy:
        succeeds(ours.workspace.run("push", SERVER, f"--to={proxy.host}/{name}"))
    assert valid_in_registry(f"{host}/{name}") == valid(ours.workspace.output("_/server"))


def test_ctrl_c_ends_a_pull_that_a_registry_holds_up(
    ours: Trace, host: str, tmp_path: Path, name: str
) -> None:
    succeeds(ours.workspace.run("push", SERVER, f"--to={host}/{name}"))
    silent = Fault("stall body", path="/blobs/", after=2)
    place = tmp_path / "place"
    with faulty(host, silent) as proxy:
        pull = ["pull", "--json", f"{proxy.host}/{name}", str(place / "pulled")]
        with ours.workspace.start(*pull, process_group=0) as process:
            assert eventually(lambda: not silent.times)
            os.killpg(process.pid, signal.SIGINT)
            is_interrupted(ours, process)
    assert list(place.iterdir()) == []


def test_ctrl_c_at_any_moment_of_a_build_leaves_the_next_one_right(
    fresh: WorkspaceFolder, built: WorkspaceFolder
) -> None:
    with traced(fresh) as trace:
        codes = []
        for number in range(8):
            with fresh.start("build", "--json", SERVER, process_group=0) as process:
                assert eventually(lambda: handles_signals(process.pid))
                time.sleep(0.2 * number)
                os.killpg(process.pid, signal.SIGINT)
                code, events, text = ended(process)
            assert code == events[-1]["exit_code"], text
            codes.append(code)
            assert trace.left() == []
        assert set(codes) <= {0, 8}
        assert 8 in codes
        fresh.build(SERVER)
        assert valid(fresh.output("_/server")) == valid(built.output("_/server"))
        assert list(fresh.root.rglob(".tmp-*")) == []


def handles_signals(pid: int) -> bool:
    """Whether SIGTERM no longer does what it does to Python alone: it is caught, or ignored, or the
    process has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    said = dict(line.split(":", 1) for line in lines)
    ours = int(said["SigCgt"], 16) | int(said["SigIgn"], 16)
    return "Z" in said["State"] or bool(ours >> (signal.SIGTERM - 1) & 1)


def test_two_builds_at_once_make_one_image(fresh: WorkspaceFolder, built: WorkspaceFolder) -> None:
    both = [fresh.start("build", "--json", SERVER) for _ in range(2)]
    told = [ended(process) for process in both]
    assert [code for code, _, _ in told] == [0, 0]
    executed = [events[-1]["metrics"]["executed"] for _, events, _ in told]
    assert 0 in executed
    assert valid(fresh.output("_/server")) == valid(built.output("_/server"))


def test_two_pushes_at_once_are_both_right(
    built: WorkspaceFolder, docker: Path, host: str, name: str
) -> None:
    pushes = [["push", "--json", SERVER, f"--to={host}/{name}{n}"] for n in ("", "", "-too")]
    told = [ended(process) for process in [built.start(*push) for push in pushes]]
    assert [code for code, _, _ in told] == [0, 0, 0], told
    expected = valid(built.output("_/server"))
    assert valid_in_registry(f"{host}/{name}") == expected
    assert valid_in_registry(f"{host}/{name}-too") == expected


def test_of_two_pulls_into_one_folder_one_is_told(
    ours: Trace, host: str, tmp_path: Path, name: str
) -> None:
    succeeds(ours.workspace.run("push", SERVER, f"--to={host}/{name}"))
    silent = Fault("stall body", path="/blobs/")
    with faulty(host, silent) as proxy:
        first = ["pull", "--json", f"{proxy.host}/{name}", str(tmp_path / "pulled")]
        with ours.workspace.start(*first, process_group=0) as process:
            assert eventually(lambda: not silent.times)
            second = ["pull", f"{host}/{name}", str(tmp_path / "pulled")]
            error = failed(ours.workspace.run(*second))
            assert "pulled is being written by another process" in error["found"]
            process.kill()
        succeeds(ours.workspace.run(*second))
    assert valid(tmp_path / "pulled") == valid(ours.workspace.output("_/server"))
