"""`tritonbuild config`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.shell_completion import CompletionItem

from tritonbuild.cli.complete import complete_pattern
from tritonbuild.cli.verb import Call, call, common, flag

if TYPE_CHECKING:
    from tritonbuild.events import Finished


def _files(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]


@click.command("config")
@click.argument("label", shell_complete=complete_pattern)
@click.option(
    "--diff",
    metavar="OTHER",
    shell_complete=_files,
    help="Show only what another config says otherwise: a file's, or that of a running server at "
    "http://HOST:PORT. They differ: exit 3.",
)
@click.option("--model", metavar="NAME", help="The model's name on that server, if another.")
@flag("--ask", is_flag=True, help="Ask a server also where files should tell all, but do not.")
@flag("--offline", is_flag=True, help="Start no server to ask what only a server knows.")
@flag("--locked", is_flag=True, help="Fail when triton.lock lacks an entry.")
@common
def command(
    label: str,
    diff: str | None,
    model: str | None,
    ask: bool,
    offline: bool,
    locked: bool,
    as_json: bool,
) -> NoReturn:
    """Print the full config of a model, and where each field came from.

    Of a repository: of every model in it. `# manifest` stands in triton.toml, `# file` in the
    config file that it names; `# completed` was found out from the model's files, `# server` by
    asking a server; `# default` is the same for any model.
    """

    def body(this: Call) -> Finished:
        import json

        from tritonbuild.errors import Problem, UsageError
        from tritonbuild.events import Finished
        from tritonbuild.label import Label
        from tritonbuild.serve import serve

        if model and not diff:
            raise UsageError(Problem("--model without --diff", "a server to compare with"))
        if ask and offline:
            raise UsageError(Problem("--ask and --offline", "one of the two"))
        colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
        settings: dict[str, Any] = {
            "as_json": as_json,
            "ask": ask,
            "colour": colour,
            "diff": _place(diff) if diff else "",
            "model": model or "",
            "offline": offline,
        }
        told = {name: json.dumps(value) for name, value in settings.items()}
        with this.session() as session:
            report = serve(
                session, Label.parse(label, this.package), told, locked=locked, verb="config"
            )
        return Finished(report.exit_code, tuple(report.problems), report.metrics)

    call(body, as_json=as_json)


def _place(diff: str) -> str:
    return diff if "://" in diff else os.path.abspath(diff)
