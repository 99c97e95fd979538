"""Defaults of flags: flag > environment (`TRITONBUILD_*`) > user file > workspace file > default.

Both files are TOML: keys are long flags without dashes (`keep_going = true`), at the top for all
verbs that have the flag, in a table named after a verb for that one. The workspace's lies at its
root.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import click

from tritonbuild.cli.verbs import VERBS
from tritonbuild.errors import EnvironmentFailure, Problem, UsageError, did_you_mean
from tritonbuild.workspace import find_root

WORKSPACE_FILE = ".tritonbuild.toml"


Flags = dict[str, dict[str, click.Option]]
"""Verb → a flag as settings call it (`keep_going`) → the flag."""


def user_file() -> Path | None:
    """None for a user without a home folder."""
    home = os.environ.get("XDG_CONFIG_HOME")
    try:
        return (Path(home) if home else Path.home() / ".config") / "tritonbuild" / "config.toml"
    except RuntimeError:
        return None


def default_map() -> dict[str, Any]:
    """What the two files say, in click's form: verb → parameter → value. Raises UsageError, and
    EnvironmentFailure when there is no current folder."""
    merged: dict[str, Any] = {verb: {} for verb in VERBS}
    contents = [(path, _read(path)) for path in (_workspace_file(), user_file()) if path]
    if not any(content for _, content in contents):
        return merged
    flags = _flags()
    for path, content in contents:
        common = {key: value for key, value in content.items() if key not in VERBS}
        _refuse_unknown(common, {key for known in flags.values() for key in known}, "", path)
        for verb, known in flags.items():
            own = content.get(verb, {})
            if not isinstance(own, dict):
                expected = f"a table [{verb}] of that verb's flags"
                raise _wrong(f"{verb} = {own!r}", path, expected=expected)
            _refuse_unknown(own, known, f"{verb}.", path)
            for key, value in (common | own).items():
                if key in known:
                    merged[verb][known[key].name] = _checked(known[key], key, value, path)
    return merged


def _workspace_file() -> Path | None:
    """None outside a workspace; the verb says what is wrong with one."""
    try:
        return find_root(Path.cwd()) / WORKSPACE_FILE
    except UsageError:
        return None
    except OSError as error:
        problem = Problem(f"the current folder cannot be used: {error.strerror}")
        raise EnvironmentFailure(problem) from None


def _read(path: Path) -> dict[str, Any]:
    import tomli

    try:
        return tomli.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise _wrong(f"{path.name} cannot be read: {error}", path) from None


def _flags() -> Flags:
    found: Flags = {}
    for verb in VERBS:
        command = importlib.import_module(f"tritonbuild.cli.{verb}").command
        subcommands = command.commands.values() if isinstance(command, click.Group) else [command]
        found[verb] = {
            parameter.opts[0].removeprefix("--").replace("-", "_"): parameter
            for subcommand in subcommands
            for parameter in subcommand.params
            if isinstance(parameter, click.Option)
        }
    return found


def _refuse_unknown(
    settings: Iterable[str], known: Collection[str], prefix: str, path: Path
) -> None:
    for key in settings:
        if key not in known:
            remedy = did_you_mean(key, known)
            raise _wrong(f"there is no setting {prefix}{key}", path, remedy=remedy)


def _checked(flag: click.Option, key: str, value: object, path: Path) -> object:
    """A setting's value; click checks the rest. Paths are relative to the file that says them."""
    if flag.multiple and not isinstance(value, list):
        raise _wrong(f"{key} = {value!r}", path, expected="a list")
    if isinstance(flag.type, click.Path) and isinstance(value, str):
        return str(path.parent.absolute() / Path(value).expanduser())
    return value


def _wrong(found: str, path: Path, *, expected: str = "", remedy: str = "") -> UsageError:
    return UsageError(Problem(found, expected, remedy, file=path.name))
