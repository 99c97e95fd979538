"""The workspace: where it begins, which of its files count, and the one view through which
everything else looks at them.

Every look is recorded, so that a later build can tell by `stat` alone whether it would see the
same again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tritonbuild.errors import Problem, UsageError, unreadable

if TYPE_CHECKING:
    import pathspec

MANIFEST = "triton.toml"
OUTPUTS = "tritonbuild-out"
TRACKED = ".dvc"
"""How the file is called, beside one that is not there, that says what DVC keeps of it."""
ALWAYS_IGNORED = (
    ".git/",
    ".hg/",
    ".svn/",
    ".dvc/",
    ".DS_Store",
    ".ipynb_checkpoints/",
    "__pycache__/",
    "*.py[co]",
    f"/{OUTPUTS}",
)


Ignored = Callable[[str, bool], bool]
"""Whether a path (and is it a folder?) does not count."""


class Signature(NamedTuple):
    """What `stat` tells of a file. Equal signatures mean equal content, but for writes that fall
    into the same clock tick; see `settled`."""

    mode: int
    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Signature:
        return cls(
            status.st_mode,
            status.st_dev,
            status.st_ino,
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
        )

    @property
    def is_folder(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def executable(self) -> bool:
        return bool(self.mode & stat.S_IXUSR)

    def settled(self, now_ns: int) -> bool:
        """Whether its times lie far enough back that a later write must change them."""
        return max(self.mtime_ns, self.ctime_ns) < now_ns - 1_000_000_000


def placed_look(path: Path) -> list[int] | None:
    """How an output looks. Without ctime: another hard link to the same file moves it."""
    try:
        return list(Signature.of(os.lstat(path))._replace(ctime_ns=0))
    except OSError:
        return None


def stands(root: Path, placed: Mapping[str, Sequence[int]]) -> bool:
    """Whether all outputs that were placed are still there and untouched."""
    return all(placed_look(root / path) == look for path, look in placed.items())


def find_root(start: Path) -> Path:
    """The nearest folder at or above `start` whose manifest has `[workspace]`, or UsageError."""
    folder = start.resolve()
    for candidate in (folder, *folder.parents):
        manifest = candidate / MANIFEST
        try:
            if manifest.is_file() and declares_workspace(manifest.read_bytes()):
                return candidate
        except OSError as error:
            raise unreadable(os.path.relpath(manifest, start), error) from None
    raise UsageError(
        Problem(
            f"no {MANIFEST} with [workspace] in {folder} or above it",
            "a workspace",
            f"write {MANIFEST} with a [workspace] table at the top of the repository, or let "
            "`tritonbuild init FOLDER` write it for models that are there",
        )
    )


def declares_workspace(content: bytes) -> bool:
    """Whether a manifest begins a workspace; broken TOML is judged by its lines."""
    lines = (line.partition(b"#")[0] for line in content.splitlines())
    if not any(b"".join(line.split()) == b"[workspace]" for line in lines):
        return False
    import tomli

    try:
        return "workspace" in tomli.loads(content.decode())  # and not in a string of many lines
    except ValueError:
        return True


class Workspace:
    """A view of the files below a root. Paths are relative to it, `/` between names."""

    def __init__(self, root: Path):
        self.root = root
        self.seen: dict[str, Signature | None] = {}
        """Every path that was looked at → what it was the first time; None where there was
        nothing. What is built is built of that."""
        self._inside: set[str] = {""}
        self._ignore_patterns: tuple[str, ...] = ()

    def absolute(self, path: str) -> Path:
        return self.root / path

    def look(self, path: str) -> Signature | None:
        """What lies at a path, links followed; None if nothing. Raises UsageError when the path
        leads out of the workspace, or cannot be looked at."""
        self._check_inside(path)
        try:
            signature = Signature.of(os.stat(os.path.join(self.root, path)))
        except (FileNotFoundError, NotADirectoryError):
            signature = None
        except OSError as error:
            raise unreadable(path, error) from None
        self.seen.setdefault(path, signature)
        return signature

    def unchanged(self, path: str) -> bool:
        """Whether a path is as it was when it was first looked at, if ever."""
        try:
            now = Signature.of(os.stat(os.path.join(self.root, path)))
        except OSError:
            now = None
        return now == self.seen.get(path, now)

    def read(self, path: str) -> bytes | None:
        """A small file's content; None if there is none."""
        if self.look(path) is None:
            return None
        try:
            return self.absolute(path).read_bytes()
        except OSError as error:
            raise unreadable(path, error) from None

    def names(self, path: str) -> list[tuple[str, bool]]:
        """The names in a folder and whether each is a folder itself, sorted; empty for a file.
        What DVC tracks counts as there."""
        signature = self.look(path)
        if signature is None or not signature.is_folder:
            return []
        try:
            with os.scandir(os.path.join(self.root, path)) as entries:
                found = {entry.name: entry.is_dir() for entry in entries}
        except OSError as error:
            raise unreadable(path, error) from None
        tracked = [name for name in found if name.endswith(TRACKED) and name != TRACKED]
        if tracked and self._has_dvc(path):
            for name in tracked:
                found.setdefault(name.removesuffix(TRACKED), False)
        return sorted(found.items())

    def tracked(self, path: str) -> Signature | None:
        """What lies beside a file that is not there and says what DVC keeps of it; else None."""
        signature = self.look(f"{path}{TRACKED}")
        if signature is None or not signature.is_file or not self._has_dvc(path):
            return None
        return signature

    def _has_dvc(self, path: str) -> bool:
        """Whether a path lies in a repository of DVC's, so that `.dvc` files are its."""
        there = self.absolute(path)
        return any((folder / TRACKED).is_dir() for folder in (there, *there.parents))

    def walk(self, path: str, ignored: Ignored) -> Iterator[str]:
        """Every file below a folder, sorted, without those that `ignored` names."""
        for name, is_folder in self.names(path):
            below = f"{path}/{name}" if path else name
            if ignored(below, is_folder):
                continue
            if is_folder:
                yield from self.walk(below, ignored)
            else:
                yield below

    def packages(self, below: str) -> Iterator[str]:
        """Every folder at or below one that holds a manifest, sorted. Links are not followed: a
        package has one name."""
        names = self.names(below)
        if (MANIFEST, False) in names:
            yield below
        for name, is_folder in names:
            path = f"{below}/{name}" if below else name
            if is_folder and not self.ignored(path, True) and not self.absolute(path).is_symlink():
                yield from self.packages(path)

    def ignore(self, patterns: tuple[str, ...]) -> None:
        """Adds the workspace's own ignore patterns; they come last, so `!` re-includes."""
        self._ignore_patterns = patterns
        self.__dict__.pop("_ignores", None)

    def ignored(self, path: str, is_folder: bool) -> bool:
        """By the rules of .gitignore: built in, then the root's .gitignore, then the manifest's."""
        return bool(self._ignores.match_file(f"{path}/" if is_folder else path))

    @cached_property
    def _ignores(self) -> pathspec.GitIgnoreSpec:
        content = self.read(".gitignore") or b""
        lines = content.decode(errors="replace").splitlines()
        return ignore_spec((*ALWAYS_IGNORED, *lines, *self._ignore_patterns))

    def _check_inside(self, path: str) -> None:
        """Refuses links that lead out, or to a folder that holds them, and names that are no text;
        each folder is checked once."""
        if path in self._inside:
            return
        try:
            path.encode()
        except UnicodeEncodeError:
            problem = Problem(
                f"{path!r} is not UTF-8", "a name in UTF-8", "rename it, or ignore it"
            )
            raise UsageError(problem) from None
        parent, _, name = path.rpartition("/")
        if name in ("..", ".") or path.startswith("/"):
            raise leaves(path)
        self._check_inside(parent)
        full = os.path.join(self.root, path)
        if os.path.islink(full):
            target = os.path.realpath(full)
            if target != str(self.root) and not target.startswith(f"{self.root}/"):
                raise leads_out(path, os.readlink(full))
            if f"{os.path.realpath(os.path.dirname(full))}/".startswith(f"{target}/"):
                found = f"{path} is a link to a folder that holds it"
                raise UsageError(Problem(found, "a file or folder", "remove it, or ignore it"))
        elif os.path.isdir(full):
            self._inside.add(path)


