"""Importers: from what is there already to the manifests that declare it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tritonbuild.errors import Problem


@dataclass(frozen=True)
class ImportRequest:
    """Folders that are to become packages. Paths are relative to the root, `/` between names."""

    root: Path
    """Of the workspace that they belong to."""
    packages: tuple[str, ...]
    """The folders; empty text is the root itself. None of them has a manifest."""
    manifest: Mapping[str, Any] | None
    """What the root's manifest says; None: there is none yet, and the importer writes it."""
    names: Callable[[str], Sequence[tuple[str, bool]]]
    """The names in a folder and whether each is a folder itself, sorted. Raises UsageError for
    what cannot be part of a workspace."""
    ignored: Callable[[str, bool], bool]
    """Whether a path (and is it a folder?) is left out of folders that are named as a whole."""
    never_counts: Callable[[str, bool], bool]
    """Whether it is left out even where a manifest names its folder explicitly."""
    options: Mapping[str, str]
    """What the command line said besides, by the names of its flags."""


@dataclass(frozen=True)
class Imported:
    """What an importer would write."""

    files: Mapping[str, bytes] = field(default_factory=dict)
    """Path relative to the root → content."""
    findings: tuple[Problem, ...] = ()
    """What people should know; none of it stands in the way of the files."""


@dataclass(frozen=True)
class Importer:
    """Reads what is there already and says which manifests declare it; writes nothing. Raises
    TritonbuildError, with everything that is wrong."""

    kind: str
    """What it reads: `model-repository`."""
    function: Callable[[ImportRequest], Imported] = field(compare=False)


def importer(kind: str) -> Callable[[Callable[[ImportRequest], Imported]], Importer]:
    """Makes an importer of a function."""
    return lambda function: Importer(kind, function)
