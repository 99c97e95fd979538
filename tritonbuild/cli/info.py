"""`tritonbuild info`."""

from __future__ import annotations

import json
import platform
from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild import __version__
from tritonbuild.cli.display import say
from tritonbuild.cli.verb import Call, call, common

if TYPE_CHECKING:
    from tritonbuild.events import Finished


@click.command("info")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of triton.toml.")
@common
def command(schema: bool, as_json: bool) -> NoReturn:
    """Show where the workspace, its outputs and the cache are, and which rules there are."""

    def body(this: Call) -> Finished:
        from tritonbuild.errors import ExitCode
        from tritonbuild.events import Finished
        from tritonbuild.workspace import OUTPUTS

        with this.session() as session:
            if schema:
                found = session.manifests.schema()
                whole = json.dumps(found, indent=2)
                say(json.dumps({"event": "schema", "schema": found}) if as_json else whole)
                return Finished(ExitCode.OK)
            facts = {
                "version": __version__,
                "python": platform.python_version(),
                "workspace": str(session.root),
                "outputs": str(session.root / OUTPUTS),
                "cache": str(session.cache.root),
                "state": str(session.state_folder),
                "rules": sorted(session.manifests.registry.rules),
            }
        if as_json:
            say(json.dumps({"event": "info", **facts}))
        else:
            for name, value in facts.items():
                say(f"{name:10} {', '.join(value) if isinstance(value, list) else value}")
        return Finished(ExitCode.OK)

    call(body, as_json=as_json)
