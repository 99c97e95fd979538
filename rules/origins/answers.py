"""What servers answer in JSON. It is not to be trusted: a value that is to become part of an
address, of triton.lock or of a folder is read by what it has to be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import public

from .https import CHUNK, get, told
from .source import Refused

if TYPE_CHECKING:
    import requests

LIMIT = 32 << 20
"""Bytes of an answer that we read."""
SHA256 = "[0-9a-f]{64}"
REMEDY = (
    "does a proxy or a login page answer in its place (HTTPS_PROXY), or does a variable that names "
    "the server name another one?"
)


@dataclass(frozen=True)
class Answer:
    """A value in JSON, and which address said so. All methods raise Refused."""

    value: Any
    place: str
    """Public."""

    def within(self, key: str) -> Answer:
        """An object of this object; empty if there is none."""
        return Answer(self._of(dict, self._get(key) or {}, key), self.place)

    def each(self, key: str = "") -> Iterator[Answer]:
        """The objects of a list of this object, or of this list; of none if there is none."""
        for item in self._of(list, (self._get(key) or []) if key else self.value, key):
            yield Answer(self._of(dict, item, key), self.place)

    def text(self, key: str, pattern: str = "[^\0]+", default: str | None = None) -> str:
        """All of it has to match a pattern."""
        value = self._get(key)
        if not value and default is not None:
            return default
        if not isinstance(value, str) or not re.fullmatch(pattern, value, re.S):
            raise self._strange(key, value)
        return value

    def number(self, key: str, default: int | None = None) -> int:
        """Such as a size in bytes; it may be written as a string."""
        value = self._get(key)
        if value is None and default is not None:
            return default
        digits = re.fullmatch("[0-9]{1,19}", str(value))
        if isinstance(value, bool) or digits is None or int(value) >= 1 << 63:
            raise self._strange(key, value)
        return int(value)

    def holds(self, key: str) -> bool:
        return self._get(key) is not None

    def _get(self, key: str) -> Any:
        return self._of(dict, self.value, "").get(key)

    def _of(self, kind: type, value: Any, key: str) -> Any:
        if not isinstance(value, kind):
            raise self._strange(key, value)
        return value

    def _strange(self, key: str, value: Any) -> Refused:
        what = f"a strange {key!r}" if value is not None else f"no {key!r}"
        if not key:
            what = f"a strange {type(value).__name__}"
        return Refused(f"{self.place} answers {what}", REMEDY)


def ask(
    session: requests.Session, url: str, remedy: str, limit: int = LIMIT, **arguments: Any
) -> Answer:
    """As `get`."""
    with get(session, url, remedy, stream=True, **arguments) as response:
        if response.is_redirect:
            raise Refused(f"{public(url)} sends us elsewhere, where credentials do not go", remedy)
        return read(response, content(response, limit))


def content(response: requests.Response, limit: int = LIMIT) -> bytes:
    """Raises Refused for more than a limit, Broken where it ends too early."""
    got = bytearray()
    with told():
        for chunk in response.iter_content(CHUNK):
            got += chunk
            if len(got) > limit:
                place = public(response.url)
                raise Refused(f"{place} answers more than {limit >> 20} MiB", REMEDY)
    return bytes(got)


def read(response: requests.Response, content: bytes) -> Answer:
    place = public(response.url)
    try:
        return Answer(json.loads(content), place)
    except (ValueError, RecursionError):
        kind = response.headers.get("Content-Type", "").partition(";")[0] or "no type"
        found = f"{place} answers something that is no JSON: {len(content)} bytes, {kind}"
        raise Refused(found, REMEDY) from None
