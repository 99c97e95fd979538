"""Files in an OCI registry: Debian's docker-registry, open and with passwords; and, where tokens
and faults are to be seen, a server of our own."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import requests
from conftest import WorkspaceFolder
from parts.downloads import assert_stands_nowhere, locked, manifest
from parts.registry import HTPASSWD, PASSWORD, helper, identify, log_in, registry
from parts.web import Answer, cut, first, ranged, redirect, serve
from tritonbuild.rules.origins import oci
from tritonbuild.rules.origins.source import Passing, Refused, Remote, Wanted
from tritonbuild.rules.origins.transfer import Expected, transfer

BODY = b"a model\n" * 60_000
SHA256 = hashlib.sha256(BODY).hexdigest()
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TITLE = "org.opencontainers.image.title"
Make = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry") / "open") as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry") / "guarded", HTPASSWD) as running:
        push(running, "acme/net", "v1", {"model.onnx": BODY}, ("user", PASSWORD))
        yield running


@pytest.fixture(autouse=True)
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Docker's folder of configuration, empty."""
    folder = tmp_path / "docker"
    folder.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(folder))
    return folder


def push(
    host: str, repository: str, tag: str, files: Mapping[str, bytes],
    auth: tuple[str, str] | None = None, titled: bool = True,
) -> str:  # fmt: skip
    """As `oras push` does; the manifest's digest."""
    layers = []
    for title, content in {"": b"{}", **files}.items():
        begun = requests.post(
            f"http://{host}/v2/{repository}/blobs/uploads/", auth=auth, timeout=30
        )
        begun.raise_for_status()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        requests.put(
            begun.headers["Location"], params={"digest": digest}, data=content, auth=auth,
            headers={"Content-Type": "application/octet-stream"}, timeout=30,
        ).raise_for_status()  # fmt: skip
        layer: dict[str, Any] = {
            "mediaType": "application/octet-stream", "digest": digest, "size": len(content),
        }  # fmt: skip
        if titled:
            layer["annotations"] = {TITLE: title}
        layers.append(layer)
    content = manifest_of(layers[0], layers[1:])
    requests.put(
        f"http://{host}/v2/{repository}/manifests/{tag}", data=content, auth=auth,
        headers={"Content-Type": MANIFEST}, timeout=30,
    ).raise_for_status()  # fmt: skip
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def manifest_of(config: dict[str, Any], layers: list[dict[str, Any]]) -> bytes:
    document = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
    return json.dumps(document).encode()


def test_an_artifact_of_one_file_is_that_file(host: str, tmp_path: Path) -> None:
    push(host, "acme/one", "v1", {"a model é.onnx": BODY})
    (remote,) = oci.files(Wanted(f"oci://{host}/acme/one:v1"))
    url = f"oci://{host}/acme/one@sha256:{SHA256}"
    assert remote == Remote("a model é.onnx", url, SHA256, len(BODY))
    got = transfer(oci.opening(remote.url), tmp_path / "file", Expected(SHA256, len(BODY)))
    assert got.sha256 == SHA256


def test_an_artifact_of_several_is_a_folder_or_one_of_them(host: str) -> None:
    digest = push(host, "acme/net", "v1", {"1/model.onnx": BODY, "config.pbtxt": b"x"})
    for reference in (":v1", f"@{digest}", f":v1@{digest}"):
        url = f"oci://{host}/acme/net{reference}"
        names = [remote.name for remote in oci.files(Wanted(url))]
        assert names == ["net/1/model.onnx", "net/config.pbtxt"]
        (one,) = oci.files(Wanted(url, path="1/model.onnx"))
        assert (one.name, one.sha256) == ("model.onnx", SHA256)


def test_nothing_there_is_told(host: str) -> None:
    push(host, "acme/net", "v1", {"1/model.onnx": BODY, "config.pbtxt": b"x"})
    with pytest.raises(Refused, match="there is no tag 'none' in"):
        oci.files(Wanted(f"oci://{host}/acme/net:none"))
    with pytest.raises(Refused, match=r"no file 'x', but 1/model.onnx, config.pbtxt"):
        oci.files(Wanted(f"oci://{host}/acme/net:v1", path="x"))


