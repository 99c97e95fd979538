"""tritonbuild-out: what a target made, where people find it. Written, never read back."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Protocol

from tritonbuild.atomic import make_folders, remove_tree
from tritonbuild.cache import Blobs
from tritonbuild.cache.trees import Missing, copy, link, materialise
from tritonbuild.digest import CHUNK, Digest
from tritonbuild.errors import ActionError, EnvironmentFailure, OutputsLocked, Problem, of_os_error
from tritonbuild.events import OutputFile
from tritonbuild.label import Label
from tritonbuild.merkle import Conflict, Entry, File, Folder, folder_of
from tritonbuild.oci.errors import Absent
from tritonbuild.oci.recipe import Recipe
from tritonbuild.sources import Sources
from tritonbuild.workspace import OUTPUTS, placed_look, stands

KIND = "placed"
LOCK = ".lock"
UNFINISHED = ".tmp-"
"""How the names begin of what is not yet in its place."""
TREE_MEDIA_TYPE = "application/vnd.build.bazel.remote.execution.v2.tree"
FILE_MEDIA_TYPE = "application/octet-stream"


class Records(Protocol):
    def record(self, kind: str, name: str) -> Any: ...
    def keep(self, kind: str, name: str, value: Any) -> None: ...


def folder_for(label: Label) -> str:
    """Where a target's outputs lie, relative to the root."""
    return "/".join(part for part in (OUTPUTS, label.package, "_", label.name) if part)


@contextmanager
def locked(
    root: Path, *, wait: bool, waits: Callable[[str], None] = lambda text: None
) -> Iterator[None]:
    """Holds the output tree of a workspace; leaves none behind that nothing was put into. `waits`
    is told when another build has it. Raises OutputsLocked."""
    folder = root / OUTPUTS
    with _lock(folder, waits if wait else None):
        for leftover in folder.glob(f"{UNFINISHED}*"):  # of a build that was killed
            with suppress(OSError):
                remove_tree(leftover)
        try:
            yield
        finally:
            with suppress(OSError):
                if os.listdir(folder) == [LOCK]:
                    (folder / LOCK).unlink()
                    folder.rmdir()


