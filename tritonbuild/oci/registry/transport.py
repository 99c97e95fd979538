"""HTTP as registries are spoken to: patience, manners, trust; and what went wrong, told."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from tritonbuild.oci.errors import Absent, Invalid, OciError, Passing, Refused, Unreachable
from tritonbuild.redact import public

if TYPE_CHECKING:
    import requests
    from requests.adapters import HTTPAdapter

CONNECT, SILENCE = 20.0, 60.0
"""Seconds to connect, or to get a block out; and without a byte."""
RETRIES = 3
"""By urllib3, of a request that a busy server or a broken connection refused."""
PATIENCE = 30.0
"""Seconds that we wait at most when a server says for how long it is busy (Retry-After)."""
BLOCK = 1 << 18
"""Bytes that are written at once."""
ANSWER = 1 << 16
"""Bytes of an answer that is no content that we read."""
LATER = "try again later"
_REACH = "does it run there, and may this machine reach it? If so, try again later"
_STATUS = {
    401: "it wants credentials (401)",
    403: "it refuses access (403)",
    404: "it is not there (404)",
    407: "the proxy wants credentials (407)",
    413: "it takes nothing so large (413)",
}


def session(host: str) -> requests.Session:
    """For a registry at `HOST[:PORT]`; also goes where that one redirects to."""
    import requests

    class Session(requests.Session):
        def rebuild_auth(self, prepared_request: Any, response: Any) -> None:
            """What a redirect leads to gets no credentials of ~/.netrc: Docker's are meant."""
            url = prepared_request.url
            if self.should_strip_auth(response.request.url, url):  # type: ignore[no-untyped-call]
                prepared_request.headers.pop("Authorization", None)

    made = Session()
    made.headers["Accept-Encoding"] = "identity"  # so that bytes are those of the digest
    made.headers["User-Agent"] = "tritonbuild"
    made.cookies.set_policy(_no_cookies())
    made.max_redirects = 10
    made.mount("http://", adapter())
    made.mount("https://", adapter())
    if folders := list(_certificates(host)):
        made.mount(f"https://{host}/", adapter(*folders))
    return made


def adapter(*folders: Path) -> HTTPAdapter:
    """Asks a busy server, and one that has hung up, again for a while. Trusts whom `folders` name
    besides those whom this machine does."""
    from requests.adapters import HTTPAdapter
    from urllib3.exceptions import ReadTimeoutError
    from urllib3.util import Retry

    class Patient(Retry):
        def get_retry_after(self, response: Any) -> float | None:
            asked = super().get_retry_after(response)
            return None if asked is None else min(asked, PATIENCE)

        def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:
            # A chunk was not taken by who is too busy for it. After any other answer nobody
            # knows: then the upload is asked how far it is.
            if method == "PATCH":
                return status_code == 429
            return super().is_retry(method, status_code, has_retry_after)

        def increment(self, *args: Any, **more: Any) -> Self:
            if isinstance(error := more.get("error"), ReadTimeoutError):
                raise error  # that silence was long enough
            return super().increment(*args, **more)

    @cache
    def context() -> ssl.SSLContext:
        return _trusting(*folders)

    class Adapter(HTTPAdapter):
        def init_poolmanager(self, *args: Any, **more: Any) -> None:
            super().init_poolmanager(*args, **more, blocksize=BLOCK)

        def build_connection_pool_key_attributes(self, *args: Any) -> tuple[Any, Any]:
            place, how = super().build_connection_pool_key_attributes(*args)
            if place["scheme"] == "https":
                how["ssl_context"] = context()
            return place, how

    policy = Patient(
        RETRIES,
        other=0,  # such as a certificate
        backoff_factor=0.3,
        status_forcelist=(429, 500, 502, 503, 504),
        allowed_methods=("GET", "HEAD", "POST", "PUT"),
        raise_on_status=False,
    )
    return Adapter(max_retries=policy)


def _no_cookies() -> Any:
    from http.cookiejar import DefaultCookiePolicy

    return DefaultCookiePolicy(allowed_domains=())


def _trusting(*folders: Path) -> ssl.SSLContext:
    """Whom this machine trusts (SSL_CERT_FILE), and those of the folders; requests adds whom it
    trusts itself (REQUESTS_CA_BUNDLE). A pair of `.cert` and `.key` says who we are."""
    context = ssl.create_default_context()
    for folder in folders:
        try:
            for file in sorted(folder.glob("*.crt")):
                context.load_verify_locations(file)
            for file in sorted(folder.glob("*.cert")):
                context.load_cert_chain(file, file.with_suffix(".key"))
        except (OSError, ssl.SSLError) as error:
            raise Refused(
                f"certificates in {folder} cannot be used: {error.strerror or error}",
                expected="*.crt of authorities; NAME.cert with NAME.key",
            ) from None
    return context


