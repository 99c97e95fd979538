"""`tritonbuild doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild.cli.display import say
from tritonbuild.cli.verb import call, common

if TYPE_CHECKING:
    from tritonbuild.cli.verb import Call
    from tritonbuild.events import Finished


@click.command("doctor")
@common
def command(as_json: bool) -> NoReturn:
    """Check what builds need of this machine; exit 36 when something that all need is missing."""

    def body(this: Call) -> Finished:
        from tritonbuild.doctor import examine
        from tritonbuild.errors import ExitCode, Problem, UsageError
        from tritonbuild.events import Finished

        try:
            place = this.root
        except UsageError:
            place = Path.cwd()
        findings = examine(place)
        for finding in findings:
            if as_json:
                say(json.dumps({"event": "finding", **finding.to_json()}))
                continue
            word, colour = {True: ("ok", "green"), None: ("note", "yellow")}.get(
                finding.ok, ("wrong", "red")
            )
            say(f"{click.style(f'{word:<6}', fg=colour)} {finding.subject}: {finding.text}")
        problems = tuple(
            Problem(f"{finding.subject}: {finding.text}", remedy=finding.remedy)
            for finding in findings
            if finding.ok is False
        )
        return Finished(ExitCode.ENVIRONMENT if problems else ExitCode.OK, problems)

    call(body, as_json=as_json)
