"""Which versions of a model Triton loads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from tritonbuild.rule import Folder

NOT_VERSIONS = ("configs", "initial_state", "warmup")
"""Folders of a model that Triton takes for no version."""


def leading_number(text: str) -> int | None:
    """The number that a text begins with, as Triton reads one; None where it fails."""
    number = re.match(r"\s*[+-]?[0-9]+", text)
    return int(number[0]) if number else None


def present(folder: Folder) -> list[int]:
    """The version folders of a model, as Triton's core reads their names: in ascending order.

    It takes leading digits for a number (`1abc` is version 1), and leaves out names with a leading
    zero.
    """
    names = (name for name, entry in folder.entries.items() if isinstance(entry, Folder))
    found = {
        number
        for name in names
        if name not in NOT_VERSIONS
        and not (len(name) > 1 and name[0] == "0")
        and (number := leading_number(name)) is not None
    }
    return sorted(found)


def wanted(folder: Folder, policy: Any) -> list[int]:
    """Those that a version policy asks for, in ascending order, be they there or not."""
    if policy.HasField("specific"):
        return sorted(set(policy.specific.versions))
    return loaded(folder, policy)


def loaded(folder: Folder, policy: Any) -> list[int]:
    """Those that a version policy chooses, in ascending order; the last is what is served where
    nobody asks for a version."""
    return chosen(present(folder), policy)


def chosen(versions: Sequence[int], policy: Any) -> list[int]:
    """As `loaded`, of the numbers of a model's version folders, in ascending order."""
    if policy.HasField("specific"):
        return [version for version in versions if version in policy.specific.versions]
    if policy.HasField("latest"):
        return list(versions[max(0, len(versions) - policy.latest.num_versions) :])
    return list(versions)
