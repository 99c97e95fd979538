"""A build with nothing to do, told from `stat` alone: what the last successful build of the same
request looked at, what it put where, and what it reported. Imports nothing heavy.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from tritonbuild import __version__
from tritonbuild.atomic import write_atomically
from tritonbuild.workspace import Signature, stands


@dataclass(frozen=True)
class Snapshot:
    """What a build saw and said."""

    seen: Mapping[str, Sequence[int] | None]
    """Absolute path → signature; None where there was nothing."""
    placed: Mapping[str, Sequence[int]]
    """Absolute path of every output → how it looked, without ctime."""
    targets: Sequence[Mapping[str, Any]]
    """The events of its targets."""
    actions: int

    def holds(self) -> bool:
        """Whether everything is as it was."""
        return all(_look(path) == before for path, before in self.seen.items()) and stands(
            Path("/"), self.placed
        )


def name_of(request: Sequence[str]) -> str:
    """Of the snapshot for a request: the words that it was made with, the settings that the
    environment adds, and where code comes from."""
    ours = ("TRITONBUILD_", "SOURCE_DATE_EPOCH")
    settings = sorted(item for item in os.environ.items() if item[0].startswith(ours))
    words = json.dumps([__version__, sys.version, sys.path, list(request), settings])
    return hashlib.sha256(words.encode()).hexdigest()[:24]


def load(folder: Path, request: Sequence[str]) -> Snapshot | None:
    """The snapshot of a request, if all that it was made from still holds."""
    try:
        content = json.loads((folder / f"{name_of(request)}.json").read_bytes())
        snapshot = Snapshot(**content)
    except (OSError, ValueError, TypeError):
        return None
    return snapshot if snapshot.holds() else None


def save(
    folder: Path,
    request: Sequence[str],
    root: Path,
    seen: Mapping[str, Signature | None],
    placed: Mapping[str, Sequence[int]],
    targets: Sequence[Mapping[str, Any]],
    actions: int,
) -> None:
    """Keeps a build; paths are relative to the root. Not when a file was written so lately that
    its next change might not show."""
    now = time.time_ns()
    everything = {str(root / path): signature for path, signature in seen.items()}
    everything |= {path: _signature(path) for path in _code()}
    if not all(signature is None or signature.settled(now) for signature in everything.values()):
        return
    content = {
        "seen": everything,
        "placed": {str(root / path): look for path, look in placed.items()},
        "targets": list(targets),
        "actions": actions,
    }
    text = json.dumps(content, separators=(",", ":"))
    with suppress(OSError):  # a full disk: the next build takes longer, no more
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / f"{name_of(request)}.json", text.encode())


def _code() -> Iterable[str]:
    """The files of the rules and of other code that is not installed, and the folders of what is
    installed: those change when a package is added, upgraded or removed."""
    files = {m.__name__: str(m.__file__) for m in list(sys.modules.values()) if _has_file(m)}
    packages = {path for path in sys.path if path.endswith("-packages") and os.path.isdir(path)}
    kept = tuple(f"{folder}/" for folder in (os.path.dirname(os.__file__), *packages))
    code = {
        file
        for name, file in files.items()
        if name.split(".")[0] == "tritonbuild" or not file.startswith(kept)
    }
    return sorted(code | packages)


def _has_file(module: ModuleType) -> bool:
    return bool(getattr(module, "__file__", None))


def _signature(path: str) -> Signature | None:
    try:
        return Signature.of(os.stat(path))
    except OSError:
        return None


def _look(path: str) -> list[int] | None:
    signature = _signature(path)
    return None if signature is None else list(signature)
