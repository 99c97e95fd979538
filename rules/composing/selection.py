"""Which paths of `full` make up the server and each of its components."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tritonbuild.oci import Listed

from .slim import left_out

HOME = "opt/tritonserver"
KINDS = ("backends", "repoagents", "caches")
CORE = ("LICENSE", "NVIDIA_Deep_Learning_Container_License.pdf", "TRITON_VERSION", "bin", "include",
        "lib", "lib64")  # fmt: skip
"""What compose.py copies of the server, wherever it is."""


@dataclass(frozen=True)
class Selection:
    trees: tuple[str, ...]
    """Files, and folders with all that lies in them."""
    folders: tuple[str, ...] = ()
    """Folders without what lies in them."""
    slim: tuple[str, ...] = ()
    """What of it is left out, by the names of `slim.SLIM`."""

    def takes(self, path: str) -> bool:
        for tree in self.trees:
            if path.startswith(tree) and path[len(tree) : len(tree) + 1] in ("", "/"):
                return not (self.slim and left_out(path, self.slim))
        return path in self.folders

    @property
    def key(self) -> str:
        """Names what is selected."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def parameters(self) -> dict[str, Any]:
        """As a tool has it; `of` is the inverse."""
        return {name: list(value) for name, value in asdict(self).items()}

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Selection:
        return cls(**{name: tuple(value) for name, value in parameters.items()})


def core(slim: Iterable[str]) -> Selection:
    folders = (HOME, *(f"{HOME}/{kind}" for kind in KINDS))
    return Selection(tuple(f"{HOME}/{name}" for name in CORE), folders, tuple(sorted(slim)))


def component(kind: str, name: str, slim: Iterable[str]) -> Selection:
    """`kind`: `backends`."""
    return Selection((f"{HOME}/{kind}/{name}",), slim=tuple(sorted(slim)))


def components(entries: Iterable[Listed]) -> dict[str, list[str]]:
    """Kind → names of those that there are."""
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for entry in entries:
        parts = entry.path.split("/")
        if parts[:2] != HOME.split("/") or len(parts) < 4 or parts[2] not in found:
            continue
        if parts[4:] or entry.kind in ("folder", "link"):
            found[parts[2]].add(parts[3])
    return {kind: sorted(names) for kind, names in found.items()}
