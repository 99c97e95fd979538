"""What is told of a model's config without a server: all of it that is known, and what Triton would
refuse.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import Folder, KeyPath, Problem

from .completion import Full, complete
from .lint import Finding, Member, Subject, lint, wiring
from .schema import newer_than
from .sources import Source

if TYPE_CHECKING:
    from ..formats import Signature


@dataclass(frozen=True)
class Surroundings:
    """What a config is completed and judged with."""

    name: str
    """Triton's name of the model."""
    release: str
    """Triton's version; empty: the newest."""
    folder: Folder
    """The model's, with its version folders."""
    signatures: Mapping[int, Signature | None] = field(default_factory=dict)
    """By version; None where the file does not tell."""
    members: Mapping[str, Member] = field(default_factory=dict)
    """Of an ensemble, by Triton's names."""
    python_based: bool = False
    """The backend is a model.py rather than a library."""
    own_backend: bool = False
    """The backend is the user's own, whatever its name."""
    fixed: bool = False
    """The model is Python and completes nothing itself."""


def completed(
    written: Any, sources: Mapping[KeyPath, Source], here: Surroundings
) -> tuple[Full, list[Problem]]:
    """See `completion.complete`."""
    return complete(
        written,
        sources,
        folder=here.folder,
        signatures=here.signatures,
        release=here.release,
        python_based=here.python_based,
        own_backend=here.own_backend,
        fixed=here.fixed,
        name=here.name,
        decoupled=any(
            member.config.model_transaction_policy.decoupled for member in here.members.values()
        ),
    )


def findings(full: Any, written: Any, here: Surroundings) -> Iterator[Finding]:
    """All that is wrong with a config that could be completed, and with it as it was written."""
    for key, release in newer_than(full, here.release):
        yield Finding(
            key,
            f"Triton {here.release} does not know it",
            f"Triton {release} or newer",
            "take it away, or choose a newer `distribution`",
        )
    known = {number: file for number, file in here.signatures.items() if file is not None}
    yield from lint(Subject(full, here.folder, here.release, known, written, here.own_backend))
    yield from wiring(full, here.members)
