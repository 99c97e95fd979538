"""A folder as a value: names, content digests and executable bits, digested bottom-up the way
the Remote Execution API digests a Directory. Nothing here holds or moves content.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from tritonbuild import reapi
from tritonbuild.digest import Digest


@dataclass(frozen=True, slots=True)
class File:
    digest: Digest
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Symlink:
    target: str


class Folder:
    """An immutable folder. Sub-folders may be shared between folders; each is digested once."""

    def __init__(self, entries: Mapping[str, Entry] | None = None):
        self.entries: Mapping[str, Entry] = dict(entries or {})

    @cached_property
    def message(self) -> reapi.Directory:
        """Canonical: each kind sorted by name."""
        directory = reapi.Directory()
        for name, entry in sorted(self.entries.items()):
            match entry:
                case File(digest, executable):
                    directory.files.append(
                        reapi.FileNode(
                            name=name, digest=to_message(digest), is_executable=executable
                        )
                    )
                case Symlink(target):
                    directory.symlinks.append(reapi.SymlinkNode(name=name, target=target))
                case _:
                    directory.directories.append(
                        reapi.DirectoryNode(name=name, digest=to_message(entry.digest))
                    )
        return directory

    @cached_property
    def encoded(self) -> bytes:
        return self.message.SerializeToString(deterministic=True)

    @cached_property
    def digest(self) -> Digest:
        """Of the Directory message."""
        return Digest.of_bytes(self.encoded)

    def folders(self) -> Iterator[Folder]:
        """This folder and all below it, each content once."""
        seen: set[Digest] = set()
        queue = [self]
        while queue:
            folder = queue.pop()
            if folder.digest in seen:
                continue
            seen.add(folder.digest)
            yield folder
            queue.extend(entry for entry in folder.entries.values() if isinstance(entry, Folder))

    def files(self, prefix: str = "") -> Iterator[tuple[str, File | Symlink]]:
        """Every file and link with its path, sorted."""
        for name, entry in sorted(self.entries.items()):
            if isinstance(entry, Folder):
                yield from entry.files(f"{prefix}{name}/")
            else:
                yield f"{prefix}{name}", entry

    @cached_property
    def tree(self) -> bytes:
        """The Tree message: this folder and, sorted by digest, all below it."""
        root, *children = self.folders()
        message = reapi.Tree(root=root.message)
        message.children.extend(
            child.message for child in sorted(children, key=lambda child: child.digest)
        )
        return message.SerializeToString(deterministic=True)

    @cached_property
    def tree_digest(self) -> Digest:
        return Digest.of_bytes(self.tree)

    def get(self, path: str) -> Entry | None:
        """What lies at a relative path; the folder itself for the empty path."""
        entry: Entry | None = self
        for name in path.split("/") if path else ():
            if not isinstance(entry, Folder):
                return None
            entry = entry.entries.get(name)
        return entry

    @classmethod
    def from_tree(cls, tree: bytes) -> Folder:
        """The inverse of `tree`. Raises ValueError when a child is missing."""
        message = reapi.Tree.FromString(tree)
        children = {
            Digest.of_bytes(child.SerializeToString(deterministic=True)): child
            for child in message.children
        }
        built: dict[Digest, Folder] = {}

        def child(digest: Digest) -> Folder:
            if digest not in built:
                if digest not in children:
                    raise ValueError(f"tree lacks its folder {digest}")
                built[digest] = folder = cls.from_message(children[digest], child)
                folder.digest = digest  # known: it need not be encoded again
            return built[digest]

        root = cls.from_message(message.root, child)
        root.digest = Digest.of_bytes(message.root.SerializeToString(deterministic=True))
        return root

    @classmethod
    def from_message(cls, message: reapi.Directory, child: Callable[[Digest], Folder]) -> Folder:
        entries: dict[str, Entry] = {}
        for node in message.files:
            entries[node.name] = File(from_message(node.digest), node.is_executable)
        for link in message.symlinks:
            entries[link.name] = Symlink(link.target)
        for directory in message.directories:
            entries[directory.name] = child(from_message(directory.digest))
        return cls(entries)


Entry = File | Symlink | Folder


class Conflict(ValueError):
    """Two different entries want one path."""

    def __init__(self, path: str):
        super().__init__(f"two different things at {path!r}")
        self.path = path


def folder_of(entries: Mapping[str, Entry], path: str = "") -> Folder:
    """The folder that holds each entry at its relative path (`a/b/c`); folders are merged.
    Raises Conflict.
    """
    below: dict[str, dict[str, Entry]] = {}
    here = Folder()
    for relative, entry in entries.items():
        if relative:
            name, _, rest = relative.partition("/")
            below.setdefault(name, {})[rest] = entry
        elif isinstance(entry, Folder):
            here = entry
        else:
            raise Conflict(path.rstrip("/"))
    built = {
        name: group[""] if len(group) == 1 and "" in group else folder_of(group, f"{path}{name}/")
        for name, group in below.items()
    }
    return merge(here, Folder(built), path)


def merge(first: Folder, second: Folder, path: str = "") -> Folder:
    """Both folders' entries. Raises Conflict where they differ in one file."""
    if not first.entries:
        return second
    if not second.entries:
        return first
    entries = dict(first.entries)
    for name, entry in second.entries.items():
        here = entries.get(name)
        if here is None:
            entries[name] = entry
        elif isinstance(here, Folder) and isinstance(entry, Folder):
            entries[name] = here if here is entry else merge(here, entry, f"{path}{name}/")
        elif here != entry:
            raise Conflict(path + name)
    return Folder(entries)


def to_message(digest: Digest) -> reapi.DigestMessage:
    return reapi.DigestMessage(hash=digest.hash, size_bytes=digest.size)


def from_message(message: reapi.DigestMessage) -> Digest:
    return Digest(message.hash, message.size_bytes)
