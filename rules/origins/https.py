"""Files on web servers; also what other places need that speak HTTP. Proxies, certificates and
credentials are as for every program (`HTTPS_PROXY`, `REQUESTS_CA_BUNDLE`, `~/.netrc`)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from tritonbuild.oci.registry.transport import RETRIES, adapter, reason
from tritonbuild.rule import public

from .source import (
    CONNECT,
    SILENCE,
    Broken,
    Passing,
    Refused,
    Remote,
    Silent,
    Stream,
    Wanted,
)

if TYPE_CHECKING:
    import requests

CHUNK = 1 << 16
"""Bytes that are read at once; a break loses less than that."""
_NETRC = "credentials for it belong in ~/.netrc (or the file that NETRC names)"
_STATUS = {
    401: "it wants credentials (401)",
    403: "it refuses access (403)",
    404: "it is not there (404)",
    407: "the proxy wants credentials (407)",
    410: "it is gone (410)",
}


def check(url: str) -> str:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # may raise
    except ValueError:
        return "its host or its port is none"
    return "" if parts.hostname else "it has no host"


def name(url: str) -> str:
    last = unquote(urlsplit(url).path.rpartition("/")[2])
    return "" if "/" in last else last


def direct(wanted: Wanted) -> str:
    return wanted.url


def files(wanted: Wanted) -> list[Remote]:
    return [Remote(name(wanted.url) or "file", wanted.url)]


def opening(url: str) -> Web:
    return Web(session(), url, _NETRC)


class Web:
    """One file by HTTP. Implements Opening."""

    def __init__(
        self,
        session: requests.Session,
        url: str,
        remedy: str,
        auth: Callable[..., Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        """`remedy` helps against 401 and 403. `auth` is for this host alone: requests takes what
        it adds away again when another host is redirected to."""
        self._session = session
        self._url = url
        self._remedy = remedy
        self._auth = auth
        self._headers = headers or {}

    def open(self, start: int, validator: str) -> Stream:
        headers = dict(self._headers)
        if start:
            headers["Range"] = f"bytes={start}-"
            if validator:
                headers["If-Range"] = validator
        response = get(
            self._session, self._url, self._remedy, auth=self._auth, headers=headers, stream=True,
            also={416},
        )  # fmt: skip
        if response.status_code == 416:
            response.close()
            if start:
                return self.open(0, "")
            raise Refused("it refuses to send anything (416)")
        first, total = _range(response)
        if first not in (0, start):
            response.close()
            if start:
                return self.open(0, "")
            raise Refused("it sends a part that nobody asked for (206)")
        return Stream(_chunks(response), first, total, _validator(response))

    def close(self) -> None:
        self._session.close()


def session() -> requests.Session:
    """One that asks a busy server again, for a while."""
    import requests

    made = requests.Session()
    prepare(made)
    return made


def prepare(made: requests.Session) -> None:
    """Gives a session our patience and manners."""
    made.headers["Accept-Encoding"] = "identity"  # so that a range is one of the file
    made.max_redirects = 10
    for scheme in ("http://", "https://"):
        made.mount(scheme, adapter())


def get(
    session: requests.Session,
    url: str,
    remedy: str,
    also: set[int] | None = None,
    method: str = "GET",
    **arguments: Any,
) -> requests.Response:
    """An answer with a good status, or one of `also`. Raises Refused and Passing."""
    with told():
        response = session.request(method, url, timeout=(CONNECT, SILENCE), **arguments)
    status = response.status_code
    if response.ok or status in (also or ()):
        return response
    with response:
        place = public(response.url)
        found = _STATUS.get(status, f"it answers {status} {response.reason or ''}".rstrip())
        if response.history:
            found = f"{place}, where it was sent to: {found}"
        if status == 429 or status >= 500:
            raise Passing(f"{found}, and did so {RETRIES + 1} times; try again later")
        raise Refused(found, remedy if status in (401, 403) else "")


@contextmanager
def told() -> Iterator[None]:
    """Turns what requests raises into Refused, Passing and Broken."""
    import requests

    try:
        yield
    except requests.TooManyRedirects:
        raise Refused("it is redirected in a circle, or more than 10 times") from None
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise Refused(f"it cannot be asked for: {public(str(error))}") from None
    except requests.exceptions.SSLError as error:
        raise Refused(
            f"its certificate is not trusted: {reason(error)}",
            "name the file of the authority that signed it: REQUESTS_CA_BUNDLE",
        ) from None
    except requests.RequestException as error:
        if "Read timed out" in str(error):  # of a body: told as a ConnectionError
            raise Silent(f"no byte came for {SILENCE:g} s") from None
        broken = isinstance(error, requests.exceptions.ChunkedEncodingError)
        raise (Broken if broken else Passing)(reason(error)) from None


def _chunks(response: requests.Response) -> Iterator[bytes]:
    try:
        with told():
            yield from response.iter_content(CHUNK)
    finally:
        response.close()


def _range(response: requests.Response) -> tuple[int, int]:
    """Which byte comes first, and how many there are in all."""
    if response.status_code == 206:
        match = re.match(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
        if match is None:
            return -1, 0
        return int(match[1]), int(match[2]) if match[2] != "*" else 0
    length = response.headers.get("Content-Length", "")
    encoded = "Content-Encoding" in response.headers
    return 0, int(length) if length.isdecimal() and not encoded else 0


def _validator(response: requests.Response) -> str:
    """What If-Range takes (RFC 9110, 13.1.5)."""
    if "Content-Encoding" in response.headers:  # it comes decoded, of which no part can be had
        return ""
    tag = response.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        return tag
    return response.headers.get("Last-Modified", "")
