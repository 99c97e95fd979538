"""`tritonbuild tool`: a built-in step as a command line, for executors elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click

from tritonbuild.errors import Problem, UsageError, did_you_mean


@click.command("tool")
@click.argument("name")
@click.option("--require", required=True, help="The version that the action was made for.")
@click.argument("parameters", type=click.Path(exists=True, dir_okay=False))
def command(name: str, require: str, parameters: str) -> NoReturn:
    """Run a built-in step: inputs lie in the current folder, outputs are written into it."""
    from tritonbuild.executors.folder import run_in_folder
    from tritonbuild.registry import installed

    tools = installed().tools
    if name not in tools:
        raise UsageError(Problem(f"there is no tool {name!r}", remedy=did_you_mean(name, tools)))
    sys.exit(run_in_folder(tools[name], require, Path.cwd(), Path(parameters), sys.stderr))
