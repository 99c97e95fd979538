"""Files of the workspace as content: hashed once, then known by `stat`; used where they lie."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

from tritonbuild.digest import Digest
from tritonbuild.errors import ActionError, AnalysisError, Moved, Problem, UsageError
from tritonbuild.merkle import Entry, File, Folder, folder_of
from tritonbuild.pointers import LIMIT, Pointers, is_pointer
from tritonbuild.workspace import TRACKED, Ignored, Signature, Workspace, always_ignored


class Digests(Protocol):
    """A memory of digests between builds."""

    def digest(self, path: str, signature: Signature) -> Digest | None: ...
    def remember_digests(self, rows: list[tuple[str, Signature, Digest]]) -> None: ...


class Sources:
    """The workspace's files and folders as merkle entries; and, for content that no cache holds,
    the file in the workspace that has it."""

    def __init__(
        self,
        workspace: Workspace,
        memory: Digests,
        pointers: Pointers,
        check: Callable[[], None] = lambda: None,
    ):
        """`check` is called now and then while a file is read; what it raises ends that."""
        self._workspace = workspace
        self._memory = memory
        self._pointers = pointers
        self._check = check
        self.looked_again = False
        self._known: dict[str, tuple[Signature, File]] = {}
        self._contents: dict[str, list[str]] = {}
        """Folder → every file and folder in it that made its entry."""
        self._holders: dict[Digest, str] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(os.cpu_count(), "hash")
        self.bytes_hashed = 0

    def entry(self, path: str) -> Entry:
        """A file, or a folder without what is ignored, as it was when the build first looked.
        Raises Moved when it is not that any more, AnalysisError for a link that leads out,
        ActionError for what has no content."""
        try:
            signature = self._workspace.look(path)
            if signature is None or not signature.is_folder:
                return self._file(path)
            named_though_ignored = self._workspace.ignored(path, True)
            return self._folder(
                path, always_ignored if named_though_ignored else self._workspace.ignored
            )
        except UsageError as error:
            raise AnalysisError(*error.problems) from None

    def _folder(self, path: str, ignored: Ignored) -> Folder:
        paths = list(self._workspace.walk(path, ignored))
        inside: set[str] = set()
        for file in paths:
            parent = file.rpartition("/")[0]
            while parent != path and parent not in inside:
                inside.add(parent)
                parent = parent.rpartition("/")[0]
        with self._lock:
            self._contents[path] = [path, *inside, *paths]
        files = self._pool.map(self._file, paths)
        below = len(path) + 1 if path else 0
        entries: dict[str, Entry] = dict(zip((p[below:] for p in paths), files, strict=True))
        return folder_of(entries)

    def find(self, digest: Digest) -> Path | None:
        """A file of the workspace that has this content and has not changed since."""
        path = self._holders.get(digest)
        if path is None or not self._workspace.unchanged(path):
            return None
        return self._workspace.absolute(path)

    def has(self, digest: Digest) -> bool:
        return self.find(digest) is not None

    def recheck(self, digest: Digest) -> None:
        """Nothing to do: whether a file has changed is looked at each time."""

    def moved(self, paths: Iterable[str], root: Folder) -> list[str]:
        """Which files and folders are not any more what `entry` said of `paths`, and which files
        are not whose content an input root has."""
        looked_at = {below for path in paths for below in self._contents.get(path, [path])}
        for _, file in root.files() if self._holders else ():
            if isinstance(file, File) and file.digest in self._holders:
                looked_at.add(self._holders[file.digest])
        return sorted(path for path in looked_at if not self._workspace.unchanged(path))

    def look_again(self, paths: Iterable[str]) -> None:
        """Takes files that have changed as they are now. No snapshot can be made of what a build
        sees after that."""
        self.looked_again = True
        for path in paths:
            self._workspace.seen.pop(path, None)

    def linked(self, digest: Digest) -> None:
        """A hard link to this content was made: that moved the file's ctime, nothing else."""
        path = self._holders.get(digest)
        if path is None:
            return
        before = self._workspace.seen[path]
        after = Signature.of(os.stat(self._workspace.absolute(path)))
        if before is not None and after._replace(ctime_ns=before.ctime_ns) == before:
            self._workspace.seen[path] = after
            with self._lock:
                self._known[path] = (after, self._known[path][1])
            if self._memory.digest(path, before) == digest:  # what was trusted still is
                self._memory.remember_digests([(path, after, digest)])

    def _file(self, path: str) -> File:
        signature = self._workspace.look(path)
        if signature != self._workspace.seen[path]:
            raise Moved([path])
        if signature is None and (tracked := self._workspace.tracked(path)):
            return self._tracked(path, tracked)
        if signature is None:
            link = self._workspace.absolute(path).is_symlink()
            found = f"{path} {'is a link to nothing' if link else 'does not exist'}"
            raise ActionError(Problem(found, "a file or folder", file=path))
        if not signature.is_file:
            found = f"{path} is neither a file nor a folder"
            raise ActionError(Problem(found, "content", "remove it, or ignore it", file=path))
        with self._lock:
            known = self._known.get(path)
        if known is not None and known[0] == signature:
            return known[1]
        digest = self._memory.digest(path, signature)
        stands_for = None
        if digest is None or digest.size != signature.size:  # not known, or a pointer's
            there = digest is not None and self._pointers.has(digest)
            stands_for = digest if there else self._stands_for(path, signature)
        digest = stands_for or digest or self._hash(path, signature)
        file = File(digest, signature.executable)
        with self._lock:
            self._known[path] = (signature, file)
            if stands_for is None:
                self._holders[digest] = path
        return file

    def _stands_for(self, path: str, signature: Signature) -> Digest | None:
        """What a Git LFS pointer stands for; None for any other file."""
        if signature.size > LIMIT:
            return None
        begun = time.time_ns()
        try:
            content = self._workspace.absolute(path).read_bytes()
        except OSError:
            return None  # told when it is hashed
        if not is_pointer(content):
            return None
        digest = self._pointers.lfs(path, content)
        # One as long as what it stands for could not be told from any other file.
        if signature.settled(begun) and digest.size != signature.size:
            self._memory.remember_digests([(path, signature, digest)])
        return digest

    def _tracked(self, path: str, signature: Signature) -> File:
        """A file that DVC keeps elsewhere, by the signature of its `.dvc` file."""
        beside = f"{path}{TRACKED}"
        with self._lock:
            self._contents.setdefault(path, [path, beside])
            known = self._known.get(path)
        if known is not None and known[0] == signature:
            return known[1]
        digest = self._memory.digest(path, signature)
        if digest is None or not self._pointers.has(digest):
            begun = time.time_ns()
            digest = self._pointers.dvc(path, self._workspace.read(beside) or b"")
            if signature.settled(begun):
                self._memory.remember_digests([(path, signature, digest)])
        file = File(digest)
        with self._lock:
            self._known[path] = (signature, file)
        return file

    def _hash(self, path: str, signature: Signature) -> Digest:
        begun = time.time_ns()
        try:
            digest = Digest.of_file(self._workspace.absolute(path), self._check)
        except OSError as error:
            raise ActionError(
                Problem(f"{path} cannot be read: {error.strerror}", "a readable file", file=path)
            ) from None
        with self._lock:
            self.bytes_hashed += digest.size
        if signature.settled(begun):
            self._memory.remember_digests([(path, signature, digest)])
        return digest
