"""The lint of model configs: what Triton would refuse, and what it would load but was surely not
meant. A module for each subject of a config; each yields findings, of its subject only.

What a model's file takes and gives is held against the config by `autofill`, not here. The rules
are those of Triton's core and backends:
https://github.com/triton-inference-server/core/blob/r24.10/src/model_config_utils.cc
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tritonbuild.rule import KeyPath

from .agents import agents
from .backends import backend
from .batch_tensors import batch_tensors
from .batching import batching
from .caches import caches
from .ensemble import ensemble
from .files import files
from .instances import instances
from .labels import labels
from .metrics import metrics
from .names import names
from .optimization import optimization
from .parameters import parameters
from .platform import platform
from .sequences import sequences
from .subject import Finding, Subject
from .tensors import tensors
from .versions import versions
from .warmup import warmup
from .wiring import Member, wiring

__all__ = ["Finding", "KeyPath", "Member", "Subject", "lint", "wiring"]

SUBJECTS: tuple[Callable[[Subject], Iterator[Finding]], ...] = (
    names,
    platform,
    versions,
    files,
    tensors,
    batch_tensors,
    batching,
    sequences,
    ensemble,
    instances,
    warmup,
    labels,
    agents,
    caches,
    parameters,
    optimization,
    metrics,
    backend,
)


def lint(subject: Subject) -> Iterator[Finding]:
    """All that is wrong with one model, the ensemble's members aside (see `wiring`)."""
    for find in SUBJECTS:
        yield from find(subject)
