"""Globs of files in a package."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from tritonbuild.workspace import MANIFEST, Workspace, normalise


def expand(workspace: Workspace, package: str, pattern: str) -> Iterator[str]:
    """The files of a package that a glob matches (`*`, `?`, `[…]`, `**`), sorted, relative to the
    root. Sub-packages keep their files to themselves. Raises UsageError."""
    names = normalise(package, pattern).split("/")
    fixed = next((i for i, name in enumerate(names) if is_glob(name)), len(names) - 1)
    deepest = None if "**" in names else len(names)

    def search(folder: str) -> Iterator[str]:
        for name, is_folder in workspace.names(folder):
            path = f"{folder}/{name}" if folder else name
            if workspace.ignored(path, is_folder):
                continue
            if not is_folder:
                if _matches(path.split("/"), names):
                    yield path
                continue
            may_match_below = deepest is None or path.count("/") + 1 < deepest
            if may_match_below and workspace.look(f"{path}/{MANIFEST}") is None:
                yield from search(path)

    yield from search("/".join(names[:fixed]))


def _matches(names: Sequence[str], pattern: Sequence[str]) -> bool:
    """Name by name; `**` stands for any number of them."""
    if not pattern:
        return not names
    if pattern[0] == "**":
        return _matches(names, pattern[1:]) or (bool(names) and _matches(names[1:], pattern))
    return bool(names) and fnmatchcase(names[0], pattern[0]) and _matches(names[1:], pattern[1:])


def is_glob(text: str) -> bool:
    return any(sign in text for sign in "*?[")
