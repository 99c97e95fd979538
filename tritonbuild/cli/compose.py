"""`tritonbuild compose`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

import click

from tritonbuild.cli.verb import Call, call, common
from tritonbuild.images.composition import IMAGES, NEWEST

if TYPE_CHECKING:
    from tritonbuild.events import Finished


@click.command("compose")
@click.option("--backend", "backends", multiple=True, help="A backend to take along; repeat it.")
@click.option("--repoagent", "repoagents", multiple=True, help="Likewise, a repository agent.")
@click.option("--cache", "caches", multiple=True, help="Likewise, a cache.")
@click.option(
    "--container-version", metavar="YY.MM", help=f"NVIDIA's release.  [default: {NEWEST}]"
)
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="NAME,REFERENCE",
    help=f"An image to take instead of NVIDIA's; NAME is {', '.join(IMAGES[:-1])}.",
)
@click.option(
    "--enable-gpu",
    type=click.BOOL,
    is_flag=False,
    flag_value=True,
    default=True,
    show_default=True,
    help="The images are those built for GPUs.",
)
@click.option("--output-name", default="tritonserver", show_default=True, help="Of the image.")
@click.option(
    "--work-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    show_default=True,
    help="Where files are written.",
)
@click.option("--skip-pull", is_flag=True, help="Take tags as they were meant the last time.")
@click.option("--platform", default="linux/amd64", show_default=True, help="Of the image.")
@click.option("--slim", multiple=True, help="What to leave out; `info --schema` has the names.")
@click.option(
    "--component-cache",
    default="",
    metavar="REGISTRY/REPOSITORY",
    help="Keeps what is cut, so that a release is cut once for everyone who shares it.",
)
@click.option(
    "--catalogue",
    type=click.File(),
    help="Adds to what is known of components besides what their files say.",
)
@click.option("--push", is_flag=True, help="Push it: --output-name says to where.")
@click.option("--load", is_flag=True, help="Load it into Docker.")
@click.option(
    "--layout", type=click.Path(path_type=Path), help="Write it to a new folder, an OCI layout."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done; no layer is read.")
@click.option("--emit-manifest", is_flag=True, help="Write triton.toml that says the same.")
@click.option(
    "--emit-dockerfile",
    is_flag=True,
    help="Write Dockerfile.compose, with which Docker makes the image.",
)
@click.option("--quiet", "-q", is_flag=True, help="Say no more than what goes wrong.")
@click.option("--verbose", "-v", is_flag=True, help="Say why each step ran.")
@common
def command(
    backends: tuple[str, ...],
    repoagents: tuple[str, ...],
    caches: tuple[str, ...],
    container_version: str | None,
    images: tuple[str, ...],
    enable_gpu: bool,
    output_name: str,
    work_dir: Path,
    skip_pull: bool,
    platform: str,
    slim: tuple[str, ...],
    component_cache: str,
    catalogue: TextIO | None,
    push: bool,
    load: bool,
    layout: Path | None,
    dry_run: bool,
    emit_manifest: bool,
    emit_dockerfile: bool,
    quiet: bool,
    verbose: bool,
    as_json: bool,
) -> NoReturn:
    """Make a smaller server image: the server, and only the backends, repository agents and caches
    that are named, cut out of a `full` image onto a `min` one. As compose.py does, but without
    Docker.

    Without --push, --load and --layout the image goes into Docker where that answers, else to a
    folder with its name.
    """
    if quiet and verbose:
        raise click.UsageError("--quiet and --verbose: one of the two")

    def body(this: Call) -> Finished:
        from tritonbuild.images.compose import Wanted, compose
        from tritonbuild.images.composition import Composition, images_of, target_name

        named = images_of(images)
        composition = Composition(
            target_name(output_name, (*backends, *repoagents, *caches)),
            backends,
            repoagents,
            caches,
            container_version or ("" if named else NEWEST),
            named,
            enable_gpu,
            platform,
            slim,
            component_cache,
            catalogue.read() if catalogue is not None else "",
        )
        wanted = Wanted(
            output_name, work_dir, push=push, load=load, layout=layout, skip_pull=skip_pull,
            dry_run=dry_run, emit_manifest=emit_manifest, emit_dockerfile=emit_dockerfile,
        )  # fmt: skip
        return compose(this.listener, this.cancellation, composition, wanted)

    call(body, as_json=as_json, explain=verbose, quiet=quiet)
