"""What `ldconfig` finds on a file system: folders with libraries, and the names that these go by.

ldconfig(8); the rules for names are those of glibc's elf/ldconfig.c.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import NamedTuple

from tritonbuild.oci import Invalid, Root

from .elf import Elf

CONFIG = "etc/ld.so.conf"
HWCAPS = "glibc-hwcaps"
_DEEPEST = 8
"""Files that include one another."""
_NAME = re.compile(r"(?:lib|ld-).*\.so.*|ld64\.so.*", re.DOTALL)


class Library(NamedTuple):
    name: str
    path: str
    """Where it is opened."""
    elf: Elf
    level: str = ""
    """What a CPU must be for it, such as `x86-64-v3`."""


def names(root: Root, folder: str) -> list[str]:
    """In a folder, which may be a link to one; none where links lead in a circle."""
    try:
        return root.names(root.canonical(f"{folder}/-").rpartition("/")[0])
    except Invalid:
        return []


def canonical(root: Root, path: str) -> str:
    try:
        return root.canonical(path)
    except Invalid:
        return path.strip("/")


def folders(root: Root, machines: Iterable[str]) -> dict[str, str]:
    """Where libraries are found that nothing else says the place of, in their order, each once:
    folder → the file that names it; "" for the system's own."""
    found: dict[str, tuple[str, str]] = {}
    for folder, by in (*_configured(root, CONFIG, 0), *((f, "") for f in system(root, machines))):
        found.setdefault(canonical(root, f"{folder}/-"), (folder, by))
    return dict(found.values())


def system(root: Root, machines: Iterable[str]) -> list[str]:
    """The folders that the dynamic linker itself knows: Debian's, or those of others."""
    triplets = [f"{machine}-linux-gnu" for machine in sorted(machines)]
    if any(names(root, f"usr/lib/{one}") or names(root, f"lib/{one}") for one in triplets):
        first = [f"{above}/{one}" for one in triplets for above in ("lib", "usr/lib")]
    else:
        first = ["lib64", "usr/lib64"]
    return [*first, "lib", "usr/lib"]


def _configured(root: Root, path: str, depth: int) -> Iterator[tuple[str, str]]:
    for line in (root.text(path) or "").splitlines():
        said = line.partition("#")[0].strip()
        first, *more = said.split() or [""]
        if first == "include" and depth < _DEEPEST:
            for pattern in more:
                for file in _included(root, posixpath.join(f"/{posixpath.dirname(path)}", pattern)):
                    yield from _configured(root, file, depth + 1)
        elif said.startswith("/"):
            yield said.partition("=")[0].strip("/"), path


def _included(root: Root, pattern: str) -> Iterator[str]:
    folder, _, wanted = pattern.strip("/").rpartition("/")
    for name in names(root, folder):
        if fnmatchcase(name, wanted) and not name.startswith("."):
            yield f"{folder}/{name}"


def libraries(root: Root, elves: Mapping[str, Elf], places: Iterable[str]) -> Iterator[Library]:
    """All of some folders, by folder and name; below each those for newer CPUs."""
    for folder in places:
        yield from _in_folder(root, elves, folder, "")
        for level in names(root, f"{folder}/{HWCAPS}"):
            yield from _in_folder(root, elves, f"{folder}/{HWCAPS}/{level}", level)


def _in_folder(root: Root, elves: Mapping[str, Elf], folder: str, level: str) -> Iterator[Library]:
    files: dict[tuple[str, str, int], tuple[bool, str, Elf]] = {}
    for file in names(root, folder):
        entry = root.find(f"{folder}/{file}") if _NAME.fullmatch(file) else None
        elf = elves.get(entry.path) if entry is not None else None
        if elf is None:
            continue
        own = root.get(f"{folder}/{file}")
        is_link = own is not None and own.kind == "link"
        key = (_goes_by(file, elf, is_link), elf.machine, elf.bits)
        old = files.get(key)
        if old is None or (not is_link, order(file)) > (not old[0], order(old[1])):
            files[key] = (is_link, file, elf)  # a file before a link, of several the newest
    for (name, _, _), (_, file, elf) in sorted(files.items()):
        # ldconfig makes links by these names; where somebody took one away, the file itself is said
        if not level and root.find(f"{folder}/{name}") is not None:
            file = name
        yield Library(name, f"{folder}/{file}", elf, level)


def _goes_by(file: str, elf: Elf, is_link: bool) -> str:
    """Its soname, but for the links that compilers take."""
    if not elf.soname or (is_link and file.endswith(".so") and elf.soname.startswith(file)):
        return file
    return elf.soname


def order(name: str) -> list[tuple[int, int]]:
    """To sort names by, as the cache does: runs of digits are numbers, and come after all else."""
    return [
        (1, int(part)) if part[0] in "0123456789" else (0, ord(part))
        for part in re.findall(r"[0-9]+|[^0-9]", name, re.DOTALL)
    ]
