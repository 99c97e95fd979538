"""Objects in Google Cloud Storage, below a prefix of a bucket. Uploads are resumable ones:
https://cloud.google.com/storage/docs/performing-resumable-uploads"""

from __future__ import annotations

import re
import time
from functools import partial
from pathlib import Path
from urllib.parse import quote, urlsplit

from tritonbuild.rule import public

from ..origins.gs import REMEDY, address, connect, endpoint, listed, parts
from ..origins.https import get
from ..origins.source import Broken, Passing, Refused
from ..origins.transfer import PAUSE
from .destination import SHA256, Check, Held, Item

_WRITE = "https://www.googleapis.com/auth/devstorage.read_write"
_PART = 8 << 20
"""Bytes of a request, which are held in memory: a multiple of 256 KiB."""
_MORE = 308
_GONE = (404, 410)
"""Of an upload: begin anew."""


class _Over(Passing):
    """Nothing is known of an upload any more: all is lost, or all is there."""


def opened(url: str) -> _Prefix:
    bucket, prefix, _ = parts(url)
    return _Prefix(bucket, prefix)


class _Prefix:
    """Implements Destination."""

    def __init__(self, bucket: str, prefix: str):
        from requests.adapters import HTTPAdapter

        self._session = connect(_WRITE)
        # No part is sent again before it was asked how much of it is there.
        self._session.mount(f"{endpoint()}/upload/", HTTPAdapter())
        self._bucket = bucket
        self._prefix = prefix

    def held(self, folder: str) -> dict[str, Held]:
        found: dict[str, Held] = {}
        for item in listed(self._session, self._bucket, f"{self._prefix}{folder}"):
            sha256 = item.within("metadata").text(SHA256, default="")
            path = item.text("name").removeprefix(self._prefix)
            found[path] = partial(_is, item.number("size"), sha256)
        return found

    def put(self, item: Item, file: Path, check: Check) -> None:
        place = ""
        done, failures, in_doubt = 0, 0, False
        with file.open("rb") as content:
            while True:
                check()
                content.seek(done)
                part = b"" if in_doubt else content.read(_PART)
                try:
                    place = place or self._begin(item)
                    taken = self._send(place, part, done, item.digest.size)
                    if taken is None:
                        return
                    if taken <= done and not in_doubt:
                        raise Broken("it takes no more of it")
                    done, in_doubt = taken, False
                except Passing as passing:
                    failures += 1
                    if failures == Broken.attempts:
                        raise
                    if isinstance(passing, _Over):
                        place, done = "", 0
                    in_doubt = bool(place)
                    time.sleep(PAUSE * 2**failures)

    def _begin(self, item: Item) -> str:
        """Where its content goes to; that address is a secret."""
        bucket = quote(self._bucket, safe="")
        with get(
            self._session,
            f"{endpoint()}/upload/storage/v1/b/{bucket}/o",
            REMEDY,
            method="POST",
            params={"uploadType": "resumable", "name": f"{self._prefix}{item.path}"},
            json={"metadata": {SHA256: item.digest.hash}},
            headers={"X-Upload-Content-Length": str(item.digest.size)},
            allow_redirects=False,
        ) as answer:
            place = answer.headers.get("Location", "")
        if urlsplit(place).netloc != urlsplit(endpoint()).netloc:
            found = f"{endpoint()} sends us to {public(place) or 'nowhere'}"
            raise Refused(f"{found}, where credentials do not go", REMEDY)
        return place

    def _send(self, place: str, part: bytes, start: int, size: int) -> int | None:
        """How many bytes are there, which is all that it asks without a part; None: it is whole.
        Raises _Over."""
        said = f"{start}-{start + len(part) - 1}" if part else "*"
        with get(
            self._session, place, REMEDY, {_MORE, *_GONE}, "PUT", data=part,
            headers={"Content-Range": f"bytes {said}/{size}"}, allow_redirects=False,
        ) as answer:  # fmt: skip
            if answer.status_code in (200, 201):
                return None
            if answer.status_code in _GONE:
                raise _Over("it has forgotten what it had of it")
            if answer.status_code != _MORE:
                raise Refused(f"it sends us elsewhere ({answer.status_code})", REMEDY)
            taken = re.fullmatch(r"bytes=0-(\d+)", answer.headers.get("Range", ""))
            return int(taken[1]) + 1 if taken else 0

    def remove(self, path: str) -> None:
        get(
            self._session, address(self._bucket, f"{self._prefix}{path}"), REMEDY, method="DELETE"
        ).close()

    def close(self) -> None:
        self._session.close()


def _is(size: int, sha256: str, item: Item) -> bool:
    return (size, sha256) == (item.digest.size, item.digest.hash)
