"""A registry, as the specification has it: asked, answered, refused.

https://github.com/opencontainers/distribution-spec
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urljoin, urlsplit

from tritonbuild.oci.errors import OciError, Refused
from tritonbuild.oci.registry import transport
from tritonbuild.oci.registry.authorization import Authorization
from tritonbuild.oci.registry.reference import DOCKER
from tritonbuild.oci.registry.transport import CONNECT, SILENCE, has_tls, is_here, is_safe

if TYPE_CHECKING:
    import requests

_HOSTS = {DOCKER: "registry-1.docker.io"}


class Registry:
    """Connections to a registry, and what opens it; for threads. On this machine a registry may do
    without TLS."""

    def __init__(self, name: str, *, scheme: str = "", silence: float = SILENCE):
        """`scheme` is found out where it is not given; `silence`: seconds without a byte."""
        self.name = name
        self.silence = silence
        self.host = _HOSTS.get(name, name)
        self._web = transport.session(self.host)
        self._authorization = Authorization(self._web, name, silence)
        self._root = f"{scheme}://{self.host}/v2/" if scheme else ""
        self._lock = threading.Lock()

    @property
    def root(self) -> str:
        """`https://HOST/v2/`; found out once."""
        with self._lock:
            if not self._root:
                here = is_here(urlsplit(f"https://{self.host}").hostname or "")
                plain = here and not has_tls(self.host, min(CONNECT, self.silence))
                scheme = "http" if plain else "https"
                self._root = f"{scheme}://{self.host}/v2/"
        return self._root

    def request(
        self,
        method: str,
        address: str,
        scope: str,
        *,
        also: Collection[int] = (),
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        data: Any = b"",
        patience: float = 0.0,
    ) -> requests.Response:
        """An answer, to be closed, that has a good status or one of `also`. `address`
        is absolute or below the root; `data` is bytes or a stream that can be read again.
        `patience` is more than a silence, for what takes the registry long. Raises Absent, Refused
        and Passing."""
        url = urljoin(self.root, address)
        if not is_safe(url):
            raise Refused(f"{transport.place(url)} is no place to send things to without TLS")
        mine = urlsplit(url)[:2] == urlsplit(self.root)[:2]
        more: dict[str, Any] = {"params": params, "data": data, "patience": patience}
        for again in (True, False):
            used = self._authorization.header(scope) if mine else ""
            response = self._send(method, url, used, headers, **more)
            if response.status_code != 401 or not mine:
                break
            transport.release(response)
            if not again:
                raise self._authorization.refused(used)
            challenge = response.headers.get("WWW-Authenticate", "")
            self._authorization.renew(challenge, self.root, scope, used)
            if hasattr(data, "seek"):
                data.seek(0)
        if response.is_redirect:
            response.close()
            raise Refused(f"{transport.place(url)} sends us elsewhere, where nothing is sent to")
        if response.ok:
            if method != "GET":
                transport.release(response)
            return response
        if response.status_code in also:
            return response
        may = "push" if "push" in scope else "pull"
        remedy = f"{self._authorization.remedy} {may}"
        raise self.failure(response, remedy)

    def failure(self, response: requests.Response, remedy: str = "") -> OciError:
        return transport.failure(response, self.silence, remedy, self._authorization.secrets)

    def body(self, response: requests.Response, limit: int) -> bytes:
        """As `transport.body`."""
        return transport.body(response, limit, self.silence)

    def location(self, response: requests.Response) -> str:
        """Where an answer sends us to go on."""
        response.close()
        found = response.headers.get("Location", "")
        if not found:
            raise Refused(f"{transport.place(response.url)} does not say where to go on (Location)")
        return self.resolved(response, found)

    def resolved(self, response: requests.Response, link: str) -> str:
        """An address in an answer. Registries behind a proxy may not know their own scheme."""
        parts, root = urlsplit(urljoin(response.url, link)), urlsplit(self.root)
        scheme = root.scheme if parts.netloc == root.netloc else parts.scheme
        return parts._replace(scheme=scheme).geturl()

    def _send(
        self,
        method: str,
        url: str,
        authorization: str,
        headers: Mapping[str, str] | None = None,
        patience: float = 0.0,
        **more: Any,
    ) -> requests.Response:
        sent = {**(headers or {}), **({"Authorization": authorization} if authorization else {})}
        silence = max(self.silence, patience)
        with transport.told(url, silence):
            # requests takes credentials away when another host is redirected to, and the `auth`
            # that adds nothing keeps ~/.netrc out: Docker's credentials are meant.
            return self._web.request(
                method, url, headers=sent, stream=True, timeout=(min(CONNECT, silence), silence),
                allow_redirects=method in ("GET", "HEAD"), auth=lambda request: request, **more,
            )  # fmt: skip

    def close(self) -> None:
        self._web.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
