"""Images into a Docker daemon and out of it, and containers: all with a real one."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.request import urlopen

import pytest
from docker import ContextAPI, DockerClient
from parts.dockerd import Dockerd
from parts.images import Memory, busybox, file, link
from parts.leftovers import eventually

from tritonbuild.errors import Interrupted
from tritonbuild.oci import (
    Absent,
    Compression,
    Image,
    Invalid,
    Member,
    Passing,
    Platform,
    Refused,
    Unreachable,
)
from tritonbuild.oci.container import LABEL, Terms, remove_leftovers, run_in_docker
from tritonbuild.oci.daemon import connect, identify, load, save

AMD64 = Platform.of("linux/amd64")
BIG = 4 << 20


@pytest.fixture
def client(docker_daemon: Dockerd) -> Iterator[DockerClient]:
    client = docker_daemon.client()
    yield client
    client.close()


@pytest.fixture
def memory() -> Memory:
    return Memory()


@pytest.fixture
def own() -> list[Member]:
    """A layer that no other test has sent."""
    return [file("own", secrets.token_bytes(BIG))]


@pytest.fixture
def tag() -> str:
    return f"acme/test:{secrets.token_hex(8)}"


def identity(image: Image) -> str:
    return image.manifest.config.digest


def absent(client: DockerClient, *names: str) -> bool:
    for name in names:
        try:
            identify(client, name)
        except Absent:
            continue
        return False
    return True


def test_all_is_sent_first_then_what_changed_then_nothing(
    client: DockerClient, memory: Memory, own: list[Member], tag: str
) -> None:
    first = memory.image([own, [file("config", "1")]])
    second = memory.image([own, [file("config", "2")]])
    loaded = load(first, [tag], client)
    assert (loaded.layers_sent, loaded.layers_there) == (2, 0)
    assert loaded.bytes_sent > BIG
    assert identify(client, tag) == loaded.identity == identity(first)
    loaded = load(second, [tag], client)
    assert (loaded.layers_sent, loaded.layers_there) == (1, 1)
    assert loaded.bytes_sent < 100_000
    assert identify(client, tag) == identity(second)
    loaded = load(second, [tag, f"{tag}-too"], client)
    assert (loaded.layers_sent, loaded.layers_there, loaded.bytes_sent) == (0, 2, 0)
    assert identify(client, f"{tag}-too") == identity(second)


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_compressed_layers_are_the_same_ones(
    client: DockerClient, memory: Memory, own: list[Member], tag: str, compression: Compression
) -> None:
    assert load(memory.image([own, [file("a")]], compression), [], client).layers_sent == 2
    assert load(memory.image([own, [file("b")]]), [tag], client).layers_there == 1


def test_a_layer_on_others_is_sent_again(
    client: DockerClient, memory: Memory, own: list[Member], tag: str
) -> None:
    load(memory.image([[file("below", tag)], own]), [], client)
    image = memory.image([[file("below", f"not {tag}")], own])
    loaded = load(image, [tag], client)
    assert (loaded.layers_sent, loaded.layers_there) == (2, 0)
    assert loaded.bytes_sent > BIG


def test_a_layer_that_stands_in_an_image_twice_is_sent_where_it_is_missing(
    client: DockerClient, memory: Memory, own: list[Member], tag: str
) -> None:
    load(memory.image([own]), [], client)
    image = memory.image([own, [file("between", tag)], own])
    assert load(image, [tag], client).layers_there == 1
    assert identify(client, tag) == identity(image)


def test_a_layer_that_is_removed_during_a_load_is_sent_after_all(
    client: DockerClient, memory: Memory, own: list[Member], tag: str
) -> None:
    base = memory.image([own])
    load(base, [], client)
    image = memory.image([own, [file("big", secrets.token_bytes(BIG))]])

    def progress(done: int, total: int) -> None:
        if not absent(client, identity(base)):
            client.images.remove(identity(base))

    loaded = load(image, [tag], client, progress)
    assert (loaded.layers_sent, loaded.layers_there) == (2, 0)
    assert identify(client, tag) == identity(image)


def test_a_daemon_that_is_killed_in_the_middle_has_no_image_and_takes_it_afterwards(
    docker_daemon: Dockerd, client: DockerClient, memory: Memory, own: list[Member], tag: str
) -> None:
    image = memory.image([own, [file("more", secrets.token_bytes(BIG))]])
    killed: list[int] = []

    def progress(done: int, total: int) -> None:
        assert total > 2 * BIG
        if done > BIG and not killed:
            killed.append(done)
            docker_daemon.kill()

    with pytest.raises(Passing):
        load(image, [tag], client, progress)
    assert killed
    docker_daemon.start()
    assert absent(client, tag, identity(image))
    assert load(image, [tag], client).layers_sent == 2


@pytest.mark.parametrize("remove", [False, True])
def test_a_damaged_layer_is_not_loaded(
    client: DockerClient, memory: Memory, own: list[Member], tag: str, remove: bool
) -> None:
    image = memory.image([own])
    digest = image.manifest.layers[0].digest
    content = memory.blobs.pop(digest)
    if not remove:
        memory.blobs[digest] = content[:-1] + b"x"
    with pytest.raises(Absent if remove else Invalid, match=digest if remove else "the digest"):
        load(image, [tag], client)
    assert absent(client, tag, identity(image))


def test_a_disk_that_cannot_be_read_is_not_the_daemons_fault(
    client: DockerClient, memory: Memory, own: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    image = memory.image([own])
    assert image.config

    def fails(descriptor: object) -> None:
        raise OSError(5, "Input/output error", "blob")

    monkeypatch.setattr(memory, "open", fails)
    with pytest.raises(Exception, match=r"Input/output error \(blob\)") as failed:
        load(image, [], client)
    assert not isinstance(failed.value, Passing | Refused)


def test_a_load_is_cancelled(
    client: DockerClient, memory: Memory, own: list[Member], tag: str
) -> None:
    image = memory.image([own])
    seen: list[int] = []
    with pytest.raises(Interrupted):
        load(image, [tag], client, lambda done, total: seen.append(done), lambda: bool(seen))
    assert 0 < seen[-1] < BIG
    assert absent(client, tag, identity(image))


def test_a_config_that_does_not_fit_its_layers_is_refused(
    client: DockerClient, memory: Memory, own: list[Member], tag: str
) -> None:
    """What the daemon recomputes."""
    good, other = memory.image([own]), memory.image([[file("other")]])
    lying = good.manifest.model_copy(update={"config": other.manifest.config})
    image = Image(memory, memory.put(lying.media_type, lying.encoded))
    with pytest.raises(Refused, match="invalid diffID"):
        load(image, [tag], client)
    assert absent(client, tag)


def test_a_tag_that_is_none_is_refused(client: DockerClient, memory: Memory) -> None:
    with pytest.raises(Refused, match="invalid reference format"):
        load(memory.image([[file("x")]]), ["acme/UPPER:x"], client)


@pytest.mark.parametrize("compression", Compression)
def test_an_image_comes_back_as_it_went(
    client: DockerClient,
    memory: Memory,
    own: list[Member],
    tag: str,
    tmp_path: Path,
    compression: Compression,
) -> None:
    image = memory.image([[*busybox(), link("deep", "bin/sh")], own], compression, cmd=["sh"])
    load(image, [tag], client)
    saved = save(client, identify(client, tag), AMD64, tmp_path)
    assert saved.config_bytes == image.config_bytes
    assert [layer.diff_id for layer in saved.layers] == image.config.rootfs.diff_ids
    for ours, theirs in zip(image.layers, saved.layers, strict=True):
        with ours.uncompressed() as one, theirs.uncompressed() as two:
            assert one.read() == two.read()


def test_an_image_that_the_daemon_lacks_is_told(client: DockerClient, tmp_path: Path) -> None:
    with pytest.raises(Absent, match="No such image: acme/nowhere:1"):
        identify(client, "acme/nowhere:1")
    with pytest.raises(Absent):
        save(client, f"sha256:{'0' * 64}", AMD64, tmp_path)


def test_the_daemon_is_the_one_that_is_named(
    docker_daemon: Dockerd, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", docker_daemon.host)
    connect().close()
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    ContextAPI.create_context("ours", host=docker_daemon.host)
    monkeypatch.setenv("DOCKER_CONTEXT", "ours")
    connect().close()
    monkeypatch.setenv("DOCKER_CONTEXT", "other")
    with pytest.raises(Unreachable, match="no Docker context other"):
        connect()


@pytest.mark.parametrize(
    ("host", "found", "remedy"),
    [
        ("unix:///nowhere/docker.sock", "No such file or directory", "systemctl start docker"),
        ("tcp://127.0.0.1:1", "Connection refused", "DOCKER_HOST"),
        ("tcp://user:password@127.0.0.1:1", "Invalid bind address", "DOCKER_HOST"),
        ("other://x", "Invalid bind address", "DOCKER_HOST"),
    ],
)
def test_no_daemon_is_told(
    monkeypatch: pytest.MonkeyPatch, host: str, found: str, remedy: str
) -> None:
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(Unreachable, match=found) as error:
        connect()
    assert remedy in error.value.problem.remedy
    assert "password" not in str(error.value.problem)


CONNECT = """
from tritonbuild.oci.daemon import Unreachable, connect
try:
    connect()
