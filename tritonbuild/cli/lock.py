"""`tritonbuild lock`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import click

from tritonbuild.cli.complete import PatternVerb, patterns
from tritonbuild.cli.verb import Call, call, common, flag

if TYPE_CHECKING:
    from tritonbuild.events import Finished


@click.command("lock", cls=PatternVerb)
@patterns(required=False, metavar="[PATTERN]...")
@flag("--keep", is_flag=True, help="Keep the entries that are there; add what is missing.")
@common
def command(patterns: tuple[str, ...], keep: bool, as_json: bool) -> NoReturn:
    """Resolve what targets need anew (by default of //...) and write triton.lock.

    Where patterns are given, entries that their targets do not need stay as they are.
    """

    def body(this: Call) -> Finished:
        from tritonbuild.errors import ExitCode
        from tritonbuild.events import Finished, Note
        from tritonbuild.label import Pattern

        with this.session() as session, session.cache.in_use():
            chosen = [Pattern.parse(p, this.package) for p in patterns or ("//...",)]
            entries = session.lock(chosen, keep=keep, others=bool(patterns))
        this.listener(Note(f"triton.lock has {entries} entries"))
        return Finished(ExitCode.OK)

    call(body, as_json=as_json)
