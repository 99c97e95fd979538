"""Models in MLflow's registry: from a server of our own that speaks the calls that are needed, as
MLflow documents them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from conftest import WorkspaceFolder
from parts.downloads import assert_stands_nowhere, locked, manifest
from parts.web import Answer, first, ranged, serve
from tritonbuild.rules.origins import mlflow
from tritonbuild.rules.origins.source import Refused, Wanted

BODY = b"a model\n" * 60_000
SHA256 = hashlib.sha256(BODY).hexdigest()
TOKEN = "a-token-that-nobody-should-see"
Make = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]


def registry(place: str, content: Answer | None = None, token: str = TOKEN) -> Answer:
    """One model, `net`, of which version 3 is the `champion`; its files lie at a place."""

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if token and handler.headers.get("Authorization") != f"Bearer {token}":
            return 401, b""
        parts = urlsplit(handler.path)
        asked = {key: value[0] for key, value in parse_qs(parts.query).items()}
        path = unquote(parts.path).removeprefix("/api/2.0/")
        said: Any
        match path, asked:
            case "mlflow/registered-models/alias", {"name": "net", "alias": "champion"}:
                said = {"model_version": {"name": "net", "version": "3"}}
            case "mlflow/model-versions/get-download-uri", {"name": "net", "version": "3"}:
                said = {"artifact_uri": place}
            case "mlflow/logged-models/m-1", _:
                said = {"model": {"info": {"artifact_uri": "mlflow-artifacts:/1/models/m-1"}}}
            case "mlflow-artifacts/artifacts", {"path": "1/models/m-1"}:
                sub = {"path": "data", "is_dir": True}
                file = {"path": "MLmodel", "is_dir": False, "file_size": 2}
                said = {"files": [sub, file]}
            case "mlflow-artifacts/artifacts", {"path": "1/models/m-1/data"}:
                size = str(len(BODY))
                said = {"files": [{"path": "a model é.onnx", "is_dir": False, "file_size": size}]}
            case "mlflow-artifacts/artifacts/1/models/m-1/MLmodel", _:
                return 200, b"{}"
            case "mlflow-artifacts/artifacts/1/models/m-1/data/a model é.onnx", _:
                return (content or ranged(BODY))(handler)
            case _:
                return 404, b""
        return 200, json.dumps(said).encode()

    return answer


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", TOKEN)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)


@pytest.mark.parametrize("place", ["mlflow-artifacts:/1/models/m-1", "models:/m-1"])
@pytest.mark.parametrize("url", ["models:/net/3", "models:/net@champion"])
def test_a_version_is_pinned_and_built(workspace: Make, url: str, place: str) -> None:
    content = first(ranged(BODY, sends=300_000), ranged(BODY))
    with serve(registry(place, content)) as web:
        folder = workspace(manifest(url))
        folder.environment["MLFLOW_TRACKING_URI"] = web.url("")
        outcome = folder.build()
    assert folder.output("_/x/net/data/a model é.onnx").read_bytes() == BODY
    assert folder.output("_/x/net/MLmodel").read_bytes() == b"{}"
    below = "mlflow-artifacts:/1/models/m-1"
    assert [(file["name"], file["url"]) for file in locked(folder)] == [
        ("net/MLmodel", f"{below}/MLmodel"),
        ("net/data/a model é.onnx", f"{below}/data/a model é.onnx"),
    ]
    assert any(asked.startswith("bytes=") for asked in web.ranges)
    assert_stands_nowhere(TOKEN, folder, outcome.text, str(outcome.events))


def test_a_place_that_cannot_be_reached_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for place in ("file:///srv/models/1", "dbfs:/databricks/mlflow"):
        with serve(registry(place)) as web:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", web.url(""))
            with pytest.raises(Refused, match="cannot be reached from here") as refused:
                mlflow.files(Wanted("models:/net/3"))
        assert "--serve-artifacts" in refused.value.remedy


def test_what_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(registry("")) as web:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", web.url(""))
        with pytest.raises(Refused, match=r"it is not there \(404\)"):
            mlflow.files(Wanted("models:/other/1"))


def test_a_server_that_wants_credentials_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN")
    with serve(registry("")) as web:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", web.url(""))
        with pytest.raises(Refused, match="401") as refused:
            mlflow.files(Wanted("models:/net/3"))
    assert "MLFLOW_TRACKING_TOKEN" in refused.value.remedy


def test_a_name_and_a_password_do_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "user")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    with serve(registry("mlflow-artifacts:/1/models/m-1", token="")) as web:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", web.url(""))
        assert len(mlflow.files(Wanted("models:/net/3"))) == 2
    assert {sent for _, sent in web.requests} == {"Basic dXNlcjpzZWNyZXQ="}


@pytest.mark.parametrize("uri", ["", "sqlite:///mlflow.db"])
def test_without_a_server_it_is_told_how_to_name_one(
    monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(Refused, match="server"):
        mlflow.files(Wanted("models:/net/3"))


def test_a_login_page_in_its_place_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda _: (200, b"<html>Please log in</html>")) as web:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", web.url("").rstrip("/"))
        with pytest.raises(Refused, match="answers something that is no JSON") as refused:
            mlflow.files(Wanted("models:/net/3"))
    assert web.url("api/2.0/mlflow") in refused.value.found
    assert "text/html" in refused.value.found
    assert "HTTPS_PROXY" in refused.value.remedy
