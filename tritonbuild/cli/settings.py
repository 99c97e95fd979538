"""Defaults of flags: flag > environment (`TRITONBUILD_*`) > user file > workspace file > default.

Both files are TOML: keys are long flags without dashes (`keep_going = true`), at the top for all
verbs, in a table named after a verb for that one.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tritonbuild.cli.verbs import VERBS
from tritonbuild.errors import Problem, UsageError

WORKSPACE_FILE = ".tritonbuild.toml"


def user_file() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "tritonbuild" / "config.toml"


def default_map() -> dict[str, Any]:
    """What the two files say, in click's form: verb → flag → value."""
    merged: dict[str, Any] = {verb: {} for verb in VERBS}
    here = Path.cwd()
    workspace = (folder / WORKSPACE_FILE for folder in (here, *here.parents))
    for path in (next(filter(Path.is_file, workspace), None), user_file()):
        if path is None or not path.is_file():
            continue
        content = _read(path)
        common = {key: value for key, value in content.items() if not isinstance(value, dict)}
        for verb in VERBS:
            own = content.get(verb, {})
            if not isinstance(own, dict):
                expected = f"a table [{verb}] of that verb's flags"
                raise UsageError(Problem(f"{verb} = {own!r}", expected, file=path.name))
            merged[verb] |= common | own
    for flags in merged.values():
        if "json" in flags:
            flags["as_json"] = flags.pop("json")  # as the flag's parameter is called
    return merged


def _read(path: Path) -> dict[str, Any]:
    import tomli

    try:
        return tomli.loads(path.read_text())
    except (OSError, UnicodeDecodeError, tomli.TOMLDecodeError) as error:
        raise UsageError(Problem(f"{path.name} cannot be read: {error}", file=path.name)) from None
