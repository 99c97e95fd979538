"""What a failed verification says is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import PurePosixPath
from typing import Any

from tritonbuild.cache import Result
from tritonbuild.digest import Digest
from tritonbuild.errors import Problem
from tritonbuild.merkle import File

NAME = "result.json"
"""The output of a verification that may list its `problems`, objects with the fields of Problem."""
LOG_SHOWN = 4000
"""Characters of its log that stand for them where it lists none."""
MOST = 20
"""Problems that are told; the file has them all."""


def problems(verdict: Result, read: Callable[[Digest], bytes]) -> list[Problem]:
    """At least one. Fields that it leaves empty are for the caller to fill in."""
    listed = list(_listed(verdict, read))
    if not listed:
        log = read(verdict.log).decode(errors="replace").strip()
        return [Problem(log[-LOG_SHOWN:] or f"exit code {verdict.exit_code}")]
    if len(listed) > MOST:
        return [*listed[:MOST], Problem(f"and {len(listed) - MOST} more, in {NAME}")]
    return listed


def _listed(verdict: Result, read: Callable[[Digest], bytes]) -> Iterator[Problem]:
    names = {field.name for field in fields(Problem)}
    for path, entry in verdict.outputs.items():
        if PurePosixPath(path).name != NAME or not isinstance(entry, File):
            continue
        for told in _read(read(entry.digest)):
            if isinstance(told, dict) and set(told) <= names and "found" in told:
                yield Problem(**told)


def _read(content: bytes) -> list[Any]:
    """Its problems; none where the file of somebody's own rule is something else."""
    try:
        document = json.loads(content)
    except ValueError:
        return []
    found = document.get("problems") if isinstance(document, dict) else None
    return found if isinstance(found, list) else []
