"""What lies in a folder, and how a manifest refers to it so that a build takes all of it along."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tritonbuild.rule import ImportRequest, Problem, UsageError, is_pointer_file

DVC = ".dvc"

Reference = str | dict[str, str]
"""A path of the package; or, for a folder, path below it → path of the package."""


@dataclass(frozen=True)
class Listing:
    """A folder of the package and all below it."""

    request: ImportRequest
    package: str
    path: str
    """Relative to the package; empty for its own folder."""

    @property
    def absolute(self) -> Path:
        return self.request.root / self.from_root(self.path)

    def below(self, name: str) -> Listing:
        return Listing(self.request, self.package, self.at(name))

    def at(self, name: str) -> str:
        """The path of something in the folder, as the package calls it."""
        return f"{self.path}/{name}" if self.path else name

    def from_root(self, path: str) -> str:
        """A path of the package, as the workspace calls it."""
        return "/".join(part for part in (self.package, path) if part)

    @cached_property
    def names(self) -> list[tuple[str, bool]]:
        """Names and whether each is a folder, without what no build takes. Raises UsageError."""
        return [
            (name, is_folder)
            for name, is_folder in self.request.names(self.from_root(self.path))
            if not self.request.never_counts(self.from_root(self.at(name)), is_folder)
        ]

    def walk_left_out(self) -> Iterator[str]:
        """What lies below that no build takes, relative to the folder. Raises UsageError."""
        kept = dict(self.names)
        for name, is_folder in self.request.names(self.from_root(self.path)):
            if name not in kept:
                yield f"{name}/" if is_folder else name
            elif is_folder:
                yield from (f"{name}/{path}" for path in self.below(name).walk_left_out())

    @property
    def folders(self) -> list[str]:
        return [name for name, is_folder in self.names if is_folder]

    @property
    def files(self) -> list[str]:
        return [name for name, is_folder in self.names if not is_folder]

    def walk(self) -> Iterator[str]:
        """Every file below, relative to the folder. Raises UsageError."""
        for name, is_folder in self.names:
            if is_folder:
                yield from (f"{name}/{path}" for path in self.below(name).walk())
            else:
                yield name

    def reference(self) -> Reference:
        """The whole folder: by its name where a build takes all files along, else file by file."""
        files = list(self.walk())
        folder_counts = not self._ignored(self.path, True)
        if folder_counts and any(self._loses(path) for path in files):
            return {path: source(self.at(path)) for path in files}
        return source(self.path) if files else {}

    def pointers(self, name: str = "") -> Iterator[Problem]:
        """Files in the folder, or one of them, that only say where a file is kept. Raises
        UsageError."""
        for path in [name] if name else self.walk():
            file, place = self.absolute / path, self.from_root(self.at(path))
            if not file.exists() and file.with_name(f"{file.name}{DVC}").exists():
                found, remedy = f"DVC keeps {place}, it is not here", f"dvc pull {place}{DVC}"
            elif is_pointer_file(file):
                found = f"{place} is a Git LFS pointer, not the file itself"
                remedy = f"git lfs pull --include {place}"
            else:
                continue
            yield Problem(found, "the file's content", remedy, file=place)

    def _loses(self, path: str) -> bool:
        """Whether a build that takes the folder leaves a file behind."""
        names = path.split("/")
        return any(
            self._ignored(self.at("/".join(names[:count])), count < len(names))
            for count in range(1, len(names) + 1)
        )

    def _ignored(self, path: str, is_folder: bool) -> bool:
        return self.request.ignored(self.from_root(path), is_folder)


def source(path: str) -> str:
    """A path as a manifest writes it: not to be taken for a label. Raises UsageError for one that
    no manifest can say."""
    if "\\" in path or not path.isprintable():
        found = f"{path!r} has a name that no manifest can say"
        raise UsageError(Problem(found, "no backslash and nothing invisible", "rename it"))
    return f"./{path}" if path.startswith((":", "//")) else path


def try_to_read(problems: list[Problem]) -> _Gathering:
    """A block whose UsageErrors are added to the list, so that all are told at once; and what
    cannot be read."""
    return _Gathering(problems)


class _Gathering:
    def __init__(self, problems: list[Problem]):
        self._problems = problems

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, UsageError):
            self._problems += error.problems
        elif isinstance(error, OSError):
            found = f"{error.filename} cannot be read: {error.strerror}"
            self._problems.append(Problem(found, "a readable file"))
        else:
            return False
        return True