def always_ignored(path: str, is_folder: bool) -> bool:
    """Whether nobody wants it, even in a folder that is named explicitly."""
    return bool(ignore_spec(ALWAYS_IGNORED).match_file(f"{path}/" if is_folder else path))


@lru_cache
def ignore_spec(lines: tuple[str, ...]) -> pathspec.GitIgnoreSpec:
    import pathspec

    return pathspec.GitIgnoreSpec.from_lines(lines)


def normalise(package: str, text: str) -> str:
    """A path as a manifest writes it, relative to the package → relative to the root.
    Raises UsageError when it leaves the package.
    """
    if text.startswith("/") or "\\" in text or "\0" in text:
        raise leaves(text)
    names = [name for name in text.split("/") if name not in ("", ".")]
    if ".." in names or not names:
        raise leaves(text)
    return "/".join((package, *names) if package else names)


def leaves(path: str) -> UsageError:
    return UsageError(
        Problem(
            f"{path!r} leaves the workspace",
            "a relative path below the manifest's folder, without '..'",
            "copy or move the file into the workspace",
        )
    )


def leads_out(path: str, target: str) -> UsageError:
    found = f"{path!r} leaves the workspace (a link to {target})"
    remedy = "put a copy of what it leads to in its place"
    return UsageError(Problem(found, "a file or folder of the workspace", remedy))
