"""The file system that layers make together, from their listings alone."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass

from tritonbuild.oci.errors import Invalid
from tritonbuild.oci.listing import Listed, Listing

_HOPS = 40
"""Links that the kernel follows in one path."""


@dataclass(frozen=True)
class Clash:
    """A layer would replace what lies below it."""

    path: str
    below: Listed
    above: Listed


class Root:
    """Layers are put on it from the lowest up."""

    def __init__(self) -> None:
        self._entries: dict[str, Listed] = {}
        self._texts: dict[str, str] = {}
        self._below: dict[str, set[str]] = {}
        """Folder → names in it."""
        self._folders: dict[str, str] = {}
        """Folder as it is said → where it is."""
        self._passed: set[str] = set()
        """Paths on the ways to those that are no links."""

    def get(self, path: str) -> Listed | None:
        """What lies at a path, links on its way followed, one at its end not. A hard link is told
        as the file that it is."""
        try:
            return self._entries.get(self.canonical(path))
        except Invalid:
            return None

    def find(self, path: str) -> Listed | None:
        """What a path leads to, all links followed."""
        for _ in range(_HOPS):
            entry = self.get(path)
            if entry is None or entry.kind != "link":
                return entry
            path = posixpath.join(posixpath.dirname(f"/{entry.path}"), entry.target)
        return None

    def text(self, path: str) -> str | None:
        """The content of one of `listing.TEXTS`."""
        entry = self.find(path)
        return None if entry is None else self._texts.get(entry.path)

    def names(self, path: str) -> list[str]:
        """In a folder, sorted."""
        return sorted(self._below.get(self.canonical(path), ()))

    @property
    def entries(self) -> list[Listed]:
        """Everything that there is, sorted by path."""
        return [self._entries[path] for path in sorted(self._entries)]

    def canonical(self, path: str) -> str:
        """A path without links in its folders; `..` does not lead out. Its last name may be a
        link, or nothing. Raises Invalid for links in a circle."""
        folder, _, name = path.rpartition("/")
        if name in ("", ".", ".."):
            return self._walk(path)
        folder = self._folder(folder)
        return f"{folder}/{name}" if folder else name

    def _folder(self, path: str) -> str:
        """Where a folder is, with a link at its end followed too. Kept, for neighbours in a layer
        lie in the same folder, until links on the way change."""
        found = self._folders.get(path)
        if found is None:
            found = self._folders[path] = self._walk(path, whole=True)
        return found

    def _walk(self, path: str, *, whole: bool = False) -> str:
        """`whole`: its last name is followed too."""
        waiting = [name for name in reversed(path.split("/")) if name not in ("", ".")]
        here, hops = "", 0
        while waiting:
            name = waiting.pop()
            if name == "..":
                here = here.rpartition("/")[0]
                continue
            below = f"{here}/{name}" if here else name
            entry = self._entries.get(below)
            if entry is None or entry.kind != "link" or not (waiting or whole):
                here = below
                self._passed.add(below)
                continue
            hops += 1
            if hops > _HOPS:
                raise Invalid(f"links in a circle at /{below}")
            if entry.target.startswith("/"):
                here = ""
            waiting += [n for n in reversed(entry.target.split("/")) if n not in ("", ".")]
        return here

    def put(self, listing: Listing) -> list[Clash]:
        """Puts a layer on top; what it replaces with something else. Folders are merged, and the
        same content twice is no clash. Raises Invalid for a hard link to nothing."""
        clashes: list[Clash] = []
        for entry in listing.entries:
            if entry.kind == "whiteout":
                self._remove(self.canonical(entry.path))
            elif entry.kind == "opaque":
                for name in self.names(entry.path):
                    self._remove(f"{self.canonical(entry.path)}/{name}".lstrip("/"))
        for entry in listing.entries:
            if entry.kind in ("whiteout", "opaque"):
                continue
            path = self.canonical(entry.path)
            new = entry if path == entry.path else entry._replace(path=path)
            if entry.kind == "hardlink":
                real = self._entries.get(self.canonical(entry.target))
                if real is None:
                    raise Invalid(f"{entry.path} is a hard link to {entry.target}, which is not")
                new = real._replace(path=path)
                if real.path in self._texts:
                    self._texts[path] = self._texts[real.path]
            old = self._entries.get(path)
            if old is not None and _differ(old, new):
                clashes.append(Clash(path, old, new))
                if old.kind == "folder" and new.kind != "folder":
                    self._remove(path)
            self._add(path, new)
            if entry.path in listing.texts:
                self._texts[path] = listing.texts[entry.path]
        return clashes

    def _add(self, path: str, entry: Listed) -> None:
        if entry.kind == "link" and path in self._passed:
            self._forget_folders()
        self._forget_link(self._entries.get(path))
        self._entries[path] = entry
        while path:
            folder, _, name = path.rpartition("/")
            names = self._below.setdefault(folder, set())
            if name in names:
                return
            names.add(name)
            path = folder

    def _remove(self, path: str) -> None:
        for name in list(self._below.pop(path, ())):
            self._remove(f"{path}/{name}")
        self._forget_link(self._entries.pop(path, None))
        self._texts.pop(path, None)
        folder, _, name = path.rpartition("/")
        self._below.get(folder, set()).discard(name)

    def _forget_link(self, entry: Listed | None) -> None:
        if entry is not None and entry.kind == "link":
            self._forget_folders()

    def _forget_folders(self) -> None:
        self._folders.clear()
        self._passed.clear()


def _differ(old: Listed, new: Listed) -> bool:
    """Folders are compared too: a layer that gives one another mode or owner changes it."""
    return (old.kind, old.mode, old.uid, old.gid, old.digest, old.target) != (
        new.kind, new.mode, new.uid, new.gid, new.digest, new.target,
    )  # fmt: skip
