"""The step that makes a model's folder: config.pbtxt and a folder a version."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from tritonbuild.rule import (
    ActionError,
    Entry,
    File,
    Folder,
    Problem,
    Symlink,
    ToolContext,
    folder_of,
    tool,
)

from . import message as model_config
from .overlay import lay_over
from .versions import file_names

CONFIG_FILE = "config_file"
"""Where the tool finds the user's config.pbtxt."""
MODEL = "model"
"""Where it puts the folder; the model's own name could be that of an input."""


@tool("model", version=1, libraries=("protobuf", "tritonclient"))
def make_model(ctx: ToolContext) -> None:
    """Writes config.pbtxt and links the versions; reads none of their files."""
    name, backend = ctx.parameters["name"], ctx.parameters["backend"]
    config = _config(ctx, name, backend)
    ctx.write(f"{MODEL}/config.pbtxt", model_config.to_text(config))
    for number, own_name in ctx.parameters["versions"].items():
        # A version without files (`{}`) has no input.
        version = ctx.inputs.get(f"versions/{number}") or Folder()
        ctx.link(f"{MODEL}/{number}", _version_folder(number, version, own_name, config))


def _config(ctx: ToolContext, name: str, backend: str) -> Any:
    """The config file with the manifest's config over it. Raises ActionError."""
    config, content = model_config.empty(), b""
    problems: list[Problem] = []
    file = ctx.parameters.get(CONFIG_FILE, "")
    if file:
        if not isinstance(ctx.inputs.get(CONFIG_FILE), File):
            raise ActionError(Problem(f"{file} is a folder", "a config.pbtxt"))
        content = ctx.read(CONFIG_FILE)
        config, problems = model_config.parse(content, file)
    if not problems:
        # The manifest's own words were judged at analysis, so what is wrong stands in the file.
        problems = list(lay_over(config, ctx.parameters.get("config", {}), ""))
        problems += (
            replace(problem, key="", file=file, line=_line_of(problem.key, content))
            for problem in model_config.complete(config, name, backend)
        )
    if problems:
        raise ActionError(*problems)
    return config


def _line_of(field: str, content: bytes) -> int | None:
    """Where a config file sets a field of the ModelConfig itself."""
    for number, line in enumerate(content.splitlines(), start=1):
        if re.match(rf"\s*{field}\s*:".encode(), line):
            return number
    return None


def _version_folder(number: str, version: Entry, own_name: str, config: Any) -> Folder:
    """The version as a folder in which the backend finds its file. Raises ActionError."""
    names = file_names(config.backend, config.platform, config.default_model_filename)
    if isinstance(version, File):
        return folder_of({names[0] if names else own_name: version})
    if isinstance(version, Symlink):
        found = f"version {number} is a link to {version.target}"
        raise ActionError(Problem(found, "a file or folder"))
    looks_elsewhere = config.runtime or config.cc_model_filenames
    if names and not looks_elsewhere and not any(map(version.get, names)):
        wanted = " or ".join(names)
        found = ", ".join(sorted(version.entries)[:8]) or "nothing"
        raise ActionError(
            Problem(
                f"version {number} holds {found}",
                f"{wanted}, which the {config.backend} backend looks for",
                f"call its file {names[0]}, or say config.default_model_filename",
            )
        )
    return version
