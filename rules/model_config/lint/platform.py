"""Which backend runs the model: `backend`, `platform` and what they say of one another."""

from __future__ import annotations

from collections.abc import Iterator

from ..message import PLATFORMS
from .subject import Finding, Subject

AOTI_SINCE = "2.67"


def platform(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    backend, named = config.backend, config.platform
    if named == "ensemble":
        if backend:
            found = f"backend {backend!r} with platform 'ensemble'"
            yield Finding(("backend",), found, "no backend", "its members have theirs")
        return
    if not backend:
        found = f"platform {named!r}, which no backend belongs to" if named else "no backend"
        yield Finding(("backend",), found, "the name of a backend")
        return
    known = [
        each
        for each in PLATFORMS.get(backend, ())
        if each != "torch_aoti" or subject.is_from(AOTI_SINCE)
    ]
    if known and named not in known:
        yield Finding(
            ("platform",),
            f"platform {named!r} with backend {backend!r}",
            " or ".join(map(repr, known)),
            "leave it out; Triton finds it from the backend",
        )
