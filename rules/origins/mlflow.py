"""Models in MLflow's registry: `models:/NAME/VERSION` or `models:/NAME@ALIAS`, a folder. Server
and credentials are as for MLflow's client: MLFLOW_TRACKING_URI (or MLFLOW_REGISTRY_URI),
MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD. Two calls of its
interface are all that is needed (https://mlflow.org/docs/latest/api_reference/rest-api.html)."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from .answers import Answer, ask
from .https import Web, session
from .source import Refused, Remote, Wanted, source_of, wrong

if TYPE_CHECKING:
    import requests

_URL = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<version>\d+)|@(?P<alias>[^/@]+))")
_DEEPEST = 100
_PROXIED = "mlflow-artifacts:"
"""Scheme of what the server itself hands out."""
_REMEDY = (
    "credentials as for MLflow's client: MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and "
    "MLFLOW_TRACKING_PASSWORD"
)


def check(url: str) -> str:
    return "" if _URL.fullmatch(url) else "it is not models:/NAME/VERSION or models:/NAME@ALIAS"


def name(url: str) -> str:
    match = _URL.fullmatch(url)
    assert match is not None, "checked"
    return match["name"]


def direct(wanted: Wanted) -> str:
    return ""


def files(wanted: Wanted) -> list[Remote]:
    match = _URL.fullmatch(wanted.url)
    assert match is not None, "checked"
    folder, version = match["name"], match["version"]
    with session() as web:
        if version is None:
            asked = {"name": folder, "alias": match["alias"]}
            found = _ask(web, "mlflow/registered-models/alias", asked)
            version = str(found.within("model_version").number("version"))
        asked = {"name": folder, "version": version}
        said = _ask(web, "mlflow/model-versions/get-download-uri", asked)
        place = said.text("artifact_uri")
        if place.startswith("models:/"):  # of a logged model, since MLflow 3
            logged = _ask(web, f"mlflow/logged-models/{quote(place.partition('/')[2])}", {})
            place = logged.within("model").within("info").text("artifact_uri")
        if place.startswith(_PROXIED):
            return list(_below(web, urlsplit(place).path.strip("/"), folder))
    source = source_of(place)
    if source is None or wrong(f"{place}/"):
        raise Refused(
            f"MLflow keeps it at {place.partition(':')[0]}:…, which cannot be reached from here",
            "a server that hands out artifacts itself (mlflow server --serve-artifacts), or s3, gs",
        )
    remotes = source.files(Wanted(f"{place.rstrip('/')}/"))
    return [replace(r, name=f"{folder}/{r.name.partition('/')[2]}") for r in remotes]


def opening(url: str) -> Web:
    path = url.removeprefix(f"{_PROXIED}/")
    address = f"{_server()}/api/2.0/mlflow-artifacts/artifacts/{quote(path)}"
    return Web(session(), address, _REMEDY, auth=_auth())


def _server() -> str:
    for variable in ("MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_URI"):
        if url := os.environ.get(variable):
            if not url.startswith(("https://", "http://")):
                raise Refused(f"{variable} names no server", "https://… of an MLflow server")
            return url.rstrip("/")
    raise Refused("no MLflow server is named", "set MLFLOW_TRACKING_URI")


def _auth() -> Callable[[Any], Any] | None:
    from requests.auth import HTTPBasicAuth

    if token := os.environ.get("MLFLOW_TRACKING_TOKEN"):

        def add(request: requests.PreparedRequest) -> requests.PreparedRequest:
            request.headers["Authorization"] = f"Bearer {token}"
            return request

        return add
    if user := os.environ.get("MLFLOW_TRACKING_USERNAME"):
        password = os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
        return HTTPBasicAuth(user.encode(), password.encode())
    return None


def _ask(web: requests.Session, what: str, asked: dict[str, str]) -> Answer:
    return ask(web, f"{_server()}/api/2.0/{what}", _REMEDY, params=asked, auth=_auth())


def _below(web: requests.Session, path: str, folder: str) -> Iterator[Remote]:
    for item in _ask(web, "mlflow-artifacts/artifacts", {"path": path}).each("files"):
        name = item.text("path", "[^/]+")
        if item.value.get("is_dir"):
            if path.count("/") > _DEEPEST:
                raise Refused(f"it has more than {_DEEPEST} folders below one another")
            yield from _below(web, f"{path}/{name}", f"{folder}/{name}")
        else:
            size = item.number("file_size", 0)
            yield Remote(f"{folder}/{name}", f"{_PROXIED}/{path}/{name}", size=size)
