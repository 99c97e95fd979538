"""`tritonbuild cache`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild.cli.display import say
from tritonbuild.cli.verb import Call, call, common, flag

if TYPE_CHECKING:
    from tritonbuild.events import Finished

DAY = 24 * 3600


@click.group("cache")
@click.pass_context
def command(context: click.Context) -> None:
    """Look after the cache that workspaces share."""
    flags = context.default_map or {}
    context.default_map = {name: {**flags, **flags.get(name, {})} for name in command.commands}


@command.command("stat")
@common
def stat(as_json: bool) -> NoReturn:
    """Say how much the cache holds."""

    def body(this: Call) -> Finished:
        from tritonbuild.cache.disk import DiskCache
        from tritonbuild.cache.upkeep import usage
        from tritonbuild.errors import ExitCode
        from tritonbuild.events import Finished
        from tritonbuild.places import cache_root

        totals = usage(DiskCache(cache_root()))
        if as_json:
            sizes = {kind: {"count": u.count, "bytes": u.size} for kind, u in totals.items()}
            say(json.dumps({"event": "cache", **sizes}))
        else:
            say(f"{cache_root()}")
            for kind, total in totals.items():
                say(f"{kind:8} {total.count:>9,}  {total.size / 1e6:>12,.1f} MB")
        return Finished(ExitCode.OK)

    call(body, as_json=as_json)


@command.command("verify")
@click.option("--sources", is_flag=True, help="Also hash the workspace's files again.")
@common
def verify(sources: bool, as_json: bool) -> NoReturn:
    """Hash everything again; what is damaged is named and removed (exit 1 then)."""

    def body(this: Call) -> Finished:
        from tritonbuild.cache import upkeep
        from tritonbuild.cache.disk import DiskCache
        from tritonbuild.errors import ExitCode, Problem
        from tritonbuild.events import Finished
        from tritonbuild.places import cache_root

        damaged = upkeep.verify(DiskCache(cache_root()))
        if sources:
            with this.session() as session:
                damaged += upkeep.verify_sources(session.root, session.state)
        problems = tuple(map(Problem, damaged))
        return Finished(ExitCode.BUILD_FAILED if problems else ExitCode.OK, problems)

    call(body, as_json=as_json)


@command.command("gc")
@flag("--max-age", type=float, default=30.0, help="Keep results used in the last so many days.")
@common
def gc(max_age: float, as_json: bool) -> NoReturn:
    """Remove results that were not used for long, and what only they needed."""

    def body(this: Call) -> Finished:
        from tritonbuild.cache.disk import DiskCache
        from tritonbuild.cache.upkeep import collect
        from tritonbuild.errors import ExitCode
        from tritonbuild.events import Finished, Note
        from tritonbuild.images.compose_place import forget
        from tritonbuild.places import cache_root

        forget(max_age * DAY)
        removed = collect(DiskCache(cache_root()), max_age * DAY)
        this.listener(Note(f"removed {removed.count:,} blobs, {removed.size / 1e6:,.1f} MB"))
        return Finished(ExitCode.OK)

    call(body, as_json=as_json)
