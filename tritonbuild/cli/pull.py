"""`tritonbuild pull`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild.cli.verb import Call, call, common, platform_of

if TYPE_CHECKING:
    from tritonbuild.events import Finished


@click.command("pull")
@click.argument("reference")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--platform", help="Of an index, only the image for it: linux/amd64.")
@common
def command(reference: str, folder: Path, platform: str | None, as_json: bool) -> NoReturn:
    """Bring an image from a registry into a new folder, as an OCI layout."""

    def body(this: Call) -> Finished:
        from tritonbuild.errors import ExitCode
        from tritonbuild.events import Finished, Metrics
        from tritonbuild.images.pull import pull

        with this.session() as session:
            wanted = platform_of(platform) if platform else None
            came = pull(session, reference, folder, wanted)
        return Finished(ExitCode.OK, (), Metrics(bytes_pulled=came))

    call(body, as_json=as_json)
