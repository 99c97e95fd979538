"""`tritonbuild why`."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild.cli.complete import complete_pattern
from tritonbuild.cli.display import say
from tritonbuild.cli.verb import Call, call, common

if TYPE_CHECKING:
    from tritonbuild.events import Finished
    from tritonbuild.explain import Story


@click.command("why")
@click.argument("label", shell_complete=complete_pattern)
@common
def command(label: str, as_json: bool) -> NoReturn:
    """Say why each action of a target last ran, and where its result came from."""

    def body(this: Call) -> Finished:
        from tritonbuild.errors import ExitCode, Problem, UsageError
        from tritonbuild.events import Finished
        from tritonbuild.label import Label

        with this.session() as session:
            asked = Label.parse(label, this.package)
            targets = [declaration.label for declaration in session.graph.meant(asked)]
            stories = [(target, s) for target in targets for s in session.diary.stories(target)]
            session.graph.require(targets)
            needed = {need for target in targets for need in session.graph.targets[target]}
            needs = ", ".join(map(str, sorted(needed)))
        if not stories:
            remedy = f"tritonbuild build {asked}" + (f"; or ask for {needs}" if needs else "")
            raise UsageError(Problem(f"no action of {asked} itself has run here", remedy=remedy))
        for target, story in stories:
            if as_json:
                say(json.dumps({"event": "why", "label": str(target), **asdict(story)}))
            else:
                _tell(story)
        return Finished(ExitCode.OK)

    call(body, as_json=as_json)


def _tell(story: Story) -> None:
    if story.ran is None:
        say(f"{story.action}: its result was in the cache; it did not run for this target")
    else:
        when = datetime.fromtimestamp(story.ran).astimezone().isoformat(" ", "seconds")
        say(f"{story.action}: ran on {when}")
    for reason in story.reasons:
        say(f"    {reason}")
    if story.status == "cached" and story.ran is not None:
        say(f"    nothing had changed at the last build: its result is {story.key[:12]}")
