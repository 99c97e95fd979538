"""What a step has left behind: its log's end, and its outputs, which go into a store. They are
regular files and folders, with links inside of them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from tritonbuild.cache import ContentStore
from tritonbuild.errors import ActionError, Problem
from tritonbuild.executors import Work
from tritonbuild.merkle import Entry, File, Folder, Symlink

LOG_TAIL = 4000
"""Bytes of a failed step's log that its error shows."""
_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def tail(log: Path) -> str:
    """The end of a log, as an error shows it."""
    with log.open("rb") as stream:
        stream.seek(max(0, log.stat().st_size - LOG_TAIL))
        return stream.read().decode(errors="replace").strip()


def take(root: Path, path: str, store: ContentStore) -> Entry | None:
    """Moves what lies at a path below a folder into a store; None when nothing is there. Raises
    ActionError when a link is on the way, which may lead to what is not the step's, and when it
    is, or holds, what cannot be an output."""
    place = root
    for name in path.split("/")[:-1]:
        place /= name
        if place.is_symlink():
            found = f"output {path} lies behind the link {place.relative_to(root)}"
            raise _refused(found, "a folder", _COPY)
    return _entry(root / path, path, store) if os.path.lexists(root / path) else None


def declared(work: Work, find: Callable[[str], Entry | None]) -> dict[str, Entry]:
    """Each declared output of an action. Raises ActionError when one is not there."""
    outputs: dict[str, Entry] = {}
    missing = []
    for path in work.action.outputs:
        match find(path):
            case None:
                missing.append(path)
            case Symlink(target):
                raise _refused(f"output {path} is a link to {target}", "a file or a folder", _COPY)
            case entry:
                outputs[path] = entry
    if missing:
        raise _refused(
            f"did not make {', '.join(missing)}",
            "every declared output",
            "write it, or take it from the declaration",
        )
    return outputs


_COPY = "copy what it leads to; links may lie inside of an output folder"


def _entry(place: Path, path: str, store: ContentStore) -> Entry:
    mode = place.lstat().st_mode
    if stat.S_ISLNK(mode):
        return Symlink(_text(os.readlink(place), f"the target of the link {path}"))
    if stat.S_ISDIR(mode):
        return Folder(
            {
                _text(name, f"a name in {path}"): _entry(place / name, f"{path}/{name}", store)
                for name in os.listdir(place)
            }
        )
    if not stat.S_ISREG(mode):
        found = f"output {path} is {_SPECIAL[stat.S_IFMT(mode)]}"
        raise _refused(found, "files, folders and links", "remove it before the step ends")
    return File(store.adopt(place), bool(mode & 0o100))


def _text(name: str, what: str) -> str:
    """The name itself. Python shows bytes that are not UTF-8 as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        found = f"{what} is not UTF-8: {os.fsencode(name)!r}"
        raise _refused(found, "names that every machine can read", "rename it") from None
    return name


def _refused(found: str, expected: str, remedy: str) -> ActionError:
    return ActionError(Problem(found, expected, remedy))
