"""Python environments: the bundled Python with wheels in its folder of packages, as one folder.

First on PATH its bin, and nothing else is needed; it is no venv, works wherever it lies, and works
as Triton's EXECUTION_ENV_PATH. Nothing is copied: environments share their files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from tritonbuild.rule import (
    AnalysisError,
    Artifact,
    Context,
    Entry,
    Folder,
    LockedFile,
    Output,
    Request,
    ToolContext,
    folder_of,
    tool,
)

from .distribution import DistributionInfo
from .fetch import fetch
from .once import once
from .python import SITE
from .wheel import unpack_wheel


def environment(
    ctx: Context[Any], distribution: DistributionInfo, requirements: Iterable[str]
) -> Artifact:
    """Declares an environment of a distribution's Python with what Triton itself needs there and
    `requirements`. Raises AnalysisError for what is not a requirement."""
    wanted = {*distribution.constraints, *_checked(ctx, requirements)}
    python = distribution.python
    name, inputs = "environment", {"python": python.tree}
    if wanted:
        request = Request("pypi", tuple(sorted(wanted)), python.version, python.platform)
        name = f"environment {' '.join(request.request)}"
        for file in ctx.locked(request):
            inputs[f"wheels/{file.name.removesuffix('.whl')}"] = _unpacked(ctx, file)
    return once(ctx, make_environment, name, "tree", inputs=inputs)


def _checked(ctx: Context[Any], requirements: Iterable[str]) -> list[str]:
    """As PEP 508 writes them, each in one way."""
    from packaging.requirements import InvalidRequirement, Requirement

    checked, errors = [], []
    expected = "a project and its versions, such as 'numpy<2' or 'scikit-learn==1.7.*'"
    for text in requirements:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            found, remedy = f"{text!r} is not a requirement", ""
        else:
            if not requirement.url:
                checked.append(str(requirement))
                continue
            found = f"{text!r} names a file"
            remedy = "put the wheel in an index or `find-links` folder of pip's configuration"
        errors.append(ctx.error(found, key="requirements", expected=expected, remedy=remedy))
    if errors:
        raise AnalysisError(*(problem for error in errors for problem in error.problems))
    return checked


def _unpacked(ctx: Context[Any], file: LockedFile) -> Output:
    inputs = {"wheel": fetch(ctx, file, "pypi")}
    return once(ctx, unpack_wheel, f"unpack {file.name}", "site", inputs=inputs)


@tool("environment", version=1)
def make_environment(ctx: ToolContext) -> None:
    """Inputs `python` and `wheels/NAME`, output `tree`."""
    tree, wheels = ctx.inputs.get("python"), ctx.inputs.get("wheels") or Folder()
    assert isinstance(tree, Folder)
    assert isinstance(wheels, Folder)
    for name, site in sorted(wheels.entries.items()):
        tree = overlay(tree, folder_of({SITE: site}), ctx.log, name)
    ctx.link("tree", tree)


def overlay(below: Folder, above: Folder, log: IO[str], name: str, path: str = "") -> Folder:
    """Both folders' entries. Where they differ `above` wins, as with pip the package that is
    installed later, and the log says so."""
    entries: dict[str, Entry] = dict(below.entries)
    for key, entry in above.entries.items():
        here = entries.get(key)
        if isinstance(here, Folder) and isinstance(entry, Folder):
            entries[key] = overlay(here, entry, log, name, f"{path}{key}/")
        else:
            if here not in (None, entry):
                log.write(f"{path}{key} is that of {name}; another package has one too\n")
            entries[key] = entry
    return Folder(entries)
