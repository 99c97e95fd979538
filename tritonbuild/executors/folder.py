"""Runs a tool on a plain folder, as a remote worker does: the inputs lie in it, and the outputs
are written into it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import IO

from tritonbuild.cache import Blobs, FirstOf
from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.trees import Trees, copy, materialise
from tritonbuild.cancel import Cancellation
from tritonbuild.digest import Digest
from tritonbuild.errors import EnvironmentFailure, Problem
from tritonbuild.executors.inprocess import Context
from tritonbuild.merkle import Entry, File, Folder, Symlink
from tritonbuild.tools import Tool


def run_in_folder(tool: Tool, required: str, folder: Path, parameters: Path, log: IO[str]) -> int:
    """The tool's exit code. Raises EnvironmentFailure when the caller made its action for another
    version of the tool."""
    if required != tool.version:
        raise EnvironmentFailure(
            Problem(f"{tool.name} is {tool.version} here", required, "install the same tritonbuild")
        )
    given = _Given(folder)
    with tempfile.TemporaryDirectory() as private:
        store = DiskCache(Path(private) / "cache")
        blobs = FirstOf(store, given)
        (Path(private) / "work").mkdir()
        context = Context(
            json.loads(parameters.read_bytes()), given.inputs, log, Path(private) / "work", store,
            blobs, Trees(store), Cancellation(),
        )  # fmt: skip
        try:
            exit_code = tool(context)
        finally:
            context.close()
        _put(context.made(), folder, blobs)
    return exit_code


class _Given:
    """All that lies in a folder, links as links, and where the content is."""

    def __init__(self, folder: Path):
        self._places: dict[Digest, Path] = {}
        self.inputs = self._folder(folder)

    def find(self, digest: Digest) -> Path | None:
        return self._places.get(digest)

    def has(self, digest: Digest) -> bool:
        return digest in self._places

    def recheck(self, digest: Digest) -> None:
        self._places.pop(digest, None)

    def _folder(self, folder: Path) -> Folder:
        return Folder({path.name: self._entry(path) for path in folder.iterdir()})

    def _entry(self, path: Path) -> Entry:
        if path.is_symlink():
            return Symlink(str(path.readlink()))
        if path.is_dir():
            return self._folder(path)
        digest = Digest.of_file(path)
        self._places[digest] = path
        return File(digest, bool(path.stat().st_mode & 0o100))


def _put(folder: Folder, path: Path, blobs: Blobs) -> None:
    """What was made; a worker may have made the folders that it goes into."""
    for name, entry in folder.entries.items():
        target = path / name
        if isinstance(entry, Folder) and target.is_dir():
            _put(entry, target, blobs)
        else:
            materialise(entry, target, blobs, copy)
