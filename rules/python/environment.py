"""Python environments: the bundled Python with wheels in its folder of packages, as one folder.

First on PATH its bin, and nothing else is needed; it is no venv, works wherever it lies, and works
as Triton's EXECUTION_ENV_PATH. Nothing is copied: environments share their files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO, Any

from tritonbuild.rule import (
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

from .fetch import fetch, known
from .interpreter import SITE, PythonInfo
from .wheel import unpack_wheel


def environment(ctx: Context[Any], python: PythonInfo, requirements: Iterable[str]) -> Artifact:
    """Declares an environment of a Python with `requirements`, as `requirements.checked` writes
    them."""
    wanted = set(requirements)
    name, inputs = "environment", {"python": python.tree}
    if wanted:
        request = Request("pypi", tuple(sorted(wanted)), python.version, python.platform)
        name = f"environment {' '.join(request.request)}"
        for file in ctx.locked(request):
            inputs[f"wheels/{file.name.removesuffix('.whl')}"] = unpacked(ctx, file)
    return ctx.tool(make_environment, name=name, inputs=inputs, outputs=["tree"])["tree"]


def unpacked(ctx: Context[Any], file: LockedFile) -> Output:
    inputs = {"wheel": fetch(ctx, file, "pypi")}
    name = f"unpack {known(file)}"
    return ctx.tool(unpack_wheel, name=name, inputs=inputs, outputs=["site"])["site"]


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
