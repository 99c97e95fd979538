"""`tritonbuild clean`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild.cli.verb import Call, call, common, flag

if TYPE_CHECKING:
    from tritonbuild.events import Finished


@click.command("clean")
@click.option("--state", is_flag=True, help="Also forget what is known of files between builds.")
@click.option("--cache", is_flag=True, help="Also empty the shared cache, for every workspace.")
@flag("--wait/--no-wait", default=True, help="Wait for a build that holds tritonbuild-out.")
@common
def command(state: bool, cache: bool, wait: bool, as_json: bool) -> NoReturn:
    """Remove what was put into tritonbuild-out. The shared cache is kept unless told."""

    def body(this: Call) -> Finished:
        from tritonbuild import outputs
        from tritonbuild.atomic import remove_tree
        from tritonbuild.cache.disk import DiskCache
        from tritonbuild.cache.upkeep import collect
        from tritonbuild.errors import ExitCode
        from tritonbuild.events import Finished
        from tritonbuild.places import cache_root, state_folder

        with outputs.locked(this.root, wait=wait):
            outputs.clear(this.root)
        if state or cache:
            remove_tree(state_folder(cache_root(), this.root))
        if cache:
            collect(DiskCache(cache_root()), max_age=0)
        return Finished(ExitCode.OK)

    call(body, as_json=as_json)
