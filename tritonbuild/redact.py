"""Text for people, without the secrets that its URLs may hold."""

from __future__ import annotations

import re


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
