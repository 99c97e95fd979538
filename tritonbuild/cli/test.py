"""`tritonbuild test`."""

from __future__ import annotations

from typing import Any, NoReturn

import click

from tritonbuild.cli.building import building_flags, run_build
from tritonbuild.cli.complete import PatternVerb, patterns
from tritonbuild.cli.verb import flag


@click.command("test", cls=PatternVerb)
@patterns()
@flag("--kind", multiple=True, help="Only verifications of this kind.")
@flag("--filter", default="", help="Only verifications whose label has this in it.")
@flag("--cached-results/--no-cached-results", default=True, help="Take passes from the cache.")
@flag("--runs", type=click.IntRange(1), default=1, help="Run each verification so often.")
@flag("--junit", type=click.Path(dir_okay=False), help="Write a JUnit XML report of the run.")
@building_flags
def command(patterns: tuple[str, ...], **flags: Any) -> NoReturn:
    """Build what the patterns match and run the verifications among it.

    A model or repository named by its own label brings the verifications of its package that
    target it. A pattern with a minus in front takes away: test //... -//pkg:name.
    """
    run_build("test", patterns, flags)
