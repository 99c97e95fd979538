"""What a program that failed may have lacked, told by what it said: the network, or a file of the
workspace that its target does not declare.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path, PurePosixPath

from tritonbuild.action import WORK, Action, Program
from tritonbuild.errors import Problem
from tritonbuild.manifest import Declaration

_NO_NETWORK = re.compile(
    "failure in name resolution|could not resolve host|name or service not known|"
    "name resolution error|getaddrinfo|unable to resolve host|network is unreachable",
    re.IGNORECASE,
)
_NO_FILE = re.compile("no such file|not found|cannot open|does not exist", re.IGNORECASE)
_ABOVE = re.compile(f"^/.*?/{WORK}/")
"""The working folder, from outside or inside of a sandbox."""
_PATH = re.compile(r"[^\s'\"`:,;()\[\]<>=]+")


def hinted(problem: Problem, action: Action, declaration: Declaration, root: Path) -> Problem:
    """The problem of a failed action with a remedy, if what it found shows one. `root` is the
    workspace's; its files are looked for in the package, where the program's paths begin."""
    step = action.step
    if not isinstance(step, Program) or problem.remedy:
        return problem
    keys = type(declaration.attributes).model_fields
    remedies = []
    if "network" in keys and not step.network and _NO_NETWORK.search(problem.found):
        remedies.append("if it needs the network: network = true")
    if "inputs" in keys:
        missed = _missed(problem.found, action.inputs, root / declaration.package.path)
        if missed:
            names = ", ".join(f'"{path}"' for path in missed)
            remedies.append(f"it sees declared files only: inputs = [{names}]")
    return replace(problem, remedy="; ".join(remedies))


def _missed(text: str, inputs: Iterable[str], package: Path) -> list[str]:
    """Paths that it did not find, that are in the package and no input."""
    declared = {PurePosixPath(path) for path in inputs}
    found: dict[str, None] = {}
    for line in filter(_NO_FILE.search, text.splitlines()):
        for word in _PATH.findall(line):
            path = PurePosixPath(_ABOVE.sub("", word))
            if path.is_absolute() or ".." in path.parts or not path.name:
                continue
            if declared.isdisjoint((path, *path.parents)) and (package / path).exists():
                found[str(path)] = None
    return list(found)
