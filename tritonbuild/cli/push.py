"""`tritonbuild push`."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild.cli.complete import complete_pattern
from tritonbuild.cli.verb import Call, call, common, flag
from tritonbuild.errors import Problem, UsageError

if TYPE_CHECKING:
    from tritonbuild.events import Finished


@click.command("push")
@click.argument("patterns", nargs=-1, required=True, shell_complete=complete_pattern)
@click.option(
    "--to",
    multiple=True,
    metavar="PLACE",
    help="Of images: a reference, instead of the tags they declare. Of models and repositories: "
    "s3://BUCKET/PREFIX/, gs://BUCKET/PREFIX/, az://ACCOUNT/CONTAINER/PREFIX/, "
    "oci://HOST/REPOSITORY:TAG or a folder.",
)
@click.option(
    "--form",
    default="",
    metavar="FORM",
    help="Of models in a registry: modelpack (the default), modelcar or modelcar-sidecar.",
)
@click.option(
    "--delete",
    is_flag=True,
    help="Remove from the place what is in these models' folders and they do not have any more.",
)
@flag("--locked", is_flag=True, help="Fail when triton.lock lacks an entry.")
@common
def command(
    patterns: tuple[str, ...],
    to: tuple[str, ...],
    form: str,
    delete: bool,
    locked: bool,
    as_json: bool,
) -> NoReturn:
    """Build images and push them to registries, moving only what is not there; or models and
    repositories, to registries, and to object stores and folders that a server loads them from."""

    def body(this: Call) -> Finished:
        from tritonbuild.events import Finished
        from tritonbuild.images.built import built, shipped
        from tritonbuild.images.push import push
        from tritonbuild.label import Pattern
        from tritonbuild.ship import ship, without_images

        chosen = [Pattern.parse(pattern, this.package) for pattern in patterns]
        with this.session() as session:
            others = without_images(session, chosen, to)
            if others:
                places = [_place(text) for text in to]
                report = ship(session, others, places, form=form, delete=delete, locked=locked)
            else:
                _check_images(to, form)
                with built(session, chosen, locked=locked) as (report, images):
                    for image in shipped(images, to):
                        report.metrics.bytes_pushed += push(session, image, to)
        return Finished(report.exit_code, tuple(report.problems), report.metrics)

    call(body, as_json=as_json)


def _check_images(to: Sequence[str], form: str) -> None:
    from tritonbuild.images.names import check_names

    if form:
        found, remedy = f"--form {form} with an image", "say form = … in its manifest"
        raise UsageError(Problem(found, "it with models only", remedy))
    check_names(to)


def _place(text: str) -> str:
    """An address, or the absolute path of a folder."""
    if "://" in text:
        return text
    first, slash, _ = text.partition("/")
    like_host = first == "localhost" or re.search(r"\w[.:]", first)
    if slash and like_host:
        found = f"{text} may be a registry or a folder"
        remedy = f"`oci://{text}` for a registry, `./{text}` for a folder"
        raise UsageError(Problem(found, "an address or a folder", remedy))
    return os.path.abspath(text)
