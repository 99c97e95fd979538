"""Files in an OCI registry: `oci://REGISTRY/REPOSITORY:TAG` (or `@sha256:…`), an artifact whose
layers are files that their titles name, as `oras push` makes them. In a Remote's URL the digest is
that of the file itself. Credentials are Docker's (`docker login`, its helpers).
https://github.com/opencontainers/distribution-spec"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from .answers import SHA256, Answer, ask, content, read
from .https import Web, get, session
from .source import Passing, Refused, Remote, Stream, Wanted

if TYPE_CHECKING:
    import requests

_URL = re.compile(
    r"oci://(?P<registry>[\w.-]+(?::\d+)?|\[[\da-f:]+\](?::\d+)?)/(?P<repository>[a-z0-9][a-z0-9._/-]*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_TITLE = "org.opencontainers.image.title"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_LIMIT = 8 << 20
"""Bytes of a manifest that we read."""
_BEARER = r"[\x21-\x7e]*"
_DOCKER_HUB = "registry-1.docker.io"


@dataclass(frozen=True)
class _Place:
    registry: str
    repository: str
    reference: str

    @property
    def host(self) -> str:
        return _DOCKER_HUB if self.registry == "docker.io" else self.registry

    @property
    def remedy(self) -> str:
        return f"`docker login {self.registry}` (or its helper) with an account that may pull"


def check(url: str) -> str:
    match = _URL.fullmatch(url)
    if match is None or not (match["tag"] or match["digest"]):
        return "it is not oci://REGISTRY/REPOSITORY:TAG"
    return ""


def name(url: str) -> str:
    return _place(url).repository.rpartition("/")[2]


def direct(wanted: Wanted) -> str:
    return ""


def files(wanted: Wanted) -> list[Remote]:
    place = _place(wanted.url)
    with session() as web:
        manifest = _Registry(web, place).manifest()
    found = list(manifest.each("layers"))
    layers = {layer.within("annotations").text(_TITLE, ".*", ""): layer for layer in found}
    titles = sorted(layers)
    if wanted.path:
        if wanted.path not in layers:
            raise Refused(f"it has no file {wanted.path!r}, but {', '.join(titles) or 'none'}")
        return [_remote(place, wanted.path.rpartition("/")[2], layers[wanted.path])]
    if len(found) == 1:
        title = titles[0] or name(wanted.url)
        return [_remote(place, title.rpartition("/")[2], layers[titles[0]])]
    if not layers or "" in layers or len(layers) != len(found):
        raise Refused(
            "it is not an artifact of files: its layers have no titles of their own",
            "push files with `oras push`; a container image cannot be downloaded as files",
        )
    folder = name(wanted.url)
    return [_remote(place, f"{folder}/{title}", layers[title]) for title in titles]


def opening(url: str) -> Web:
    place = _place(url)
    web = session()
    registry = _Registry(web, place)
    return _Blob(web, registry, registry.address(f"blobs/{place.reference}"), place.remedy)


class _Blob(Web):
    """Asks for a token each time: they live for minutes only."""

    def __init__(self, web: requests.Session, registry: _Registry, address: str, remedy: str):
        super().__init__(web, address, remedy)
        self._registry = registry
        self._address = address

    def open(self, start: int, validator: str) -> Stream:
        self._auth = self._registry.auth(self._address)
        return super().open(start, validator)


def _place(url: str) -> _Place:
    match = _URL.fullmatch(url)
    assert match is not None, "checked"
    return _Place(match["registry"], match["repository"], match["digest"] or match["tag"] or "")


def _remote(place: _Place, name: str, layer: Answer) -> Remote:
    digest = layer.text("digest", f"sha256:{SHA256}")
    url = f"oci://{place.registry}/{place.repository}@{digest}"
    return Remote(name, url, digest.removeprefix("sha256:"), layer.number("size"))


class _Registry:
    """A repository in a registry, and what opens it."""

    def __init__(self, web: requests.Session, place: _Place):
        self._web = web
        self._place = place
        self._base = ""

    def address(self, rest: str) -> str:
        """Of something in the repository. On this machine a registry may do without TLS."""
        return f"{self._root()}{self._place.repository}/{rest}"

    def manifest(self) -> Answer:
        reference = self._place.reference
        for _ in range(2):
            address = self.address(f"manifests/{reference}")
            kinds = {"Accept": f"{_MANIFEST}, {_INDEX}"}
            with get(
                self._web, address, self._place.remedy, auth=self.auth(address), headers=kinds,
                stream=True,
            ) as answer:  # fmt: skip
                body = content(answer, _LIMIT)
            digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
            if reference.startswith("sha256:") and reference != digest:
                raise Refused(f"its manifest has the digest {digest}, not {reference}")
            manifest = read(answer, body)
            if not manifest.holds("manifests"):
                return manifest
            artifacts = list(manifest.each("manifests"))
            if len(artifacts) != 1:
                raise Refused("it is an index of several artifacts", "name one by its digest")
            reference = artifacts[0].text("digest", f"sha256:{SHA256}")
        raise Refused("it is an index of indexes", "name an artifact by its digest")

    def auth(self, address: str) -> Callable[[Any], Any]:
        """What the registry asks for before it hands something out; asked without credentials."""
        # `auth` keeps requests from looking into ~/.netrc: Docker's credentials are meant.
        method = "HEAD" if "/blobs/" in address else "GET"
        answer = get(
            self._web, address, "", also={401, 404}, method=method, auth=_nothing, stream=True,
            allow_redirects=False,
        )  # fmt: skip
        answer.close()
        if answer.status_code != 401:
            return _nothing
        challenge = answer.headers.get("WWW-Authenticate", "")
        scheme, _, rest = challenge.partition(" ")
        given = dict(re.findall(r'(\w+)="([^"]*)"', rest))
        user, password, token = _credentials(self._place.registry)
        if scheme.lower() == "basic":
            if not password:
                raise Refused("it wants credentials (401)", self._place.remedy)
            return _basic(user, password)
        if scheme.lower() != "bearer" or "realm" not in given:
            raise Refused(f"it asks for credentials of an unknown kind ({scheme or 'none'})")
        return self._bearer(given, user, password, token)

    def _bearer(
        self, given: dict[str, str], user: str, password: str, token: str
    ) -> Callable[[Any], Any]:
        """https://distribution.github.io/distribution/spec/auth/token/"""
        realm = urljoin(self._root(), given["realm"])
        if urlsplit(realm).scheme != "https" and not _is_here(urlsplit(realm).hostname or ""):
            raise Refused("it wants credentials to be sent without TLS")
        scope = given.get("scope") or f"repository:{self._place.repository}:pull"
        asked = {"service": given.get("service", ""), "scope": scope}
        if token:
            form = {**asked, "grant_type": "refresh_token", "refresh_token": token}
            # It is no header, which requests would keep from another host: nowhere else with it.
            got = ask(
                self._web, realm, self._place.remedy, method="POST", auth=_nothing,
                data={**form, "client_id": "tritonbuild"}, allow_redirects=False,
            )  # fmt: skip
        else:
            auth = _basic(user, password) if password else _nothing
            got = ask(self._web, realm, self._place.remedy, params=asked, auth=auth)
        either = "access_token" if not got.holds("token") else "token"
        return _header(f"Bearer {got.text(either, _BEARER)}")

    def _root(self) -> str:
        """`https://HOST/v2/`; found out once."""
        if not self._base:
            host = self._place.host
            self._base = f"https://{host}/v2/"
            if _is_here(urlsplit(f"//{host}").hostname or ""):
                try:
                    get(self._web, self._base, "", also={401, 404}, auth=_nothing).close()
                except (Refused, Passing):
                    self._base = f"http://{host}/v2/"
        return self._base


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _credentials(registry: str) -> tuple[str, str, str]:
    """User, password and identity token, as Docker finds them; empty where there are none."""
    from docker import auth
    from docker.errors import DockerException

    name = auth.INDEX_NAME if registry == "docker.io" else registry
    try:
        found = auth.load_config().resolve_authconfig(name) or {}
    except (DockerException, ValueError):
        # What a helper says may hold the secret that it should have given.
        raise Refused(
            f"Docker's credentials for {registry} cannot be read",
            f"`docker login {registry}`; is the helper that ~/.docker/config.json names installed?",
        ) from None
    user = found.get("username") or found.get("Username") or ""
    password = found.get("password") or found.get("Password") or ""
    return user, password, found.get("IdentityToken") or ""


def _nothing(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def _basic(user: str, password: str) -> Callable[[Any], Any]:
    from requests.auth import HTTPBasicAuth

    return HTTPBasicAuth(user.encode(), password.encode())


def _header(value: str) -> Callable[[Any], Any]:
    def add(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = value
        return request

    return add
