"""Bringing over what is there already: folders become packages of a workspace, by the manifests
that importers write for them. All of it or nothing; nothing that exists is touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tritonbuild.atomic import make_folders, temporary_file
from tritonbuild.errors import Problem, UsageError, of_os_error
from tritonbuild.label import check_package
from tritonbuild.manifest import Manifests, parse
from tritonbuild.registry import Registry
from tritonbuild.rule import Imported, ImportRequest
from tritonbuild.workspace import MANIFEST, Workspace, always_ignored, find_root

BROADER = "let the workspace begin above it: --root FOLDER"


@dataclass(frozen=True)
class Place:
    """Where folders are brought over to."""

    root: Path
    is_new: bool
    """It has no manifest yet."""
    packages: tuple[str, ...]
    """The folders, relative to the root."""


def find_place(folders: Sequence[Path], root: Path | None, here: Path) -> Place:
    """The workspace around the folders, else `root`; else the current folder where it is above
    all of them, else the folder that holds all. Raises UsageError."""
    resolved = tuple(dict.fromkeys(_folder(folder) for folder in folders))
    if root is not None:
        top = _folder(root)
    else:
        around = {_around(folder) for folder in resolved}
        if len(around) > 1:
            listed = ", ".join(sorted(str(one or "none") for one in around))
            found = f"the folders belong to different workspaces: {listed}"
            raise UsageError(Problem(found, "one workspace", "name them one at a time"))
        (known,) = around
        top = known or _top(resolved, here.resolve())
    is_new = not (top / MANIFEST).exists()
    if is_new and top in (Path(top.anchor), *Path.home().resolve().parents):
        found = f"a workspace would begin in {top}, which holds home folders"
        remedy = "let it begin further down: --root FOLDER"
        raise UsageError(Problem(found, "a folder of a project", remedy))
    packages: list[str] = []
    problems: list[Problem] = []
    for folder in resolved:
        try:
            packages.append(_package(top, folder))
        except UsageError as error:
            problems += error.problems
    for outer, inner in ((a, b) for a in packages for b in packages if b.startswith(f"{a}/")):
        problems.append(Problem(f"{inner} lies in {outer}", "folders apart", "name one of them"))
    if problems:
        raise UsageError(*problems)
    return Place(top, is_new, tuple(packages))


def _folder(path: Path) -> Path:
    try:
        resolved = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:  # a loop of links, before Python 3.13
        reason = error.strerror if isinstance(error, OSError) else "a link that leads to itself"
        raise UsageError(Problem(f"{path} cannot be read: {reason}", "a folder")) from None
    if not resolved.is_dir():
        raise UsageError(Problem(f"{path} is not a folder", "a folder of models"))
    return resolved


def _around(folder: Path) -> Path | None:
    try:
        return find_root(folder)
    except UsageError:
        return None


def _top(folders: Sequence[Path], here: Path) -> Path:
    above_all = all(here in folder.parents for folder in folders)
    if above_all and here not in (Path.home(), Path(here.anchor)):
        return here
    return Path(os.path.commonpath(folders))


def _package(root: Path, folder: Path) -> str:
    if folder != root and root not in folder.parents:
        found = f"{folder} does not lie in the workspace {root}"
        raise UsageError(Problem(found, "a folder of the workspace", BROADER))
    package = folder.relative_to(root).as_posix()
    if package == ".":
        return ""
    try:
        return check_package(package)
    except UsageError as error:
        remedy = f"rename the folder, or let the workspace begin there: --root {folder}"
        raise UsageError(replace(error.problems[0], remedy=remedy)) from None


def collect(place: Place, registry: Registry, options: Mapping[str, str]) -> Imported:
    """What all importers would write, checked against what is there. Raises UsageError."""
    workspace = Workspace(place.root)
    manifest: Mapping[str, Any] | None = None
    if not place.is_new:
        Manifests(workspace, registry)  # which reads what the root ignores, or says what is wrong
        manifest = parse(MANIFEST, workspace.read(MANIFEST) or b"")
    _refuse(_unfit(workspace, place.packages))
    looked = _Looked(workspace)
    request = ImportRequest(
        place.root,
        place.packages,
        manifest,
        looked.names,
        workspace.ignored,
        always_ignored,
        options,
    )
    files: dict[str, bytes] = {}
    findings: list[Problem] = []
    for importer in registry.importers.values():
        with looked:
            imported = importer.function(request)
        files |= imported.files
        findings += imported.findings
    _refuse(_taken(place.root, path) for path in sorted(files) if _exists(place.root / path))
    return Imported(files, tuple(findings))


class _Looked:
    """What importers see of the workspace. As a block: what in it cannot be part of a workspace is
    told after it, together with what an importer finds broken."""

    def __init__(self, workspace: Workspace):
        self._workspace = workspace
        self._problems: dict[Problem, None] = {}

    def names(self, folder: str) -> Sequence[tuple[str, bool]]:
        """Those of a folder. Raises UsageError for the folder itself."""
        self._look(folder)
        found = self._workspace.names(folder)
        for name, is_folder in found:
            path = f"{folder}/{name}" if folder else name
            if not always_ignored(path, is_folder):
                with suppress(UsageError):
                    self._look(path)
        return found

    def _look(self, path: str) -> None:
        try:
            self._workspace.look(path)
        except UsageError as error:
            problems = [problem.at(file=path) for problem in error.problems]
            self._problems |= dict.fromkeys(problems)
            raise UsageError(*problems) from None

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, UsageError):
            others = error.problems if error is not None else ()
            _refuse(iter(dict.fromkeys((*self._problems, *others))))


def _unfit(workspace: Workspace, packages: Sequence[str]) -> Iterator[Problem]:
    """What keeps folders from becoming packages."""
    for package in packages:
        file = f"{package}/{MANIFEST}" if package else MANIFEST
        if _exists(workspace.absolute(file)):
            yield _taken(workspace.root, file)
        names = package.split("/") if package else []
        above = ["/".join(names[: count + 1]) for count in range(len(names))]
        for folder in above:
            if workspace.ignored(folder, True):
                found = f"{folder} is ignored, by .gitignore or the root's `ignore`"
                remedy = f'take it back in: [workspace] ignore = ["!/{folder}/"]'
                yield Problem(found, "a folder that counts", remedy, file=folder)


def _taken(root: Path, path: str) -> Problem:
    remedy = "move it away, or edit it: nothing is overwritten"
    return Problem("it exists already", "nothing at that place", remedy, file=path)


def _exists(path: Path) -> bool:
    return os.path.lexists(path)


def _refuse(problems: Iterator[Problem]) -> None:
    if found := tuple(problems):
        raise UsageError(*found)


def write(root: Path, files: Mapping[str, bytes]) -> None:
    """Writes all files, each whole, the root's manifest last; when one cannot be written, those
    before it are taken away again. Raises UsageError where something exists by now."""
    done: list[Path] = []
    try:
        for path in sorted(files, key=lambda path: (path == MANIFEST, path)):
            target = root / path
            done += [above for above in target.parents if not above.exists()][::-1]
            make_folders(target.parent)
            with temporary_file(target.parent) as temporary:
                temporary.write_bytes(files[path])
                temporary.chmod(0o644)
                _place(temporary, target)
            done.append(target)
    except BaseException as error:
        for made in reversed(done):
            with suppress(OSError):
                made.rmdir() if made.is_dir() else made.unlink()
        if isinstance(error, FileExistsError):
            taken = os.path.relpath(error.filename2 or error.filename, root)
            raise UsageError(_taken(root, taken)) from None
        if isinstance(error, OSError):
            raise of_os_error(error, f"{path} cannot be written") from None
        raise


def _place(temporary: Path, target: Path) -> None:
    """Gives a file its name, unless it is taken."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        os.close(os.open(target, os.O_CREAT | os.O_EXCL))
        temporary.replace(target)
