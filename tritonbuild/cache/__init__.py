"""Content by digest, results by action key: what a cache is, whoever holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from weakref import WeakValueDictionary

from tritonbuild import reapi
from tritonbuild.digest import EMPTY, Digest
from tritonbuild.merkle import Entry, File, Folder, from_message, to_message

UNHERMETIC = "unhermetic"
"""The worker's name on results that must not leave this machine."""


class Finder(Protocol):
    """Knows where content lies on this machine."""

    def find(self, digest: Digest) -> Path | None:
        """A file with this content, or None. It is read-only and may be shared."""


class Blobs(Finder, Protocol):
    """Content that lies somewhere on this machine."""

    def has(self, digest: Digest) -> bool:
        """Whether `find` finds it: for the thousands of which nothing else is asked."""

    def recheck(self, digest: Digest) -> None:
        """Looks at the content itself, after it was found to be wrong: it is not found again."""


class ContentStore(Blobs, Protocol):
    """Content-addressed storage."""

    def put(self, content: bytes) -> Digest: ...
    def adopt(self, file: Path) -> Digest:
        """Moves a file into the store; the caller gives it up."""

    def read(self, digest: Digest) -> bytes:
        """Verified. Raises KeyError."""


@dataclass(frozen=True, slots=True)
class Result:
    """What an action made."""

    outputs: Mapping[str, Entry] = field(default_factory=dict)
    """Declared output path → file or folder."""
    exit_code: int = 0
    log: Digest = EMPTY
    hermetic: bool = True

    def encode(self, store: ContentStore) -> bytes:
        """The API's ActionResult; the trees of folders go into the store."""
        message = reapi.ActionResult(exit_code=self.exit_code, stdout_digest=to_message(self.log))
        if not self.hermetic:
            message.execution_metadata.worker = UNHERMETIC
        for path, entry in sorted(self.outputs.items()):
            if isinstance(entry, Folder):
                tree = to_message(store.put(entry.tree))
                message.output_directories.append(
                    reapi.OutputDirectory(path=path, tree_digest=tree)
                )
            elif isinstance(entry, File):
                message.output_files.append(
                    reapi.OutputFile(
                        path=path,
                        digest=to_message(entry.digest),
                        is_executable=entry.executable,
                    )
                )
        return message.SerializeToString(deterministic=True)

    @classmethod
    def decode(cls, encoded: bytes, store: ContentStore) -> Result:
        """Raises KeyError when a tree is missing, ValueError when something is not as it should."""
        message = reapi.ActionResult.FromString(encoded)
        outputs: dict[str, Entry] = {
            file.path: File(from_message(file.digest), file.is_executable)
            for file in message.output_files
        }
        for folder in message.output_directories:
            outputs[folder.path] = _folder(from_message(folder.tree_digest), store)
        return cls(
            outputs,
            message.exit_code,
            from_message(message.stdout_digest),
            message.execution_metadata.worker != UNHERMETIC,
        )


_folders: WeakValueDictionary[Digest, Folder] = WeakValueDictionary()
"""Those that somebody holds, by the digest of their tree: results share them."""


def _folder(tree: Digest, store: ContentStore) -> Folder:
    folder = _folders.get(tree)
    if folder is None or store.find(tree) is None:
        folder = _folders[tree] = Folder.from_tree(store.read(tree))
    return folder


class ActionCache(Protocol):
    def get_result(self, key: Digest) -> bytes | None:
        """An encoded ActionResult."""

    def put_result(self, key: Digest, result: bytes) -> None: ...


class FirstOf:
    """Content that may lie in several places, looked for in their order."""

    def __init__(self, *holders: Blobs):
        self._holders = holders

    def has(self, digest: Digest) -> bool:
        return any(holder.has(digest) for holder in self._holders)

    def find(self, digest: Digest) -> Path | None:
        for holder in self._holders:
            if (path := holder.find(digest)) is not None:
                return path
        return None

    def recheck(self, digest: Digest) -> None:
        for holder in self._holders:
            holder.recheck(digest)
