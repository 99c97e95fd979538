"""The signatures of a model's versions, read from their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from tritonbuild.rule import Entry, File, Folder, Problem, ToolContext

from ..formats import FormatError, Signature, read_signature
from ..formats.python_model import completes_itself
from .policy import loaded
from .tree import names_of

Signatures = Mapping[int, Signature | None]
"""By version; None where the file does not tell."""
PYTHON = "python"
"""The backend whose models are programs."""


def signatures(
    ctx: ToolContext, config: Any, entries: Mapping[str, Entry]
) -> tuple[dict[int, Signature | None], list[Problem]]:
    """Of each version that a server loads; None where the file does not tell. `entries` are those
    of the model's folder. With what is wrong with the files; keys are the manifest's."""
    found: dict[int, Signature | None] = {}
    problems: list[Problem] = []
    # PyTorch's other runtime is a model.py, which loads what it likes.
    is_program = config.backend == PYTHON or (config.backend == "pytorch" and config.runtime)
    if is_program or "steps" in ctx.parameters:
        return found, problems
    for number in served_versions(config, entries):
        version = entries.get(str(number))
        file = opened(config, version) if isinstance(version, Folder) else None
        if file is None:
            continue
        assert isinstance(version, Folder)
        place = _place(ctx, number, version, file)
        parameters = {key: value.string_value for key, value in config.parameters.items()}
        beside = None if isinstance(version.get(file), Folder) else _beside(version, file)
        try:
            found[number] = read_signature(
                config.backend,
                config.platform,
                place,
                name=PurePosixPath(file).name,
                beside=beside,
                parameters=parameters,
                own_backend=ctx.parameters.get("own_backend", False),
            )
        except FormatError as error:
            problems.append(replace(error.problem, file="", line=None, key=f"versions.{number}"))
    return found, problems


def served_versions(config: Any, entries: Mapping[str, Entry]) -> list[int]:
    """The numbers of those that a server loads, as the policy says; without one the latest."""
    numbers = loaded(Folder(entries), config.version_policy)
    said = config.version_policy.WhichOneof("policy_choice")
    return numbers if said else numbers[-1:]


def is_fixed(ctx: ToolContext, config: Any, entries: Mapping[str, Entry]) -> bool:
    """Whether it is a Python model whose source does not complete its config."""
    if config.backend != PYTHON or config.runtime:
        return False
    file = config.default_model_filename or "model.py"
    for number in served_versions(config, entries):
        here = f"versions/{number}"
        path = here if isinstance(ctx.inputs.get(here), File) else f"{here}/{file}"
        if not isinstance(ctx.inputs.get(path), File) or completes_itself(ctx.read(path)):
            return False
    return True


def opened(config: Any, version: Folder) -> str | None:
    """What the backend opens in a version; of files for several GPUs the first."""
    names = (*names_of(config), *sorted(config.cc_model_filenames.values()))
    return next((name for name in names if version.get(name) is not None), None)


def _place(ctx: ToolContext, number: int, version: Folder, file: str) -> Path:
    """Where that lies which is opened; of a folder one with links to its files, and to nothing
    else: a file that the model needs beside it must be missed where the version lacks it."""
    source, entry = f"versions/{number}", version.get(file)
    is_one = isinstance(ctx.inputs.get(source), File)
    if not isinstance(entry, Folder):
        return ctx.path(source if is_one else f"{source}/{file}")
    folder = ctx.scratch / "versions" / str(number) / file
    for path, _ in entry.files():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(ctx.path(f"{source}/{file}/{path}"))
    return folder


def _beside(version: Folder, file: str) -> dict[str, int]:
    """The files in the folder of one, by their paths from there, and their sizes."""
    folder = version.get(file.rpartition("/")[0])
    assert isinstance(folder, Folder)
    return {path: f.digest.size for path, f in folder.files() if isinstance(f, File)}
