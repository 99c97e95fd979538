"""Folders that a file says itself: DT_RPATH and DT_RUNPATH."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Sequence

from .elf import Elf

_STANDS = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))")


def passed_on(by: str, elf: Elf, inherited: Sequence[str]) -> tuple[str, ...]:
    """Folders of DT_RPATH that count for what a file loads, and for what that loads."""
    own = () if elf.runpath else tuple(expanded(elf.rpath, by, elf))
    return tuple(dict.fromkeys((*own, *inherited)))


def expanded(paths: Iterable[str], by: str, needing: Elf) -> Iterator[str]:
    """With what stands for parts of them; without those that hang on where a program is started."""
    said = {
        "ORIGIN": "/" + posixpath.dirname(by),
        "LIB": f"lib/{needing.machine}-linux-gnu",
        "PLATFORM": needing.machine,
    }
    for path in paths:
        text = _STANDS.sub(lambda found: said[found[1] or found[2]], path)
        if text.startswith("/"):
            yield text.strip("/")
