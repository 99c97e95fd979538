"""What all programs and libraries of a layer, or of a file system, say to the dynamic linker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .elf import Elf


@dataclass(frozen=True)
class Linkage:
    elves: Mapping[str, Elf]
    """By path."""

    def __contains__(self, path: str) -> bool:
        return path in self.elves

    def __getitem__(self, path: str) -> Elf:
        return self.elves[path]

    @property
    def encoded(self) -> bytes:
        return json.dumps(dict(self.elves), separators=(",", ":"), sort_keys=True).encode()

    @classmethod
    def decode(cls, content: bytes) -> Linkage:
        read = json.loads(content)
        return cls({path: _elf(fields) for path, fields in read.items()})


def _elf(fields: list[Any]) -> Elf:
    machine, bits, soname, needed, rpath, runpath, wants, gives, *rest = fields
    return Elf(
        machine, bits, soname, tuple(needed), tuple(rpath), tuple(runpath),
        tuple((library, tuple(versions)) for library, versions in wants), tuple(gives), *rest,
    )  # fmt: skip
