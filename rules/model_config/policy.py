"""Which versions of a model Triton loads."""

from __future__ import annotations

import re
from typing import Any

from tritonbuild.rule import Folder

NOT_VERSIONS = ("configs", "initial_state", "warmup")


def present(folder: Folder) -> list[int]:
    """The version folders of a model, as Triton's core reads their names: in ascending order.

    It takes leading digits for a number (`1abc` is version 1), and leaves out names with a leading
    zero.
    """
    names = (name for name, entry in folder.entries.items() if isinstance(entry, Folder))
    found = {
        int(number[0])
        for name in names
        if name not in NOT_VERSIONS
        and not (len(name) > 1 and name[0] == "0")
        and (number := re.match(r"\s*[+-]?[0-9]+", name))
    }
    return sorted(found)


def loaded(folder: Folder, policy: Any) -> list[int]:
    """Those that a version policy chooses, in ascending order; the last is what is served where
    nobody asks for a version."""
    versions = present(folder)
    if policy.HasField("specific"):
        return [version for version in versions if version in policy.specific.versions]
    if policy.HasField("latest"):
        return versions[max(0, len(versions) - policy.latest.num_versions) :]
    return versions
