"""Completion of labels in shells."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import CompletionItem


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


patterns = click.argument(
    "patterns", nargs=-1, required=True, metavar="PATTERN...", shell_complete=complete_pattern
)
"""The argument of verbs that take targets."""
