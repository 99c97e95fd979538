"""Key paths: where a value stands in a manifest, or in a message that it says. One spelling, as
TOML writes keys and programs write indexes: `models.densenet.config.input[0].dims`."""

from __future__ import annotations

import re
from collections.abc import Iterable

KeyPath = tuple[str | int, ...]
"""Keys of tables, and indexes of arrays from 0."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_PART = re.compile(r'\.?(?:"((?:[^"\\]|\\.)*)"|([^.\["]+))|\[(\d+)\]')


def dotted(key: Iterable[str | int]) -> str:
    """How people see a key path."""
    text = ""
    for part in key:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            quoted = re.sub(r'(["\\])', r"\\\1", part)
            name = part if _BARE.fullmatch(part) else f'"{quoted}"'
            text += f".{name}" if text else name
    return text


def key_path(text: str) -> KeyPath:
    """What `dotted` has spelled. Digits after a dot are a key, as in `versions.1`."""
    path: list[str | int] = []
    for quoted, bare, index in _PART.findall(text):
        path.append(int(index) if index else bare or re.sub(r"\\(.)", r"\1", quoted))
    return tuple(path)
