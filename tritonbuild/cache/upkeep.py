"""Looking after the cache: how large it is, whether it is whole, and what may go."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tritonbuild.atomic import remove_tree
from tritonbuild.cache import Result
from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.state import State
from tritonbuild.digest import Digest
from tritonbuild.merkle import Entry, File, Folder, Symlink
from tritonbuild.pointers import is_pointer_file
from tritonbuild.workspace import Signature


@dataclass
class Usage:
    """How much of a kind the cache holds."""

    count: int = 0
    size: int = 0
    """Bytes."""


def usage(cache: DiskCache) -> dict[str, Usage]:
    """Of blobs, actions and trees (trees share their files' bytes with blobs and count folders)."""
    totals = {"blobs": Usage(), "actions": Usage(), "trees": Usage()}
    for kind in ("blobs", "actions"):
        for path in (cache.root / kind).glob("??/*"):
            totals[kind].count += 1
            totals[kind].size += path.stat().st_size
    totals["trees"].count = sum(1 for _ in (cache.root / "trees").iterdir())
    return totals


def verify(cache: DiskCache) -> list[str]:
    """Hashes every blob and every file of a tree and checks every result; removes what is damaged
    and names it."""
    damaged: list[str] = []
    checked = DiskCache(cache.root, damaged.append)
    known: dict[int, Digest] = {}
    for path in (cache.root / "blobs").glob("??/*"):
        with suppress(FileNotFoundError):
            digest = known[path.stat().st_ino] = Digest.of_file(path)
            if digest.hash != path.name:
                checked.damaged(path, f"blob {path.name}")
    for path in (cache.root / "trees").iterdir():
        if _folder(path, known).digest.hash != path.name:
            checked.damaged(path, f"folder {path.name}")
    for path in (cache.root / "actions").glob("??/*"):
        checked.peek_result(Digest(path.name, 0))
    return damaged


def _folder(path: Path, known: Mapping[int, Digest]) -> Folder:
    """What lies in a tree; `known` are the digests of files by inode, which trees share."""
    entries: dict[str, Entry] = {}
    for below in path.iterdir():
        status = below.lstat()
        if below.is_symlink():
            entries[below.name] = Symlink(str(below.readlink()))
        elif below.is_dir():
            entries[below.name] = _folder(below, known)
        else:
            digest = known.get(status.st_ino) or Digest.of_file(below)
            entries[below.name] = File(digest, bool(status.st_mode & 0o100))
    return Folder(entries)


def verify_sources(root: Path, state: State) -> list[str]:
    """Hashes every file of a workspace whose digest is remembered; names those that changed without
    their `stat` showing it, and forgets them."""
    changed: list[str] = []
    for path, signature, digest in state.digests():
        with suppress(OSError):
            same_look = Signature.of(os.stat(root / path)) == signature
            if (
                same_look
                and not is_pointer_file(root / path)
                and Digest.of_file(root / path) != digest
            ):
                changed.append(f"{path} changed without a change of its size and times")
                state.forget_digest(path)
    return changed


def collect(cache: DiskCache, max_age: float) -> Usage:
    """Removes results and kept folders not used for `max_age` seconds, then blobs and trees that no
    result needs.
    Waits for builds that run; they wait for it.
    """
    removed = Usage()
    oldest = time.time() - max_age
    with (cache.root / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        needed: set[str] = set()
        for path in (cache.root / "actions").glob("??/*"):
            encoded = (
                cache.peek_result(Digest(path.name, 0)) if path.stat().st_mtime >= oldest else None
            )
            if encoded is None:
                path.unlink(missing_ok=True)
                continue
            needed.update(_needs(cache, encoded))
        for path in (cache.root / "blobs").glob("??/*"):
            if path.name not in needed:
                removed.count += 1
                removed.size += path.stat().st_size
                path.unlink()
        for tree in (cache.root / "trees").iterdir():
            if tree.name not in needed:
                remove_tree(tree)
        for folder in (cache.root / "kept").iterdir():
            if folder.stat().st_mtime < oldest:
                remove_tree(folder)
        for leftover in cache.tmp.iterdir():
            remove_tree(leftover)
    return removed


def _needs(cache: DiskCache, encoded: bytes) -> set[str]:
    """The names of the blobs and trees that a result speaks of."""
    try:
        result = Result.decode(encoded, cache)
    except (KeyError, ValueError):
        return set()
    names = {result.log.hash}
    for entry in result.outputs.values():
        if isinstance(entry, Folder):
            names.add(entry.tree_digest.hash)
            names.update(folder.digest.hash for folder in entry.folders())
            names.update(file.digest.hash for _, file in entry.files() if isinstance(file, File))
        elif isinstance(entry, File):
            names.add(entry.digest.hash)
    return names
