"""The model's own name."""

from __future__ import annotations

from collections.abc import Iterator

from .subject import Finding, Subject


def names(subject: Subject) -> Iterator[Finding]:
    name = subject.config.name
    if not name.strip() or "/" in name or name.strip() == "..":
        yield Finding(("name",), f"name {name!r}", "a word without '/', and not '..'")