def test_a_container_image_is_no_artifact(host: str) -> None:
    push(host, "acme/image", "v1", {"a": b"1", "b": b"2"}, titled=False)
    with pytest.raises(Refused, match="not an artifact of files"):
        oci.files(Wanted(f"oci://{host}/acme/image:v1"))


def test_a_blob_is_had_from_a_byte_on(host: str) -> None:
    push(host, "acme/one", "v1", {"model.onnx": BODY})
    stream = oci.opening(f"oci://{host}/acme/one@sha256:{SHA256}").open(100, "")
    assert (stream.start, stream.total) == (100, len(BODY))
    assert b"".join(stream.chunks) == BODY[100:]


def test_a_password_is_dockers(guarded: str, docker: Path, tmp_path: Path) -> None:
    wanted = Wanted(f"oci://{guarded}/acme/net:v1")
    with pytest.raises(Refused, match="401") as refused:
        oci.files(wanted)
    assert f"docker login {guarded}" in refused.value.remedy
    log_in(docker, guarded, "user", "wrong")
    with pytest.raises(Refused, match="401"):
        oci.files(wanted)
    log_in(docker, guarded, "user", PASSWORD)
    (remote,) = oci.files(wanted)
    assert transfer(oci.opening(remote.url), tmp_path / "file", Expected()).sha256 == SHA256


def test_an_artifact_is_pinned_and_built_with_what_a_helper_knows(
    guarded: str, docker: Path, workspace: Make, tmp_path: Path
) -> None:
    said = json.dumps({"ServerURL": guarded, "Username": "user", "Secret": PASSWORD})
    path = helper(docker, guarded, tmp_path / "bin", f"cat >/dev/null; echo '{said}'")
    folder = workspace(manifest(f"oci://{guarded}/acme/net:v1"))
    folder.environment |= {"PATH": f"{path}:{os.environ['PATH']}"}
    outcome = folder.build()
    assert folder.output("_/x/model.onnx").read_bytes() == BODY
    (file,) = locked(folder)
    assert file["url"] == f"oci://{guarded}/acme/net@sha256:{SHA256}"
    assert_stands_nowhere(PASSWORD, folder, outcome.text, str(outcome.events))


def test_a_helper_that_fails_is_told_without_what_it_says(
    guarded: str, docker: Path, workspace: Make, tmp_path: Path
) -> None:
    path = helper(docker, guarded, tmp_path / "bin", f"echo '{PASSWORD}'; exit 1")
    folder = workspace(manifest(f"oci://{guarded}/acme/net:v1"))
    folder.environment |= {"PATH": f"{path}:{os.environ['PATH']}"}
    outcome = folder.run("build", "//...")
    assert outcome.exit_code == 2
    assert "credentials for" in outcome.error["found"]
    assert PASSWORD not in outcome.text + str(outcome.events)


def with_tokens(blob: Answer, tokens: list[str]) -> Answer:
    """A registry that sends its clients for a token, and takes the last one only; `tokens` gets
    what they bring there."""
    layer = {
        "mediaType": "x", "digest": f"sha256:{SHA256}", "size": len(BODY),
        "annotations": {TITLE: "model.onnx"},
    }  # fmt: skip

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if handler.path.startswith("/token"):
            tokens.append(handler.headers.get("Authorization", ""))
            return 200, json.dumps({"token": f"token-{len(tokens)}"}).encode()
        if handler.headers.get("Authorization") != f"Bearer token-{len(tokens)}":
            handler.send_response(401)
            realm = 'Bearer realm="/token",service="ours",scope="repository:acme/net:pull"'
            handler.send_header("WWW-Authenticate", realm)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return 0, b""
        if "/manifests/" in handler.path:
            return 200, manifest_of(layer, [layer])
        return blob(handler)

    return answer


def test_a_token_is_asked_for_and_not_sent_to_where_blobs_are_kept(
    docker: Path, tmp_path: Path
) -> None:
    tokens: list[str] = []
    blob = first(ranged(BODY, sends=300_000), ranged(BODY))
    with (
        serve(blob) as store,
        serve(with_tokens(redirect(store.url("b", host="localhost")), tokens)) as web,
    ):
        host = f"127.0.0.1:{web.port}"
        log_in(docker, host, "user", PASSWORD)
        (remote,) = oci.files(Wanted(f"oci://{host}/acme/net:v1"))
        got = transfer(oci.opening(remote.url), tmp_path / "file", Expected(SHA256, len(BODY)))
    assert got.sha256 == SHA256
    basic = base64.b64encode(f"user:{PASSWORD}".encode()).decode()
    assert tokens == [f"Basic {basic}"] * 2  # for the manifest; for the blob, and once more for it
    assert {sent for _, sent in store.requests} == {""}
    assert store.ranges[1].startswith("bytes=")


