"""Objects in Google Cloud Storage: from an emulator, and, where credentials and breaks are to be
seen, from a server of our own that speaks just enough of its API."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import quote

import pytest
import requests
from conftest import WorkspaceFolder
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from parts.clouds import google
from parts.downloads import assert_stands_nowhere, locked, manifest
from parts.web import Answer, first, ranged, serve
from tritonbuild.rules.origins import gs
from tritonbuild.rules.origins.source import Refused, Wanted
from tritonbuild.rules.origins.transfer import Expected, transfer

BODY = b"an object\n" * 50_000
SHA256 = hashlib.sha256(BODY).hexdigest()
TOKEN = "a-token-that-nobody-should-see"
Make = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with google(tmp_path_factory.mktemp("google")) as address:
        yield address


@pytest.fixture
def host(emulator: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", emulator)
    return emulator


def put(host: str, name: str, body: bytes) -> None:
    url = f"{host}/upload/storage/v1/b/models/o?uploadType=media&name={quote(name, safe='')}"
    answer = requests.post(url, data=body, headers={"Content-Type": "text/plain"}, timeout=30)
    answer.raise_for_status()


def test_an_object_is_found_and_fetched(host: str, tmp_path: Path) -> None:
    put(host, "found/a model é.onnx", BODY)
    (remote,) = gs.files(Wanted("gs://models/found/a model é.onnx"))
    assert (remote.name, remote.size) == ("a model é.onnx", len(BODY))
    assert remote.url.startswith("gs://models/found/a model é.onnx#")
    assert transfer(gs.opening(remote.url), tmp_path / "file", Expected()).sha256 == SHA256


def test_a_prefix_is_a_folder(host: str) -> None:
    for name in ("m/1/model.onnx", "m/config.pbtxt", "other"):
        put(host, name, BODY)
    names = [remote.name for remote in gs.files(Wanted("gs://models/m/"))]
    assert sorted(names) == ["m/1/model.onnx", "m/config.pbtxt"]


@pytest.mark.usefixtures("host")
def test_nothing_there_is_told() -> None:
    with pytest.raises(Refused, match=r"it is not there \(404\)"):
        gs.files(Wanted("gs://models/none"))


def test_a_folder_is_pinned_and_built(host: str, workspace: Make) -> None:
    for name in ("built/1/model.onnx", "built/labels.txt"):
        put(host, name, BODY)
    folder = workspace(manifest("gs://models/built/"))
    folder.build()
    assert folder.output("_/x/built/1/model.onnx").read_bytes() == BODY
    assert [file["name"] for file in locked(folder)] == ["built/1/model.onnx", "built/labels.txt"]


def account(folder: Path, token_url: str) -> Path:
    """Application default credentials of a service account."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / "account.json"
    content = {
        "type": "service_account",
        "client_email": "somebody@example.iam.gserviceaccount.com",
        "private_key": key.decode(),
        "token_uri": token_url,
    }
    file.write_text(json.dumps(content))
    return file


def storage(content: Answer) -> Answer:
    """Google's token service and a bucket with one object, for those with the token."""

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if handler.path == "/token":
            handler.rfile.read(int(handler.headers["Content-Length"]))
            return 200, json.dumps({"access_token": TOKEN, "expires_in": 3600}).encode()
        if handler.headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, b""
        assert handler.path.startswith("/storage/v1/b/bucket/o/a%2Fmodel.onnx")
        if "alt=media" in handler.path:
            assert "generation=7" in handler.path
            return content(handler)
        item = {"name": "a/model.onnx", "generation": "7", "size": str(len(BODY))}
        return 200, json.dumps(item).encode()

    return answer


def variables(folder: Path, url: str) -> dict[str, str]:
    return {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_STORAGE": url,
        "GOOGLE_APPLICATION_CREDENTIALS": str(account(folder, f"{url}token")),
    }


def test_application_default_credentials_open_a_bucket_and_stand_nowhere_afterwards(
    workspace: Make, tmp_path: Path
) -> None:
    with serve(storage(first(ranged(BODY, sends=300_000), ranged(BODY)))) as web:
        folder = workspace(manifest("gs://bucket/a/model.onnx"))
        folder.environment |= variables(tmp_path, web.url(""))
        outcome = folder.build()
    assert folder.output("_/x/model.onnx").read_bytes() == BODY
    assert [file["url"] for file in locked(folder)] == ["gs://bucket/a/model.onnx#7"]
    assert any(asked.startswith("bytes=") for asked in web.ranges)
    assert_stands_nowhere(TOKEN, folder, outcome.text, str(outcome.events))


def test_credentials_that_google_does_not_take_are_told_without_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(lambda _: (400, b'{"error": "invalid_grant"}')) as web:
        for name, value in variables(tmp_path, web.url("")).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(Refused, match="does not take these credentials") as refused:
            gs.opening("gs://bucket/a")
    assert "PRIVATE KEY" not in str(refused.value)
    assert "gcloud auth application-default login" in refused.value.remedy


def test_a_file_of_credentials_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none"))
    with pytest.raises(Refused, match="names no file"):
        gs.opening("gs://bucket/a")


def test_without_googles_library_the_extra_is_named(workspace: Make, tmp_path: Path) -> None:
    (tmp_path / "hides/google/auth").mkdir(parents=True)
    (tmp_path / "hides/google/__init__.py").write_text("")
    (tmp_path / "hides/google/auth/__init__.py").write_text(
        'raise ModuleNotFoundError("No module named google.auth", name="google.auth")\n'
    )
    folder = workspace(manifest("gs://bucket/a", f'sha256 = "{SHA256}"'))
    # Of the package `google`, protobuf's part is needed elsewhere.
    (tmp_path / "hides/google/__init__.py").write_text(
        "__path__ = __import__('pkgutil').extend_path(__path__, __name__)\n"
    )
    folder.environment["PYTHONPATH"] = str(tmp_path / "hides")
    outcome = folder.run("build", "//...")
    assert outcome.exit_code == 36
    assert outcome.error["remedy"] == "pip install 'tritonbuild[gs]'"


def test_a_login_page_in_its_place_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda _: (200, b"<html>Please log in</html>")) as web:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", web.url("").rstrip("/"))
        with pytest.raises(Refused, match="answers something that is no JSON") as refused:
            gs.files(Wanted("gs://bucket/folder/"))
    assert web.url("storage/v1/b/bucket/o") in refused.value.found
    assert "text/html" in refused.value.found
    assert "HTTPS_PROXY" in refused.value.remedy
