"""Downloads one file over HTTP and checks it. Proxies and certificates are as for every program
(`HTTPS_PROXY`, `REQUESTS_CA_BUNDLE`)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tritonbuild.rule import ActionError, Problem

if TYPE_CHECKING:
    import requests

CHUNK = 1 << 20
TIMEOUT = (10, 60)
"""Seconds to connect, and without a byte."""
ATTEMPTS = 3
"""At a transfer that breaks off; connections and busy servers are tried again besides."""


class WrongFileError(Exception):
    """A file is not the one that was asked for."""


def check(sha256: str, size: int, got_sha256: str, got_size: int) -> None:
    """Raises WrongFileError. A size of 0 is not known."""
    if size and got_size != size:
        raise WrongFileError(f"expected {size} bytes, got {got_size}")
    if got_sha256 != sha256:
        raise WrongFileError(f"expected sha256 {sha256}, got {got_sha256}")


def public(text: str) -> str:
    """The text with what may be secret in its URLs cut out: credentials, queries and fragments."""
    # urllib3 may write a URL without its host.
    return re.sub(r"(?<=://)[^/\s]\S*|(?<= url: )/\S*", lambda match: _public(match[0]), text)


def _public(rest: str) -> str:
    """Of what follows `://`, or of a path; signs of the sentence around may come after it."""
    url = rest.rstrip("'\"()[]<>,.:;")
    head, _, hidden = re.sub("[?#]", "\n", url, count=1).partition("\n")
    # A password may hold anything: if an @ follows a ?, who can say where the host begins?
    shown = "…" if "@" in hidden else head.rpartition("@")[2]
    return shown + rest[len(url) :]


def download(
    urls: Sequence[str],
    target: Path,
    sha256: str,
    size: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
    remedy: str = "",
) -> None:
    """Takes the file from the first of its addresses that has it. Raises ActionError with what
    each of them said."""
    import requests

    failures: list[str] = []
    with _session() as session:
        for url in urls:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    _transfer(session, url, target, sha256, size, progress, cancelled)
                except (requests.exceptions.ChunkedEncodingError, requests.Timeout) as error:
                    if attempt == ATTEMPTS:
                        failures.append(f"{url}: {_reason(error)}")
                except (requests.RequestException, WrongFileError) as error:
                    failures.append(f"{url}: {_reason(error)}")
                    break
                else:
                    return
    raise ActionError(
        Problem(
            public(f"{target.name} cannot be fetched\n    " + "\n    ".join(failures)),
            f"a file with sha256 {sha256}",
            remedy or "check this machine's network and proxy settings (HTTPS_PROXY, HTTP_PROXY)",
        )
    )


def _session() -> requests.Session:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    # Few and fast: when one address fails there may be another.
    policy = Retry(3, backoff_factor=0.3, status_forcelist=(429, 500, 502, 503, 504))
    session = requests.Session()
    session.headers["Accept-Encoding"] = "identity"
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=policy))
    return session


def _transfer(
    session: requests.Session,
    url: str,
    target: Path,
    sha256: str,
    size: int,
    progress: Callable[[int, int], None],
    cancelled: Callable[[], bool],
) -> None:
    sha, done = hashlib.sha256(), 0
    with session.get(url, stream=True, timeout=TIMEOUT) as response, target.open("wb") as file:
        response.raise_for_status()
        for chunk in response.iter_content(CHUNK):
            if cancelled():
                raise ActionError("stopped")
            sha.update(chunk)
            done += len(chunk)
            file.write(chunk)
            progress(done, size)
    check(sha256, size, sha.hexdigest(), done)


def _reason(error: Exception) -> str:
    """The innermost cause, without the objects that HTTP libraries print."""
    reason = getattr(error.args[0], "reason", error) if error.args else error
    return re.sub(r"<[^>]* object at 0x[0-9a-f]+>:? ?|^\w+Connection\([^)]*\): ", "", str(reason))
