"""Files on Hugging Face's Hub: from a server of our own that speaks its endpoints `revision`,
`paths-info`, `tree` and `resolve`, as the Hub's API documents them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from conftest import WorkspaceFolder
from parts.downloads import assert_stands_nowhere, locked, manifest
from parts.web import Answer, Web, first, ranged, redirect, serve
from tritonbuild.rules.origins import hf
from tritonbuild.rules.origins.source import Refused, Remote, Wanted
from tritonbuild.rules.origins.transfer import Expected, transfer

BODY = b"a model\n" * 60_000
SHA256 = hashlib.sha256(BODY).hexdigest()
COMMIT = "5" * 40
TOKEN = "hf_a-token-that-nobody-should-see"
LARGE, SMALL = "onnx/a model é.onnx", "config.json"
Make = Callable[[Mapping[str, str | bytes]], WorkspaceFolder]


def entry(path: str) -> dict[str, Any]:
    if path == SMALL:
        return {"type": "file", "path": path, "size": 2, "oid": "0" * 40}
    lfs = {"oid": SHA256, "size": len(BODY), "pointerSize": 134}
    return {"type": "file", "path": path, "size": len(BODY), "oid": "1" * 40, "lfs": lfs}


def hub(large: str, token: str = "") -> Answer:
    """The repository acme/net with two files, the large one kept elsewhere."""

    def answer(handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        if token and handler.headers.get("Authorization") != f"Bearer {token}":
            return 401, b""
        parts = urlsplit(handler.path)
        path, asked = unquote(parts.path), b""
        if handler.command == "POST":
            asked = handler.rfile.read(int(handler.headers["Content-Length"]))
        match path:
            case "/api/models/acme/net/revision/main" | "/api/models/acme/net/revision/v1/x":
                return 200, json.dumps({"sha": COMMIT}).encode()
            case _ if path == f"/api/models/acme/net/paths-info/{COMMIT}":
                (wanted,) = json.loads(asked)["paths"]
                if wanted == "onnx":
                    found = [{"type": "directory", "path": "onnx", "size": 0, "oid": "2" * 40}]
                else:
                    found = [entry(wanted)] if wanted in (LARGE, SMALL) else []
                return 200, json.dumps(found).encode()
            case _ if path == f"/api/models/acme/net/tree/{COMMIT}/onnx":
                return 200, json.dumps([entry(LARGE)]).encode()
            case _ if path == f"/api/models/acme/net/tree/{COMMIT}":
                return pages(handler, parts.query)
            case _ if path == f"/acme/net/resolve/{COMMIT}/{LARGE}":
                return redirect(large)(handler)
            case _ if path == f"/acme/net/resolve/{COMMIT}/{SMALL}":
                return 200, b"{}"
        return 404, b""

    return answer


def pages(handler: BaseHTTPRequestHandler, query: str) -> tuple[int, bytes]:
    """A list in two parts."""
    if "cursor=2" in query:
        return 200, json.dumps([entry(LARGE)]).encode()
    content = json.dumps([{"type": "directory", "path": "onnx"}, entry(SMALL)]).encode()
    handler.send_response(200)
    following = f"/api/models/acme/net/tree/{COMMIT}?recursive=true&cursor=2"
    handler.send_header("Link", f'<{following}>; rel="next"')
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)
    return 0, b""


@contextmanager
def running(token: str = "", content: Answer | None = None) -> Iterator[tuple[Web, Web]]:
    """The Hub, and where it keeps large files."""
    with (
        serve(content or ranged(BODY)) as store,
        serve(hub(store.url("blob?Signature=x", host="localhost"), token)) as web,
    ):
        yield web, store


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Without any token."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "hf"


@pytest.fixture
def reached(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Web, Web]]:
    with running() as (web, store):
        monkeypatch.setenv("HF_ENDPOINT", web.url(""))
        yield web, store


@pytest.mark.usefixtures("reached")
@pytest.mark.parametrize("revision", ["", "v1/x"])
def test_a_branch_becomes_a_commit_and_the_digest_is_the_hubs(revision: str) -> None:
    url = f"hf://acme/net@{COMMIT}/{LARGE}"
    assert hf.files(Wanted(f"hf://acme/net/{LARGE}", revision)) == [
        Remote("a model é.onnx", url, SHA256, len(BODY))
    ]


@pytest.mark.usefixtures("reached")
def test_a_repository_is_a_folder() -> None:
    names = [(remote.name, remote.sha256) for remote in hf.files(Wanted("hf://acme/net"))]
    assert names == [(f"net/{SMALL}", ""), (f"net/{LARGE}", SHA256)]


@pytest.mark.usefixtures("reached")
def test_a_folder_of_one_too() -> None:
    names = [remote.name for remote in hf.files(Wanted("hf://acme/net/onnx"))]
    assert names == ["onnx/a model é.onnx"]


@pytest.mark.usefixtures("reached")
def test_nothing_there_is_told() -> None:
    with pytest.raises(Refused, match=r"acme/net has no 'none' at main"):
        hf.files(Wanted("hf://acme/net/none"))
    with pytest.raises(Refused, match=r"it is not there \(404\)"):
        hf.files(Wanted("hf://acme/other/none"))


def test_a_large_file_comes_from_where_it_is_kept_without_the_token(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = first(ranged(BODY, sends=300_000), ranged(BODY))
    with running(TOKEN, content) as (web, store):
        monkeypatch.setenv("HF_ENDPOINT", web.url(""))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        url = f"hf://acme/net@{COMMIT}/{LARGE}"
        got = transfer(hf.opening(url), tmp_path / "file", Expected(SHA256, len(BODY)))
    assert got.sha256 == SHA256
    assert {sent for _, sent in web.requests} == {f"Bearer {TOKEN}"}
    assert {sent for _, sent in store.requests} == {""}
    assert store.ranges[1].startswith("bytes=")


def test_a_private_repository_needs_a_token(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running(TOKEN) as (web, _):
        monkeypatch.setenv("HF_ENDPOINT", web.url(""))
        with pytest.raises(Refused, match="401") as refused:
            hf.files(Wanted("hf://acme/net"))
        assert "HF_TOKEN" in refused.value.remedy
        home.mkdir()
        (home / "token").write_text(f"{TOKEN}\n")
        assert len(hf.files(Wanted("hf://acme/net"))) == 2


@pytest.mark.usefixtures("home")
def test_a_repository_is_pinned_and_built(workspace: Make) -> None:
    with running(TOKEN) as (web, store):
        folder = workspace(manifest("hf://acme/net", 'revision = "v1/x"'))
        folder.environment |= {"HF_ENDPOINT": web.url(""), "HF_TOKEN": TOKEN}
        outcome = folder.build()
    assert folder.output(f"_/x/net/{LARGE}").read_bytes() == BODY
    assert folder.output(f"_/x/net/{SMALL}").read_bytes() == b"{}"
    assert [(file["name"], file["url"]) for file in locked(folder)] == [
        (f"net/{SMALL}", f"hf://acme/net@{COMMIT}/{SMALL}"),
        (f"net/{LARGE}", f"hf://acme/net@{COMMIT}/{LARGE}"),
    ]
    assert len(store.requests) == 1
    assert_stands_nowhere(TOKEN, folder, outcome.text, str(outcome.events))


@pytest.mark.usefixtures("home")
def test_a_file_with_its_digest_is_not_looked_up(workspace: Make) -> None:
    lines = (f'sha256 = "{SHA256}"', f'revision = "{COMMIT}"')
    with running() as (web, _):
        folder = workspace(manifest(f"hf://acme/net/{LARGE}", *lines))
        folder.environment["HF_ENDPOINT"] = web.url("")
        folder.build()
    assert folder.output("_/x/a model é.onnx").read_bytes() == BODY
    assert [path.startswith("/api/") for path, _ in web.requests] == [False]


@pytest.mark.usefixtures("home")
def test_a_login_page_in_its_place_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda _: (200, b"<html>Please log in</html>")) as web:
        monkeypatch.setenv("HF_ENDPOINT", web.url("").rstrip("/"))
        with pytest.raises(Refused, match="answers something that is no JSON") as refused:
            hf.files(Wanted("hf://acme/net"))
    assert web.url("api/models/acme/net") in refused.value.found
    assert "text/html" in refused.value.found
    assert "HTTPS_PROXY" in refused.value.remedy


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"lfs": {"oid": "x"}}, "a strange 'oid'"),
        ({"lfs": [1]}, "a strange 'lfs'"),
        ({"size": "-1"}, "a strange 'size'"),
        ({"path": None}, "no 'path'"),
    ],
)
def test_a_file_of_which_strange_things_are_said_is_refused(
    monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], found: str
) -> None:
    commit = json.dumps({"sha": COMMIT}).encode()
    listing = json.dumps([entry(LARGE) | change]).encode()
    with serve(first(lambda _: (200, commit), lambda _: (200, listing))) as web:
        monkeypatch.setenv("HF_ENDPOINT", web.url("").rstrip("/"))
        with pytest.raises(Refused, match=found):
            hf.files(Wanted("hf://acme/net"))