def _certificates(host: str) -> Iterator[Path]:
    """Where Docker looks for them."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    for docker in (Path("/etc/docker"), home / "docker"):
        if (folder := docker / "certs.d" / host).is_dir():
            yield folder


def has_tls(host: str, patience: float) -> bool:
    """Whether a server at `HOST[:PORT]` speaks it; False where nobody answers for `patience`
    seconds."""
    parts = urlsplit(f"https://{host}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # asked only whether it does: trusts nobody
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    place = (parts.hostname or "", parts.port or 443)
    try:
        with socket.create_connection(place, patience) as wire, context.wrap_socket(wire):
            return True
    except OSError:
        return False


def is_here(host: str) -> bool:
    """Whether a host is this machine, which may do without TLS."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_safe(url: str) -> bool:
    """Whether secrets may be sent there."""
    parts = urlsplit(url)
    return parts.scheme == "https" or is_here(parts.hostname or "")


@contextmanager
def told(url: str, silence: float) -> Iterator[None]:
    """Turns what requests raises into Refused, Passing and Unreachable."""
    import requests

    where = place(url)
    try:
        yield
    except requests.TooManyRedirects:
        raise Refused(f"{where}: it is redirected in a circle, or more than 10 times") from None
    except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidURL) as error:
        raise Refused(f"{where}: it cannot be asked for: {public(str(error))}") from None
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" not in str(error):
            raise Passing(f"{where}: there is no TLS with it: {reason(error)}") from None
        raise Refused(
            f"{where}: its certificate is not trusted: {reason(error)}",
            remedy="put the certificate of the authority that signed it into "
            "/etc/docker/certs.d/HOST/ca.crt, or name it in REQUESTS_CA_BUNDLE",
        ) from None
    except requests.RequestException as error:
        if "Read timed out" in str(error):  # of a body: told as a ConnectionError
            raise Passing(f"{where}: no byte came for {silence:g} s", remedy=LATER) from None
        if never_there(error):
            who = where.partition("/")[0]
            if isinstance(error, requests.exceptions.ProxyError):
                who += ": the proxy before it"
            raise Unreachable(f"{who}: {reason(error)}", remedy=_REACH) from None
        raise Passing(f"{where}: {reason(error)}", remedy=_REACH) from None


def never_there(error: Exception) -> bool:
    """Whether there was no connection at all."""
    from requests.exceptions import ConnectTimeout, ProxyError
    from urllib3.exceptions import NewConnectionError

    kinds = (ConnectTimeout, ProxyError, NewConnectionError)
    return isinstance(error, kinds) or isinstance(_cause(error), kinds)


def _cause(error: Exception) -> object:
    return getattr(error.args[0], "reason", error) if error.args else error


def reason(error: Exception) -> str:
    """The innermost cause, without the objects that HTTP libraries print; of one that the operating
    system gives, its words alone."""
    cause = _cause(error)
    if told := re.search(r"\[Errno -?\d+\] ([^()'\"]+)", str(cause)):
        return public(told[1])
    text = re.sub(r"<[^>]* object at 0x[0-9a-f]+>:? ?|^\w+Connection\([^)]*\): ", "", str(cause))
    return public(text)


def release(response: requests.Response) -> None:
    """Closes an answer whose content nobody wants. It is read if it is short: then its connection
    can be used again."""
    from urllib3.exceptions import HTTPError

    with response, suppress(HTTPError):
        response.raw.read(ANSWER, decode_content=False)


def body(response: requests.Response, limit: int, silence: float) -> bytes:
    """All of an answer. Raises Invalid for more than a limit, Passing where it is cut."""
    got = bytearray()
    with response, told(response.url, silence):
        for piece in response.iter_content(ANSWER):
            got += piece
            if len(got) > limit:
                raise Invalid(
                    f"{place(response.url)} answers more than {limit >> 10} KiB",
                    expected="a document of an image",
                )
    return bytes(got)


def failure(
    response: requests.Response, silence: float, remedy: str = "", hidden: Iterable[str] = ()
) -> OciError:
    """What a bad status means, in the registry's own words too, if they hold nothing `hidden`.
    `remedy` is against 401 and 403."""
    status = response.status_code
    found = _STATUS.get(status, f"it answers {status} {response.reason or ''}".rstrip())
    said = "; ".join(": ".join(filter(None, error)) for error in errors_in(response, silence))
    found = f"{place(response.url)}: {found}"
    if said and not any(secret in said for secret in hidden if secret):
        found += f": {said}"
    if status == 404:
        return Absent(found)
    if status in (408, 429) or status >= 500:
        return Passing(found, remedy=LATER)
    return Refused(found, remedy=remedy if status in (401, 403) else "")


def errors_in(response: requests.Response, silence: float) -> list[tuple[str, str]]:
    """Codes and messages of a registry's errors.
    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes"""
    try:
        document = json.loads(body(response, ANSWER, silence))
        errors = [
            (str(error["code"]), str(error.get("message") or "")) for error in document["errors"]
        ]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, Passing, Invalid):
        return []
    return [
        (code, public(" ".join(text.split())[:200]))
        for code, text in errors[:5]
        if re.fullmatch("[A-Z_]{1,40}", code)
    ]


def place(url: str) -> str:
    """An address as people know it."""
    parts = urlsplit(public(url))
    return f"{parts.netloc}{parts.path.removeprefix('/v2')}"
