"""`tritonbuild doctor`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from tritonbuild.atomic import write_atomically
from tritonbuild.cli.display import say
from tritonbuild.cli.verb import call, common

if TYPE_CHECKING:
    from tritonbuild.cli.verb import Call
    from tritonbuild.events import Finished


@click.command("doctor")
@click.option(
    "--distribution",
    metavar="LABEL",
    help="Look at the images of a distribution instead, whether components can be cut out of them.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Write what was found to a file as well, to be sent.",
)
@common
def command(distribution: str | None, report: Path | None, as_json: bool) -> NoReturn:
    """Check what builds need of this machine; exit 36 when something that all need is missing."""

    def body(this: Call) -> Finished:
        from tritonbuild.doctor import Finding, examine
        from tritonbuild.errors import ExitCode, Problem, UsageError
        from tritonbuild.events import Finished

        if distribution is not None:
            findings = [Finding(**one) for one in _of_distribution(this, distribution)]
        else:
            try:
                place = this.root
            except UsageError:
                place = Path.cwd()
            findings = examine(place)
        if report is not None:
            told = [finding.to_json() for finding in findings]
            write_atomically(report, json.dumps(told, indent=1).encode() + b"\n")
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
        code = ExitCode.BUILD_FAILED if distribution else ExitCode.ENVIRONMENT
        return Finished(code if problems else ExitCode.OK, problems)

    call(body, as_json=as_json)


def _of_distribution(this: Call, label: str) -> list[dict[str, Any]]:
    from tritonbuild.errors import TritonbuildError
    from tritonbuild.label import Label
    from tritonbuild.rule import REPORT, Ask
    from tritonbuild.serve import asked

    with this.session() as session:
        answer = asked(session, Label.parse(label, this.package), Ask("doctor"))
    if answer.report.exit_code:
        raise TritonbuildError(*answer.report.problems, exit_code=answer.report.exit_code)
    found: list[dict[str, Any]] = json.loads(answer.told[REPORT])
    return found
