"""`tritonbuild run`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild.cli.complete import complete_pattern
from tritonbuild.cli.verb import Call, call, common, flag

if TYPE_CHECKING:
    from tritonbuild.events import Finished


@click.command("run")
@click.argument("label", shell_complete=complete_pattern)
@click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", help="Such as http_port=9000."
)
@flag("--locked", is_flag=True, help="Fail when triton.lock lacks an entry.")
@common
def command(label: str, settings: tuple[str, ...], locked: bool, as_json: bool) -> NoReturn:
    """Build a model, a repository or an image and serve it here, until Ctrl-C."""

    def body(this: Call) -> Finished:
        from tritonbuild.errors import Problem, UsageError
        from tritonbuild.events import Finished
        from tritonbuild.label import Label
        from tritonbuild.serve import serve

        pairs = [setting.partition("=") for setting in settings]
        for name, equals, _ in pairs:
            if not equals:
                raise UsageError(Problem(f"--set {name}", "--set NAME=VALUE"))
        values = {name: value for name, _, value in pairs}
        with this.session() as session:
            report = serve(session, Label.parse(label, this.package), values, locked=locked)
        return Finished(report.exit_code, tuple(report.problems), report.metrics)

    call(body, as_json=as_json)