def _lock(folder: Path, waits: Callable[[str], None] | None) -> IO[str]:
    """Its lock, held until it is closed; None for `waits` is not to wait."""
    while True:
        try:
            make_folders(folder)
            lock = (folder / LOCK).open("a")
        except OSError as error:
            raise EnvironmentFailure(
                Problem(
                    f"{OUTPUTS} cannot be written: {error.strerror}", "a folder that can be written"
                )
            ) from None
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if waits is None:
                    raise
                waits(f"another build holds {OUTPUTS}; waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock.fileno()), os.stat(folder / LOCK)):
                    return lock
            lock.close()  # whoever held it has removed it
        except BlockingIOError:
            lock.close()
            raise OutputsLocked(
                Problem(
                    f"another build holds {OUTPUTS}",
                    "one build at a time",
                    "wait for it, or leave --no-wait out",
                )
            ) from None


def clear(root: Path) -> None:
    """Removes all that was placed; the lock stays, since it may be held."""
    for name in os.listdir(root / OUTPUTS):
        if name != LOCK:
            remove_tree(root / OUTPUTS / name)


class Outputs:
    """Puts targets' outputs into the output tree and keeps what is right already."""

    def __init__(self, root: Path, blobs: Blobs, sources: Sources, records: Records):
        self._root = root
        self._blobs = blobs
        self._sources = sources
        self._records = records

    def place(
        self,
        label: Label,
        entries: Mapping[str, Entry],
        recipes: Mapping[Digest, Recipe] = MappingProxyType({}),
    ) -> tuple[OutputFile, ...]:
        """Makes a target's output folder hold exactly these entries; files of `recipes` are put
        together. Raises ActionError, or EnvironmentFailure when the disk is full."""
        folder = folder_for(label)
        try:
            wanted = folder_of(entries)
        except Conflict as error:
            raise ActionError(Problem(f"{error} in its outputs", "one thing a path")) from None
        if not self._stands(folder, wanted):
            try:
                make_folders(self._root / OUTPUTS)
                # One name will do: a build holds the lock, and places one target after the other.
                unfinished = self._root / OUTPUTS / f"{UNFINISHED}entry"
                before = self._records.record(KIND, folder) or {"files": {}}
                whole = _Whole(self._root, before["files"], recipes)
                self._sync(wanted, self._root / folder, unfinished, whole)
            except OSError as error:
                raise of_os_error(error, f"{folder} cannot be written") from None
            self._records.keep(
                KIND,
                folder,
                {"digest": str(wanted.digest), "files": self._signatures(folder, wanted)},
            )
        return tuple(describe(f"{folder}/{path}", entry) for path, entry in sorted(entries.items()))

    def placed(self, label: Label) -> dict[str, list[int]]:
        """Every file that was placed for a target, by path from the root, and how it looked."""
        record = self._records.record(KIND, folder_for(label))
        return record["files"] if record else {}

    def _stands(self, folder: str, wanted: Folder) -> bool:
        record = self._records.record(KIND, folder)
        if record is None or record["digest"] != str(wanted.digest):
            return False
        return stands(self._root, record["files"])

    def _signatures(self, folder: str, wanted: Folder) -> dict[str, Any]:
        paths = [folder, *(f"{folder}/{path}" for path in _all_paths(wanted))]
        return {path: placed_look(self._root / path) for path in paths}

    def _sync(self, wanted: Folder, path: Path, temporary: Path, whole: _Whole) -> None:
        """Folders are kept, files are replaced at once, the rest goes."""
        if path.is_symlink() or not path.is_dir():
            remove_tree(path)
            make_folders(path)
        for name in os.listdir(path):
            if name not in wanted.entries:
                remove_tree(path / name)
        for name, entry in wanted.entries.items():
            target = path / name
            if isinstance(entry, Folder):
                self._sync(entry, target, temporary, whole)
                continue
            recipe = whole.recipe(entry)
            if recipe is not None and whole.stands(entry, target):
                continue
            large = isinstance(entry, File) and entry.digest.size >= CHUNK
            try:
                if recipe is None:
                    materialise(entry, temporary, self._blobs, link if large else copy)
                else:
                    _put_together(recipe, temporary, self._blobs)
                if target.is_dir() and not target.is_symlink():
                    remove_tree(target)
                temporary.rename(target)
            finally:  # rename leaves it where both are hard links to one file
                remove_tree(temporary)
            if isinstance(entry, File):
                self._sources.linked(entry.digest)


@dataclass(frozen=True)
class _Whole:
    """Files that are put together, and what is known of those that were."""

    root: Path
    before: Mapping[str, list[int] | None]
    """How every file looked when it was placed."""
    recipes: Mapping[Digest, Recipe]

    def recipe(self, entry: Entry) -> Recipe | None:
        return self.recipes.get(entry.digest) if isinstance(entry, File) else None

    def stands(self, entry: Entry, target: Path) -> bool:
        """Whether a file with the name of its content is there as it was placed."""
        look = self.before.get(target.relative_to(self.root).as_posix())
        named = isinstance(entry, File) and target.name == entry.digest.hash
        return named and look is not None and placed_look(target) == look


def _put_together(recipe: Recipe, target: Path, blobs: Blobs) -> None:
    failure: Absent | None = None
    try:
        recipe.write(target, blobs)
    except Absent as error:
        failure = error
    if gone := recipe.missing(blobs):
        raise Missing(gone)
    if failure:
        raise ActionError(failure.problem)
    target.chmod(0o444)


def describe(path: str, entry: Entry) -> OutputFile:
    if isinstance(entry, File):
        return OutputFile(path, entry.digest.hash, entry.digest.size, FILE_MEDIA_TYPE)
    assert isinstance(entry, Folder), "links are not declared outputs"
    digest = entry.tree_digest
    return OutputFile(path, digest.hash, digest.size, TREE_MEDIA_TYPE)


def _all_paths(folder: Folder, prefix: str = "") -> Iterator[str]:
    for name, entry in sorted(folder.entries.items()):
        yield f"{prefix}{name}"
        if isinstance(entry, Folder):
            yield from _all_paths(entry, f"{prefix}{name}/")
