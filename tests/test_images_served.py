"""Images with a real Triton, at work: from their own roots and in Docker, for users with few
rights."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from conftest import WorkspaceFolder
from docker import DockerClient
from docker.models.containers import Container
from docker.types import Mount
from parts.answering import DEADLINE, is_ready, started
from parts.dockerd import Dockerd
from parts.leftovers import eventually, free_ports
from parts.serving import image_of, stories, triton, view_of

from tritonbuild.oci.container import LABEL
from tritonbuild.oci.validate import validate

"""Seconds until a server is ready."""
SHM = 128 << 20


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory, shared_cache: Path) -> WorkspaceFolder:
    workspace = triton(tmp_path_factory.mktemp("served") / "workspace", shared_cache)
    workspace.build("//serving:server", "//serving:lazy")
    return workspace


@pytest.fixture(scope="module")
def client(docker_daemon: Dockerd, ours: WorkspaceFolder) -> Iterator[DockerClient]:
    """Of a daemon that has the images."""
    ours.environment["DOCKER_HOST"] = docker_daemon.host
    for image in ("server", "lazy"):
        loaded = ours.run("load", f"//serving:{image}", "--to", f"acme/served-{image}:v1")
        assert loaded.exit_code == 0, loaded.text
    client = docker_daemon.client()
    yield client
    client.close()


def ask(port: int, path: str, body: Any = None) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST" if body else "GET", path, json.dumps(body) if body else None)
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None
    finally:
        connection.close()


def check(port: int, *cases: Path) -> None:
    """That the server gives the golden answers."""
    for file in cases:
        case = json.loads(file.read_text())
        status, answer = ask(port, f"/v2/models/{case['model']}/infer", {"inputs": case["inputs"]})
        assert status == 200, answer
        (output,), (wanted,) = answer["outputs"], case["outputs"]
        assert output["data"] == pytest.approx(wanted["data"]), case["model"]


def golden(workspace: WorkspaceFolder) -> list[Path]:
    return sorted((workspace.root / "serving/golden").iterdir())


@contextmanager
def contained(client: DockerClient, image: str, **terms: Any) -> Iterator[tuple[Container, int]]:
    """A container with as few rights as there can be, and its HTTP port when it is ready."""
    container = client.containers.create(
        image, read_only=True, tmpfs={"/tmp": "exec,mode=1777"}, cap_drop=["ALL"],
        security_opt=["no-new-privileges"], shm_size=SHM, ports={"8000/tcp": ("127.0.0.1", 0)},
        **terms,
    )  # fmt: skip
    try:
        yield container, started(container)
    finally:
        container.remove(force=True, v=True)


def test_its_golden_cases_pass_from_its_own_root(ours: WorkspaceFolder) -> None:
    outcome = ours.run("test", "//serving:server", "//serving:lazy", timeout=600)
    assert outcome.exit_code == 0, outcome.text
    assert outcome.targets == {
        "//serving:server": "cached",
        "//serving:lazy": "cached",
        "//serving:server_answers": "passed",
        "//serving:lazy_answers": "passed",
    }
    result = json.loads(ours.output("serving/_/server_answers/result.json").read_text())
    assert {(told["model"], told["status"]) for told in result["outcomes"]} == {
        ("pads", "passed"), ("scales", "passed"),
    }  # fmt: skip
    log = ours.output("serving/_/server_answers/server.log").read_text()
    assert "/opt/tritonserver/caches/local/libtritoncache_local.so" in log


def test_a_wrong_answer_fails_it(ours: WorkspaceFolder) -> None:
    case = json.loads((ours.root / "serving/outside.json").read_text())
    case["outputs"][0]["data"][1] = 7.0
    ours.write(
        {
            "wrong/case.json": json.dumps(case),
            "wrong/triton.toml": '[verifications.wrong]\nkind = "golden"\n'
            'target = "//serving:lazy"\ncases = "case.json"\n',
        }
    )
    outcome = ours.run("test", "//wrong")
    assert outcome.exit_code == 3
    assert "1.0" in outcome.error["found"]
    assert "7.0" in outcome.error["expected"]


def test_what_is_in_it_is_what_serves(ours: WorkspaceFolder) -> None:
    image = image_of(ours)
    assert validate(image.source, image.descriptor) == []
    told = list(stories(image))
    assert told[-4:] == [
        "model pads version 1", "model scales version 1", "model pads config",
        "model scales config",
    ]  # fmt: skip
    root = view_of(image).root
    pads = view_of(image).read("models/pads/config.pbtxt").decode()
    (place,) = [line.split('"')[1] for line in pads.splitlines() if "/opt/tritonbuild" in line]
    python = root.find(f"{place}/bin/python3")
    assert python is not None
    assert python.path == "usr/bin/python3.11"
    (site,) = [e.path for e in root.entries if e.path.endswith("site-packages/packaging")]
    assert site.startswith(place.lstrip("/"))
    scales = view_of(image).read("models/scales/config.pbtxt").decode()
    assert "EXECUTION_ENV_PATH" not in scales


@pytest.mark.parametrize("user", ["", "12345", "1000730000:0"])
def test_it_answers_in_docker_with_few_rights(
    user: str, ours: WorkspaceFolder, client: DockerClient
) -> None:
    """As its own user; as one that it does not know; as OpenShift picks one."""
    terms = {"user": user} if user else {}
    with contained(client, "acme/served-server:v1", **terms) as (container, port):
        check(port, *golden(ours))
        (mine,) = {row[1] for row in container.top(ps_args="-eo pid,uid")["Processes"]}
        assert mine == (user.partition(":")[0] or "1000")
        probe = client.images.get("acme/served-server:v1").attrs["Config"]["Healthcheck"]["Test"]
        assert probe[0] == "CMD"
        healthy = container.exec_run(probe[1:])
        assert healthy.exit_code == 0, healthy.output
        container.stop(timeout=40)
        container.wait()
        assert "signal" in container.logs().decode().lower()


def test_weights_that_stay_outside_are_mounted_in_docker(
    ours: WorkspaceFolder, client: DockerClient
) -> None:
    labels = client.images.get("acme/served-lazy:v1").labels
    assert list(json.loads(labels["dev.tritonbuild.external"])) == ["/models/halves/1"]
    weights = Mount(
        "/models/halves/1", str(ours.root / "outside/halves"), type="bind", read_only=True
    )
    command = ["tritonserver", "--model-repository=/models"]
    with contained(client, "acme/served-lazy:v1", mounts=[weights], command=command) as (_, port):
        check(port, ours.root / "serving/outside.json")


@pytest.mark.parametrize("docker", ["true", "false"])
def test_run_serves_an_image_until_it_is_interrupted(
    docker: str, ours: WorkspaceFolder, client: DockerClient
) -> None:
    ports = free_ports()
    settings = [f"--set={name}_port={number}" for name, number in ports.items()]
    process = ours.start("run", "//serving:server", f"--set=docker={docker}", *settings)
    try:
        eventually(lambda: process.poll() is not None or is_ready(ports["http"]), DEADLINE)
        assert process.poll() is None, process.communicate()
        check(ports["http"], *golden(ours))
        held = client.api.containers(filters={"label": LABEL})
        assert bool(held) == (docker == "true")
        process.send_signal(signal.SIGINT)
        assert process.wait(90) == 0
    finally:
        process.kill()
        process.communicate()
    assert not is_ready(ports["http"])
    assert client.api.containers(all=True, filters={"label": LABEL}) == []
