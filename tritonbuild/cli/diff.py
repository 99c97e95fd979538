"""`tritonbuild diff`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild.cli.complete import complete_pattern
from tritonbuild.cli.display import say
from tritonbuild.cli.verb import PLATFORM, Call, call, common, platform_of

if TYPE_CHECKING:
    from tritonbuild.events import Finished
    from tritonbuild.images.difference import Difference


@click.command("diff")
@click.argument("before", metavar="A", shell_complete=complete_pattern)
@click.argument("after", metavar="B", shell_complete=complete_pattern)
@click.option("--platform", help=PLATFORM)
@common
def command(before: str, after: str, platform: str | None, as_json: bool) -> NoReturn:
    """Show what image B says and holds otherwise than image A: config, models, versions, fields of
    their configs, components, packages, layers. Each is a target, a layout or archive on disk,
    docker-daemon:NAME, or a reference in a registry. They differ: exit 3.
    """

    def body(this: Call) -> Finished:
        from tritonbuild.errors import ExitCode
        from tritonbuild.events import Finished
        from tritonbuild.images.difference import differences
        from tritonbuild.images.opened import opened

        wanted = platform_of(platform) if platform else None
        with (
            this.session() as session,
            opened(session, before, this.package, wanted) as old,
            opened(session, after, this.package, wanted) as new,
        ):
            inspectors = list(session.manifests.registry.inspectors.values())
            found = list(differences(old.view, new.view, inspectors))
        section = ""
        for difference in found:
            if as_json:
                say(json.dumps({"event": "image-difference", "a": before, "b": after,
                                **asdict(difference)}))  # fmt: skip
                continue
            if difference.section != section:
                section = difference.section
                say(section)
            _tell(difference)
        return Finished(ExitCode.TEST_FAILED if found else ExitCode.OK)

    call(body, as_json=as_json)


def _tell(difference: Difference) -> None:
    if difference.before is not None:
        say(f"  - {difference.name}: {difference.before}")
    if difference.after is not None:
        say(f"  + {difference.name}: {difference.after}")
