"""`tritonbuild load`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild.cli.complete import complete_pattern
from tritonbuild.cli.verb import Call, call, common, flag, platform_of

if TYPE_CHECKING:
    from tritonbuild.events import Finished


@click.command("load")
@click.argument("patterns", nargs=-1, required=True, shell_complete=complete_pattern)
@click.option("--to", multiple=True, metavar="NAME:TAG", help="Instead of the tags it declares.")
@click.option("--platform", default="linux/amd64", show_default=True, help="Of an index.")
@flag("--locked", is_flag=True, help="Fail when triton.lock lacks an entry.")
@common
def command(
    patterns: tuple[str, ...], to: tuple[str, ...], platform: str, locked: bool, as_json: bool
) -> NoReturn:
    """Build images and load them into Docker, sending only the layers that it lacks."""

    def body(this: Call) -> Finished:
        from tritonbuild.events import Finished
        from tritonbuild.images.built import built, shipped
        from tritonbuild.images.load import load
        from tritonbuild.images.names import check_names
        from tritonbuild.label import Pattern

        chosen = [Pattern.parse(pattern, this.package) for pattern in patterns]
        wanted = platform_of(platform)
        check_names(to)
        with this.session() as session, built(session, chosen, locked=locked) as (report, images):
            for image in shipped(images, to):
                report.metrics.bytes_pushed += load(session, image, wanted, to)
        return Finished(report.exit_code, tuple(report.problems), report.metrics)

    call(body, as_json=as_json)