def test_a_token_service_may_be_asked_by_nobody(tmp_path: Path) -> None:
    tokens: list[str] = []
    with serve(with_tokens(ranged(BODY), tokens)) as web:
        (remote,) = oci.files(Wanted(f"oci://127.0.0.1:{web.port}/acme/net:v1"))
    assert remote.sha256 == SHA256
    assert set(tokens) == {""}


def test_a_manifest_that_is_not_what_its_digest_says_is_refused() -> None:
    with serve(lambda _: (200, manifest_of({}, []))) as web:
        url = f"oci://127.0.0.1:{web.port}/acme/net@sha256:{'0' * 64}"
        with pytest.raises(Refused, match="its manifest has the digest sha256:"):
            oci.files(Wanted(url))


@pytest.mark.parametrize("content", [b"<html>", b"[]", b'"x"'])
def test_what_is_no_registry_is_told(content: bytes) -> None:
    with (
        serve(lambda _: (200, content)) as web,
        pytest.raises(Refused, match=r"acme/net: v1 is no manifest: .* text/html") as refused,
    ):
        oci.files(Wanted(f"oci://127.0.0.1:{web.port}/acme/net:v1"))
    assert "proxy" in refused.value.remedy


def test_a_manifest_that_was_cut_may_come_later() -> None:
    with serve(lambda handler: cut(handler, manifest_of({}, []))) as web, pytest.raises(Passing):
        oci.files(Wanted(f"oci://127.0.0.1:{web.port}/acme/net:v1"))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"digest": None}, "digest: Input should be a valid string"),
        ({"digest": "sha256:../../x"}, "digest: String should match"),
        ({"digest": f"sha512:{SHA256}"}, "digest: String should match"),
        ({"size": -1}, "size: Input should be greater"),
        ({"size": True}, "size: Input should be a valid integer"),
        ({"annotations": [1]}, "annotations: Input should be an object"),
        ({"annotations": {TITLE: 7}}, f"annotations.{TITLE}: Input should be a valid string"),
    ],
)
def test_a_layer_that_says_strange_things_is_refused(change: dict[str, Any], found: str) -> None:
    config = {"mediaType": "x", "digest": f"sha256:{SHA256}", "size": 1}
    layer = {**config, "annotations": {TITLE: "a"}, **change}
    with (
        serve(lambda _: (200, manifest_of(config, [layer]))) as web,
        pytest.raises(Refused, match=rf"acme/net@sha256:\w+: layers\.0\.{found}") as refused,
    ):
        oci.files(Wanted(f"oci://127.0.0.1:{web.port}/acme/net:v1"))
    assert "proxy" in refused.value.remedy


@pytest.mark.parametrize("status", [302, 307, 308])
def test_an_identity_token_is_sent_to_nobody_else(docker: Path, status: int) -> None:
    bodies: list[bytes] = []

    def thief(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        bodies.append(handler.rfile.read(int(handler.headers.get("Content-Length", "0"))))
        return 200, b'{"token": "x"}'

    def registry(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        handler.rfile.read(int(handler.headers.get("Content-Length", "0")))
        token = handler.path.startswith("/token")
        handler.send_response(status if token else 401)
        if token:
            handler.send_header("Location", other.url("steal", host="localhost"))
        else:
            handler.send_header("WWW-Authenticate", 'Bearer realm="/token",service="ours"')
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return 0, b""

    with serve(thief) as other, serve(registry) as web:
        host = f"127.0.0.1:{web.port}"
        identify(docker, host, PASSWORD)
        with pytest.raises(Refused, match="sends us elsewhere"):
            oci.files(Wanted(f"oci://{host}/acme/net:v1"))
    assert bodies == []
    assert any(path == "/token" for path, _ in web.requests)
