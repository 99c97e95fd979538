"""What Triton makes of a written config before it serves the model, done offline.

The order is that of Triton's core: backend, platform and file name from what is there; defaults;
the backend's runtime; instance groups; what the backend itself completes; defaults again.
https://github.com/triton-inference-server/core/blob/r24.10/src/model_config_utils.cc
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import Folder, KeyPath, Problem

from .backend_fields import complete_backend_fields
from .defaults import fill_instance_groups, normalise
from .message import as_dict, empty
from .policy import loaded
from .releases import before
from .sources import Source, Sources, after, leaves

if TYPE_CHECKING:
    from ..formats import Signature

NEVER_COMPLETE = ("", "fil", "identity", "pytorch", "repeat", "square")
"""Backends that add nothing to a config of their own accord; ensembles have none."""
READ_FROM_FILE = ("onnxruntime", "openvino", "tensorflow")
"""Backends whose completion is done here, from the model's file."""
KNOWN_TO_COMPLETE = {
    "dali": "DALI completes it from the pipeline",
    "onnxruntime": "the model's file does not tell its inputs and outputs",
    "openvino": "OpenVINO completes it from a file that was not read",
    "python": "its auto_complete_config may complete it",
    "tensorflow": "TensorFlow completes it from a file that was not read",
    "tensorrt": "TensorRT completes it from the plan, on its GPU",
    "vllm": "vLLM completes it",
}
"""Why a config is not complete without a server, by backend."""


@dataclass
class Full:
    """A config as a server that has loaded the model answers it (GET /v2/models/M/config)."""

    config: Any
    """A ModelConfig message."""
    sources: Sources
    """Of every leaf."""
    unknown: list[str] = field(default_factory=list)
    """Why a part of it is only known to a running server; empty when nothing is missing."""
    advice: list[Problem] = field(default_factory=list)
    """What loads, but is likely not meant; keys are paths in the config."""

    def to_json(self) -> bytes:
        content = {
            "config": as_dict(self.config),
            "sources": [[source, list(path)] for path, source in self.sources.items()],
            "unknown": self.unknown,
            "advice": [problem.to_json() for problem in self.advice],
        }
        return json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Full:
        from google.protobuf import json_format

        told = json.loads(content)
        config = json_format.ParseDict(told["config"], empty())
        sources: Sources = {tuple(path): source for source, path in told["sources"]}
        advice = [Problem(**problem) for problem in told["advice"]]
        return cls(config, sources, told["unknown"], advice)


def complete(
    written: Any,
    sources: Mapping[KeyPath, Source],
    *,
    folder: Folder,
    signatures: Mapping[int, Signature | None],
    release: str,
    gpus: int = 0,
    python_based: bool = False,
    own_backend: bool = False,
    fixed: bool = False,
    name: str = "",
    decoupled: bool = False,
) -> tuple[Full, list[Problem]]:
    """Completes a copy of a written config, and says what is wrong with it.

    `folder` is the model's, with its version folders; `signatures` what is known of each version's
    file; `release` Triton's version (empty: the newest); `gpus` how many the server sees,
    0 where that is not known.
    `python_based`: the backend is a model.py rather than a library. `own_backend`: it is the
    user's, and may complete what it likes where no model file is read for it. `fixed`: the model
    is Python and completes nothing itself (see `formats.python_model`). `name` stands for the
    folder's, where the config says none. `decoupled`: a member of this ensemble is. Problems' keys
    are paths in the config.
    """
    config = type(written)()
    config.CopyFrom(written)
    full = Full(config, dict(sources))
    problems: list[Problem] = []

    def step(now: Source, fill: Callable[[], Iterator[Problem] | None]) -> None:
        known = dict(leaves(config))
        problems.extend(fill() or ())
        full.sources = after(known, full.sources, config, now)

    step("completed", lambda: complete_backend_fields(config, folder, release, name))
    if problems:
        return full, problems
    step("default", lambda: normalise(config))
    is_py = not before(release, "2.42") and _is_model_py(config, folder, python_based=python_based)
    own = is_py or own_backend
    step("completed", lambda: _set_runtime(config) if is_py else None)
    step("default", lambda: fill_instance_groups(config, gpus))
    versions = loaded(folder, config.version_policy)
    step("completed", lambda: _autofill(full, versions, signatures, release, own=own, fixed=fixed))
    step("default", lambda: normalise(config))
    if config.HasField("ensemble_scheduling"):
        step("completed", lambda: _set_decoupled(config, decoupled))
    return full, problems


def _is_model_py(config: Any, folder: Folder, *, python_based: bool) -> bool:
    """Whether the backend is a model.py: a library in the model's own folder comes first."""
    if config.runtime:
        return bool(config.runtime == "model.py")
    if config.backend == "python":
        return False
    library = f"libtriton_{config.backend}.so"
    folders = [entry for entry in folder.entries.values() if isinstance(entry, Folder)]
    return python_based and not any(library in place.entries for place in (folder, *folders))


def _set_runtime(config: Any) -> None:
    if not config.runtime:
        config.runtime = "model.py"


def _set_decoupled(config: Any, decoupled: bool) -> None:
    """An ensemble is as its members are, whatever its own config says."""
    config.model_transaction_policy.decoupled = decoupled


def _autofill(
    full: Full,
    versions: list[int],
    signatures: Mapping[int, Signature | None],
    release: str,
    *,
    own: bool,
    fixed: bool,
) -> Iterator[Problem]:
    """What the backend completes from its file. Each version is loaded with a config of its own;
    the newest one's is what the server shows."""
    config = full.config
    known = [(version, signatures.get(version)) for version in versions]
    newest = known[-1][1] if known else None
    if newest is None:
        if (why := _unknown(config.backend, own=own)) and not fixed and config.backend:
            full.unknown.append(why)
        return
    from .autofill import autofill, too_new, unknown

    for version, signature in known:
        # A backend of one's own brings a runtime of its own.
        for problem in too_new(config, signature, release) if signature and not own else ():
            yield replace(problem, found=f"version {version}: {problem.found}")
    for version, signature in known[:-1]:
        if signature is not None:
            other = type(config)()
            other.CopyFrom(config)
            for problem in autofill(other, signature, release):
                yield replace(problem, found=f"version {version}: {problem.found}")
    full.unknown += unknown(config, newest)
    yield from autofill(config, newest, release)


def never_completes(backend: str, *, own: bool) -> bool:
    """Whether nothing but the core and the model's file completes a config. `own`: the backend is
    the user's."""
    if backend in READ_FROM_FILE:
        return True
    return backend in NEVER_COMPLETE and not own


def _unknown(backend: str, *, own: bool) -> str:
    if backend in NEVER_COMPLETE and not own:
        return ""
    other = f"its backend {backend!r} may complete it"
    return KNOWN_TO_COMPLETE.get(backend, other)
