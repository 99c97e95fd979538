"""`tritonbuild build`."""

from __future__ import annotations

from typing import Any, NoReturn

import click

from tritonbuild.cli.building import building_flags, run_build
from tritonbuild.cli.complete import PatternVerb, patterns


@click.command("build", cls=PatternVerb)
@patterns()
@building_flags
def command(patterns: tuple[str, ...], **flags: Any) -> NoReturn:
    """Build all that the patterns match, the inputs of verifications included.

    A pattern is a label (//pkg:name, :name), //pkg:all, //pkg/... or //...; one with a minus in
    front takes away: build //... -//pkg:name.
    """
    run_build("build", patterns, flags)
