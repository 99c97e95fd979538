"""Patterns on the command line: how they are told from flags, and their completion in shells."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from tritonbuild.cli.verb import F

NEGATIVE = ("-//", "-:")
"""How patterns begin that take away. No flag does."""
_HIDDEN = "\0"
"""Stands before them while click reads flags; no argument has one."""


def complete_pattern(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Packages, and the targets of the one that is named; nothing where a manifest is broken."""
    from tritonbuild.errors import TritonbuildError
    from tritonbuild.manifest import Manifests
    from tritonbuild.registry import installed
    from tritonbuild.workspace import Workspace, find_root

    try:
        root = find_root(Path.cwd())
        manifests = Manifests(Workspace(root), installed())
        package, colon, _ = incomplete.removeprefix("//").partition(":")
        if not colon:
            found = [f"//{path}:" for path in manifests.workspace.packages("")]
        else:
            below = Path.cwd().resolve().relative_to(root).as_posix().removeprefix(".")
            prefix = f"//{package}" if incomplete.startswith("//") else ""
            there = manifests.package(package if prefix else below)
            names = [*there.declarations, *there.variants, "all"] if there else []
            found = [f"{prefix}:{name}" for name in names]
    except TritonbuildError:
        return []
    return [CompletionItem(text) for text in found if text.startswith(incomplete)]


class PatternVerb(click.Command):
    """A verb whose patterns may begin with a minus."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        hidden = [_HIDDEN + arg if arg.startswith(NEGATIVE) else arg for arg in args]
        return super().parse_args(ctx, hidden)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        if not incomplete.startswith(NEGATIVE):
            return super().shell_complete(ctx, incomplete)
        found = complete_pattern(ctx, self.params[0], incomplete[1:])
        return [CompletionItem(f"-{item.value}") for item in found]


def _shown(text: str) -> str:
    return text.removeprefix(_HIDDEN)


def patterns(*, required: bool = True, metavar: str = "PATTERN...") -> Callable[[F], F]:
    """The argument of a PatternVerb."""
    return click.argument(
        "patterns",
        nargs=-1,
        type=_shown,
        required=required,
        metavar=metavar,
        shell_complete=complete_pattern,
    )