except Unreachable as error:
    print(error.problem)
"""


def test_a_daemon_that_is_not_for_us_is_told(docker_daemon: Dockerd) -> None:
    told = subprocess.run(
        [
            *("setpriv", "--bounding-set=-dac_override,-dac_read_search"),
            *("--reuid=12345", "--clear-groups", sys.executable, "-c", CONNECT),
        ],
        env={**os.environ, "DOCKER_HOST": docker_daemon.host},
        capture_output=True,
        text=True,
    )
    assert "Permission denied" in told.stdout, told.stderr
    assert "usermod -aG docker" in told.stdout


SERVE = "trap 'exit 3' TERM; httpd -p 8000 -h /; sleep 1000 & wait"


@pytest.fixture(scope="module")
def shell(docker_daemon: Dockerd) -> str:
    client = docker_daemon.client()
    image = Memory().image([busybox()], cmd=["sh", "-c", SERVE], exposed_ports={"8000/tcp": {}})
    loaded = load(image, [], client)
    client.close()
    return loaded.identity


def containers(client: DockerClient) -> list[str]:
    found = client.api.containers(all=True, filters={"label": LABEL})
    return [container["Id"] for container in found]


def said(client: DockerClient, image: str, script: str, **terms: object) -> tuple[int, str]:
    log: list[bytes] = []
    run = Terms(["sh", "-c", script], **terms)  # type: ignore[arg-type]
    code = run_in_docker(client, image, run, log.append)
    assert containers(client) == []
    return code, b"".join(log).decode()


def test_a_container_serves_until_it_is_stopped(client: DockerClient, shell: str) -> None:
    answers: list[bytes] = []

    def started(ports: Mapping[int, int]) -> None:
        def answered() -> bool:
            try:
                with urlopen(f"http://127.0.0.1:{ports[8000]}/etc/passwd") as answer:
                    answers.append(answer.read())
            except OSError:
                return False
            return True

        assert eventually(answered)

    terms = Terms(ports={8000: 0})
    code = run_in_docker(client, shell, terms, print, started, lambda: bool(answers))
    assert code == 3
    assert answers[0].startswith(b"root:")
    assert containers(client) == []


def test_a_container_as_anybody_with_no_privilege_and_a_read_only_root(
    client: DockerClient, shell: str, tmp_path: Path
) -> None:
    (tmp_path / "weights").write_text("heavy")
    tmp_path.chmod(0o755)
    code, text = said(
        client,
        shell,
        "id -u; touch /x /w/x; echo $A > /tmp/a; cat /tmp/a /w/weights /proc/self/status; mount",
        user="12345",
        environment={"A": "b c"},
        mounts={"/w": tmp_path},
        shm_size=100 << 20,
        read_only=True,
        privileges=False,
    )
    assert code == 0
    assert "12345\n" in text
    assert "b c\nheavy" in text
    assert text.count("Read-only file system") == 2
    assert "CapEff:\t0000000000000000" in text
    assert "CapBnd:\t0000000000000000" in text
    assert "NoNewPrivs:\t1" in text
    (memory,) = [line for line in text.splitlines() if " /dev/shm " in line]
    assert "size=102400k" in memory


def test_nothing_that_a_container_says_is_lost(client: DockerClient, shell: str) -> None:
    code, text = said(client, shell, "echo first; echo last >&2")
    assert (code, sorted(text.splitlines())) == (0, ["first", "last"])


def test_what_cannot_start_is_told_and_removed(client: DockerClient, shell: str) -> None:
    with pytest.raises(Absent, match="No such image"):
        run_in_docker(client, f"sha256:{'0' * 64}", Terms(), print)
    with pytest.raises(Refused, match="gpu"):
        run_in_docker(client, shell, Terms(gpus=["all"]), print)
    with pytest.raises(Refused, match="executable file not found"):
        run_in_docker(client, shell, Terms(["nothing"]), print)
    assert containers(client) == []


RUN = """
import sys
from docker import DockerClient
from tritonbuild.oci.container import Terms, run_in_docker
client, up = DockerClient(sys.argv[1]), lambda ports: print("up", flush=True)
run_in_docker(client, sys.argv[2], Terms(), print, up)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_killed_leaves_nothing_for_long(
    docker_daemon: Dockerd, client: DockerClient, shell: str, number: signal.Signals
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", RUN, docker_daemon.host, shell],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == b"up\n"
        remove_leftovers(client)
        assert len(containers(client)) == 1
        process.send_signal(number)
        process.wait()
    assert len(containers(client)) == (1 if number == signal.SIGKILL else 0)
    remove_leftovers(client)
    assert containers(client) == []


def test_a_daemon_that_ends_ends_the_run(
    docker_daemon: Dockerd, client: DockerClient, shell: str
) -> None:
    with pytest.raises(Passing):
        run_in_docker(client, shell, Terms(), print, lambda ports: docker_daemon.kill())
    docker_daemon.start()
    assert len(containers(client)) == 1
