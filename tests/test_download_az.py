"""Blobs in Azure Storage, from Azurite, Microsoft's own emulator."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from azure.storage.blob import BlobServiceClient, ContainerClient
from conftest import WorkspaceFolder
from parts.clouds import ACCOUNT, KEY, azurite, connection
from parts.downloads import assert_stands_nowhere, locked, manifest
from parts.web import ranged, redirect, serve
from tritonbuild.rules.origins import az
from tritonbuild.rules.origins.source import Refused, Wanted, source_of
from tritonbuild.rules.origins.transfer import Expected, transfer

BODY = b"a blob\n" * 60_000
SHA256 = hashlib.sha256(BODY).hexdigest()
Make = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with azurite(tmp_path_factory.mktemp("azurite")) as address:
        yield address


@pytest.fixture
def container(
    endpoint: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> ContainerClient:
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection(endpoint))
    name = "c" + hashlib.sha256(request.node.name.encode()).hexdigest()[:20]
    service = BlobServiceClient.from_connection_string(connection(endpoint))
    return service.create_container(name)


def url(container: ContainerClient, blob: str) -> str:
    return f"az://{ACCOUNT}/{container.container_name}/{blob}"


def test_a_blob_is_found_and_fetched(container: ContainerClient, tmp_path: Path) -> None:
    container.upload_blob("models/a model é.onnx", BODY)
    (remote,) = az.files(Wanted(url(container, "models/a model é.onnx")))
    assert (remote.name, remote.size) == ("a model é.onnx", len(BODY))
    assert transfer(az.opening(remote.url), tmp_path / "file", Expected()).sha256 == SHA256


def test_a_blob_is_had_from_a_byte_on(container: ContainerClient) -> None:
    container.upload_blob("a", BODY)
    opening = az.opening(url(container, "a"))
    whole = opening.open(0, "")
    part = opening.open(100, whole.validator)
    assert (part.start, part.total, part.validator) == (100, len(BODY), whole.validator)
    assert b"".join(part.chunks) == BODY[100:]


def test_a_blob_that_was_replaced_meanwhile_is_begun_anew(container: ContainerClient) -> None:
    container.upload_blob("a", b"old")
    opening = az.opening(url(container, "a"))
    old = opening.open(0, "")
    container.upload_blob("a", BODY, overwrite=True)
    new = opening.open(1, old.validator)
    assert (new.start, b"".join(new.chunks)) == (0, BODY)


def test_a_prefix_is_a_folder(container: ContainerClient) -> None:
    for name in ("m/1/model.onnx", "m/config.pbtxt", "other"):
        container.upload_blob(name, BODY)
    names = [remote.name for remote in az.files(Wanted(url(container, "m/")))]
    assert names == ["m/1/model.onnx", "m/config.pbtxt"]


def test_nothing_there_is_told(container: ContainerClient) -> None:
    with pytest.raises(Refused, match=r"it is not there \(404 BlobNotFound\)"):
        az.files(Wanted(url(container, "none")))


def test_a_wrong_key_is_told_without_it(
    container: ContainerClient, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "d3Jvbmc="
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection(endpoint, wrong))
    with pytest.raises(Refused, match="Azure refuses access") as refused:
        az.files(Wanted(url(container, "a")))
    assert wrong not in str(refused.value)
    assert "az login" in refused.value.remedy


def test_what_is_no_connection_string_is_told_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    bare = KEY.rstrip("=")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName={ACCOUNT};{bare}")
    with pytest.raises(Refused, match="not a connection string") as refused:
        az.opening(f"az://{ACCOUNT}/c/b")
    assert bare not in str(refused.value)


def test_a_folder_is_pinned_and_built(
    container: ContainerClient, endpoint: str, workspace: Make
) -> None:
    for name in ("m/1/model.onnx", "m/labels.txt"):
        container.upload_blob(name, BODY)
    folder = workspace(manifest(url(container, "m/")))
    outcome = folder.build()
    assert folder.output("_/x/m/1/model.onnx").read_bytes() == BODY
    assert [file["name"] for file in locked(folder)] == ["m/1/model.onnx", "m/labels.txt"]
    assert_stands_nowhere(KEY, folder, outcome.text, str(outcome.events))


def test_the_address_that_browsers_know_is_azures_too() -> None:
    address = "https://acme.blob.core.windows.net/models/a/model%201.onnx"
    source = source_of(address)
    assert source is not None
    assert source.check(address) == ""
    assert source.name(address) == "model 1.onnx"


def test_without_azures_library_the_extra_is_named(workspace: Make, tmp_path: Path) -> None:
    (tmp_path / "hides/azure").mkdir(parents=True)
    (tmp_path / "hides/azure/__init__.py").write_text("")
    with serve(lambda _: (404, b"")):
        folder = workspace(manifest("az://account/c/b"))
        folder.environment["PYTHONPATH"] = str(tmp_path / "hides")
        outcome = folder.run("build", "//...")
    assert outcome.exit_code == 36
    assert outcome.error["remedy"] == "pip install 'tritonbuild[az]'"


def test_a_redirect_takes_no_credentials_along(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(ranged(BODY)) as other, serve(redirect(other.url("b", host="localhost"))) as web:
        place = web.url(ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection(place))
        with pytest.raises(Refused, match=r"refuses access \(302"):
            az.opening(f"az://{ACCOUNT}/c/b").open(0, "")
    assert other.requests == []
