"""`tritonbuild promote`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild.cli.verb import Call, call, common

if TYPE_CHECKING:
    from tritonbuild.events import Finished


@click.command("promote")
@click.argument("source")
@click.argument("destination")
@common
def command(source: str, destination: str, as_json: bool) -> NoReturn:
    """Copy an image of a registry to another name or registry, unchanged, with its attachments."""

    def body(this: Call) -> Finished:
        from tritonbuild.errors import ExitCode
        from tritonbuild.events import Finished, Metrics
        from tritonbuild.images.promote import promote

        with this.session() as session:
            moved = promote(session, source, destination)
        return Finished(ExitCode.OK, (), Metrics(bytes_pushed=moved))

    call(body, as_json=as_json)
