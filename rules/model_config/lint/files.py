"""The files that a backend opens in each version."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tritonbuild.rule import Folder, KeyPath

from ...formats.kinds import file_names
from ..policy import loaded
from .subject import Finding, Subject


def files(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if config.HasField("ensemble_scheduling"):
        return
    names = file_names(config.backend, config.platform, "", _model_type(config))
    if names and config.default_model_filename:
        names = (config.default_model_filename,)
    elif config.backend == "pytorch" and config.runtime == "model.py":
        names = ()  # Python code, which may open what it likes
    by_capability: Mapping[str, str] = config.cc_model_filenames
    for capability in sorted(by_capability):
        if not re.fullmatch(r"[0-9]+\.[0-9]+", capability):
            key: KeyPath = ("cc_model_filenames", capability)
            found = f"{capability!r} is not a compute capability"
            yield Finding(key, found, "one such as 8.9; no GPU matches it", fatal=False)
    for version in loaded(subject.folder, config.version_policy):
        folder = subject.folder.entries.get(str(version))
        if not isinstance(folder, Folder):
            continue  # `1abc` counts as 1: the versions' own finding
        yield from _version(version, folder, names, config)


def _version(
    version: int, folder: Folder, names: tuple[str, ...], config: Any
) -> Iterator[Finding]:
    for capability in sorted(config.cc_model_filenames):
        file = config.cc_model_filenames[capability]
        if folder.get(file) is None:
            key: KeyPath = ("cc_model_filenames", capability)
            yield Finding(key, f"version {version} has no {file!r}")
    opens_any = config.cc_model_filenames or not names
    if opens_any or any(folder.get(name) is not None for name in names):
        return
    # A library of the model's own may open what it likes.
    if f"libtriton_{config.backend}.so" in folder.entries:
        return
    holds = ", ".join(sorted(folder.entries)[:8]) or "nothing"
    yield Finding(
        ("default_model_filename",),
        f"version {version} holds {holds}",
        f"{' or '.join(names)}, which the {config.backend} backend opens",
        f"call its file {names[0]}, or say which it is with default_model_filename",
    )


def _model_type(config: Any) -> str:
    """FIL's, which its file's name follows."""
    parameters: Mapping[str, Any] = config.parameters
    return str(parameters["model_type"].string_value) if "model_type" in parameters else ""
