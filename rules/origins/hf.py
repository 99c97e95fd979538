"""Files on Hugging Face's Hub: `hf://ORG/REPO/PATH`, or without a path (or with the path of a
folder) all files; `hf://datasets/…` and `hf://spaces/…` as well. Its HTTP interface is used
(https://huggingface.co/docs/hub/api), at HF_ENDPOINT, with HF_TOKEN or what `hf auth login` kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urljoin

from .answers import SHA256, Answer, ask, content, read
from .https import Web, get, session
from .source import Refused, Remote, Wanted

if TYPE_CHECKING:
    import requests

_URL = re.compile(
    r"hf://(?:(?P<kind>datasets|spaces|models)/)?"
    r"(?P<repo>[\w.-]+(?:/[\w.-]+)?)(?:@(?P<revision>[^/]+))?(?:/(?P<path>.*))?",
    re.S,
)


@dataclass(frozen=True)
class _Place:
    kind: str
    repo: str
    revision: str
    path: str

    @property
    def remedy(self) -> str:
        return (
            f"if it is private or gated: accept its terms at {_endpoint()}/{self.repo}, then set "
            "HF_TOKEN or run `hf auth login`"
        )

    def url(self, revision: str, path: str) -> str:
        kind = "" if self.kind == "models" else f"{self.kind}/"
        return f"hf://{kind}{self.repo}@{quote(revision, safe='')}/{path}"

    def api(self, rest: str) -> str:
        return f"{_endpoint()}/api/{self.kind}/{self.repo}/{rest}"


def check(url: str) -> str:
    match = _URL.fullmatch(url)
    if match is None:
        return "it is not hf://ORG/REPO or hf://ORG/REPO/PATH"
    if re.fullmatch(r"hf_\w{20,}", match["repo"]):
        return "it holds a token, and a manifest is no place for one: set HF_TOKEN"
    return ""


def name(url: str) -> str:
    place = _place(url)
    return (place.path or place.repo).rpartition("/")[2]


def direct(wanted: Wanted) -> str:
    place = _place(wanted.url, wanted.revision)
    return place.url(place.revision, place.path) if place.path else ""


def files(wanted: Wanted) -> list[Remote]:
    place = _place(wanted.url, wanted.revision)
    with session() as web:
        revision = quote(place.revision, safe="")
        answer = ask(web, place.api(f"revision/{revision}"), place.remedy, auth=_auth())
        commit = answer.text("sha", "[0-9a-f]{40}")
        if not place.path:
            return list(_below(web, place, commit, name(wanted.url)))
        asked = {"paths": [place.path]}
        address = place.api(f"paths-info/{commit}")
        said = ask(web, address, place.remedy, method="POST", json=asked, auth=_auth())
        found = next(said.each(), None)
        if found is None:
            raise Refused(f"{place.repo} has no {place.path!r} at {place.revision}")
        if found.text("type") == "directory":
            return list(_below(web, place, commit, name(wanted.url)))
        return [_remote(place, commit, name(wanted.url), found)]


def opening(url: str) -> Web:
    place = _place(url)
    kind = "" if place.kind == "models" else f"{place.kind}/"
    revision, path = quote(place.revision, safe=""), quote(place.path)
    address = f"{_endpoint()}/{kind}{place.repo}/resolve/{revision}/{path}"
    return Web(session(), address, place.remedy, auth=_auth())


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _place(url: str, revision: str = "") -> _Place:
    match = _URL.fullmatch(url)
    assert match is not None, "checked"
    return _Place(
        match["kind"] or "models",
        match["repo"],
        revision or unquote(match["revision"] or "main"),
        (match["path"] or "").rstrip("/"),
    )


def _auth() -> Callable[[Any], Any]:
    """Adds the token, where there is one. Without one, ~/.netrc is left alone too."""
    token = _token()

    def add(request: requests.PreparedRequest) -> requests.PreparedRequest:
        if token:
            request.headers["Authorization"] = f"Bearer {token}"
        return request

    return add


def _token() -> str:
    """Where Hugging Face's own library looks: variables, then the file of `hf auth login`."""
    for variable in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if token := os.environ.get(variable, "").strip():
            return token
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    home = os.environ.get("HF_HOME") or Path(cache, "huggingface")
    file = Path(os.environ.get("HF_TOKEN_PATH") or Path(home, "token"))
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _below(web: requests.Session, place: _Place, commit: str, folder: str) -> Iterator[Remote]:
    path = f"/{quote(place.path)}" if place.path else ""
    address = place.api(f"tree/{commit}{path}?recursive=true")
    below = len(place.path) + 1 if place.path else 0
    while address:
        answer = get(web, address, place.remedy, auth=_auth(), stream=True)
        for item in read(answer, content(answer)).each():
            if item.text("type") == "file":
                yield _remote(place, commit, f"{folder}/{item.text('path')[below:]}", item)
        following = answer.links.get("next", {}).get("url", "")
        if following and not urljoin(address, following).startswith(f"{_endpoint()}/"):
            raise Refused("the Hub sends us to another host for the rest of a list")
        address = urljoin(address, following) if following else ""


def _remote(place: _Place, commit: str, name: str, item: Answer) -> Remote:
    """Of large files the Hub knows the digest."""
    url = place.url(commit, item.text("path"))
    return Remote(name, url, item.within("lfs").text("oid", SHA256, ""), item.number("size"))
