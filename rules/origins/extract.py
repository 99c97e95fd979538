"""The `extract` tool: a zip or tar archive → a folder. What an archive says of names, links and
sizes is not to be trusted: whatever would not stay in the folder is refused, all at once.

It is read through once, in order, and each kind of archive tells its members alike.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from tritonbuild.rule import ActionError, Problem, ToolContext, tool

from ..paths import is_relative
from .members import Kind, Member, Unreadable, members, reading

ENDINGS = (".zip", ".tar", ".tgz", ".tbz2", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz")
"""Of the names of archives; the content tells what one is."""
_FREE, _RATIO = 1 << 30, 200
"""An archive may say that it holds so many bytes, or so many times its own size."""
_MOST = 1_000_000
"""Members."""
_REMEDY = "make the archive anew, or unpack it yourself and check what is in it"
_CHUNK = 1 << 20


@tool("extract", version=1)
def unpack_archive(ctx: ToolContext) -> None:
    archive, tree = ctx.path("archive"), ctx.scratch / "tree"
    name = ctx.parameters["name"]
    tree.mkdir()
    try:
        unpack(archive, tree, ctx.parameters["strip"], lambda: ctx.cancelled)
    except Hostile as hostile:
        found = f"{name} is refused: {hostile}"
        raise ActionError(Problem(found, "an archive of plain files", _REMEDY)) from None
    except Unreadable as error:
        found = f"{name} cannot be unpacked: {error}"
        expected = "a whole archive: zip, tar, tar.gz, tar.bz2 or tar.xz"
        raise ActionError(Problem(found, expected)) from None
    ctx.gather("tree", tree)


class Hostile(Exception):
    """An archive holds what no honest one does."""


def without_ending(name: str) -> str:
    """`a.tar.gz` → `a`."""
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if name.lower().endswith(ending) and len(name) > len(ending):
            return name[: -len(ending)]
    return name


def unpack(
    archive: Path, tree: Path, strip: int = 0, cancelled: Callable[[], bool] = lambda: False
) -> None:
    """Into an empty folder, without the first `strip` names of each path. Raises Hostile and
    Unreadable."""
    with reading():
        _Unpacking(archive, tree, strip, cancelled).run()


class _Unpacking:
    def __init__(self, archive: Path, tree: Path, strip: int, cancelled: Callable[[], bool]):
        self._archive = archive
        self._tree = tree
        self._strip = strip
        self._cancelled = cancelled
        self._allowed = max(_FREE, _RATIO * archive.stat().st_size)
        self._size = 0
        """Bytes of what was asked for so far, as the archive declares them."""
        self._kinds: dict[str, Kind] = {}
        """Path → what was made there; its parents too."""
        self._names: set[str] = set()
        self._links: dict[str, str] = {}

    def run(self) -> None:
        for count, member in enumerate(members(self._archive)):
            if self._cancelled():
                raise ActionError("stopped")
            if count >= _MOST:
                raise Hostile(f"it would unpack to more than {_MOST} files")
            self._add(member.size)
            self._place(member)
        if not self._kinds:
            raise Hostile("there is nothing in it" + (", once stripped" if self._strip else ""))
        self._link()

    def _add(self, size: int) -> None:
        self._size += size
        if self._size > self._allowed:
            raise Hostile(f"it would unpack to more than {self._allowed >> 20} MiB")

    def _place(self, member: Member) -> None:
        path = _path(member)
        if not path:
            return  # the folder itself
        if path in self._names and member.kind is not Kind.FOLDER:
            raise Hostile(f"it holds {path!r} twice")
        self._names.add(path)
        path = "/".join(path.split("/")[self._strip :])
        if not path:
            if member.kind is not Kind.FOLDER:
                raise Hostile(f"strip = {self._strip} leaves nothing of {member.name!r}")
            return
        for parent in [*Path(path).parents][-2::-1]:
            if self._kinds.setdefault(parent.as_posix(), Kind.FOLDER) is not Kind.FOLDER:
                raise Hostile(f"it holds {path!r} below what is no folder")
        if self._kinds.setdefault(path, member.kind) is not member.kind or (
            path in self._links or os.path.isfile(self._tree / path)
        ):
            raise Hostile(f"it holds {path!r} twice")
        target = self._tree / path
        (target if member.kind is Kind.FOLDER else target.parent).mkdir(parents=True, exist_ok=True)
        if member.kind is Kind.LINK:
            self._links[path] = member.target
        elif member.kind is Kind.SAME:
            self._same(member, target)
        elif member.kind is Kind.FILE:
            self._write(member, target)

    def _write(self, member: Member, target: Path) -> None:
        with member.open() as content, target.open("xb") as file:
            while chunk := content.read(_CHUNK):
                if self._cancelled():
                    raise ActionError("stopped")
                file.write(chunk)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)

    def _same(self, member: Member, target: Path) -> None:
        """A hard link, to what came before: a file of its own here, and counted as one."""
        other = "/".join(_relative(member.target).split("/")[self._strip :])
        if self._kinds.get(other) not in (Kind.FILE, Kind.SAME):
            raise Hostile(f"{member.name!r} is a link to {member.target!r}, which is no file of it")
        self._add((self._tree / other).stat().st_size)
        shutil.copy(self._tree / other, target)

    def _link(self) -> None:
        """Links come last, so that nothing is ever written through one."""
        for path, target in self._links.items():
            (self._tree / path).symlink_to(target)
        root = os.path.realpath(self._tree)
        for path, target in self._links.items():
            if os.path.isabs(target) or not os.path.realpath(self._tree / path).startswith(
                f"{root}{os.sep}"
            ):
                raise Hostile(f"{path!r} is a link to {target!r}, which leaves it")


def _path(member: Member) -> str:
    """Where a member goes, checked."""
    if member.kind is Kind.OTHER:
        raise Hostile(f"{member.name!r} is a device, a pipe or the like")
    if member.mode & (stat.S_ISUID | stat.S_ISGID):
        raise Hostile(f"{member.name!r} is setuid or setgid")
    return _relative(member.name)


def _relative(name: str) -> str:
    path = name
    while path.startswith("./"):
        path = path[2:].lstrip("/") if path[2:3] == "/" else path[2:]
    path = path.rstrip("/") if path != "/" else path
    if path in ("", "."):
        return ""
    if not is_relative(path) or "\\" in path:
        raise Hostile(f"it holds {name!r}, which is not a path below a folder")
    return path
