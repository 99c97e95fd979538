"""What lies in a model's folder beside its config."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import (
    Conflict,
    Entry,
    File,
    Folder,
    Problem,
    Symlink,
    ToolContext,
    folder_of,
)

from ..formats.kinds import file_names

SAVED_MODEL = "saved_model.pb"
"""What makes a folder one of TensorFlow's."""


def tree(ctx: ToolContext, config: Any) -> tuple[dict[str, Entry], list[Problem]]:
    """The entries of the model's folder that other targets and the workspace bring, and what is
    wrong with them. Reads none of their content."""
    entries: dict[str, Entry] = {}
    problems: list[Problem] = []
    if "steps" in ctx.parameters:
        entries["1"] = Folder()
    for number, own_name in ctx.parameters.get("versions", {}).items():
        # A version without files (`{}`) has no input.
        version = ctx.inputs.get(f"versions/{number}") or Folder()
        made = _version(number, version, own_name, config)
        if isinstance(made, Problem):
            problems.append(made)
        else:
            entries[number] = made
    for name, entry in _folder(ctx, "labels").entries.items():
        entries[name] = entry
        if not isinstance(entry, File):
            problems.append(
                Problem(f"{name} is a folder", "a file with a label a line", key="labels")
            )
    configs = dict(_folder(ctx, "configs").entries)
    for name, entry in list(configs.items()):
        if isinstance(entry, Folder):  # one that holds them
            del configs[name]
            configs |= entry.entries
    if configs:
        entries["configs"] = Folder(configs)
    if "warmup" not in ctx.parameters and (warmup := ctx.inputs.get("warmup")):
        entries["warmup"] = warmup
        if not isinstance(warmup, Folder):
            expected = "a folder with the files that `model_warmup` names"
            problems.append(Problem("warmup is a file", expected, key="warmup"))
    try:
        made_of = folder_of({**entries, **dict(_files(ctx))})
    except Conflict as error:
        problems.append(Problem(str(error), key="files"))
        return entries, problems
    return dict(made_of.entries), problems


def names_of(config: Any) -> tuple[str, ...]:
    """What a version folder has to hold one of, the first for choice; empty when not known."""
    kind = config.parameters["model_type"].string_value if "model_type" in config.parameters else ""
    return file_names(config.backend, config.platform, config.default_model_filename, kind)


def _files(ctx: ToolContext) -> Iterator[tuple[str, Entry]]:
    yield from _folder(ctx, "files").entries.items()


def _folder(ctx: ToolContext, path: str) -> Folder:
    entry = ctx.inputs.get(path)
    return entry if isinstance(entry, Folder) else Folder()


def _version(number: str, version: Entry, own_name: str, config: Any) -> Folder | Problem:
    """The version as a folder in which the backend finds its file."""
    names = names_of(config)
    key = f"versions.{number}"
    if isinstance(version, File):
        return folder_of({names[0] if names else own_name: version})
    if isinstance(version, Symlink):
        return Problem(
            f"version {number} is a link to {version.target}", "a file or folder", key=key
        )
    if config.cc_model_filenames:
        return version
    if names and not config.runtime and not any(map(version.get, names)):
        wanted = " or ".join(names)
        found = ", ".join(sorted(version.entries)[:8]) or "nothing"
        remedy = f"call its file {names[0]}, or say config.default_model_filename"
        if SAVED_MODEL in version.entries:
            remedy = f'say versions = {{ {number} = {{ "{names[0]}" = … }} }} of that folder'
        expected = f"{wanted}, which the {config.backend} backend looks for"
        return Problem(f"version {number} holds {found}", expected, remedy, key=key)
    return version
