"""Runs one tool the way the engine does, on content given by the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tritonbuild.action import Action, ActionId, Literal, ToolCall, encode
from tritonbuild.cache import Result
from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.trees import Trees
from tritonbuild.cancel import Cancellation
from tritonbuild.digest import Digest
from tritonbuild.executors import Work
from tritonbuild.executors.inprocess import InProcess
from tritonbuild.gpus import Lease
from tritonbuild.label import Label
from tritonbuild.merkle import Entry, File, Folder
from tritonbuild.tools import Tool


class Bench:
    """A cache of its own and an executor."""

    def __init__(self, folder: Path) -> None:
        self.cache = DiskCache(folder)
        self._trees = Trees(self.cache)
        self._executor = InProcess(
            self.cache, self.cache, self._trees, self.cache.tmp, Cancellation()
        )

    def run(
        self,
        tool: Tool,
        *,
        parameters: Mapping[str, Any] | None = None,
        hints: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Entry] | None = None,
        outputs: Sequence[str],
        lease: Lease | None = None,
    ) -> Result:
        """Raises ActionError when the step fails."""
        call = ToolCall(tool.name, tool.version, parameters or {}, hints or {})
        given = inputs or {}
        artifacts = dict.fromkeys(given, Literal(b"", "given by the test"))
        action = Action(ActionId(Label("", "bench"), tool.name), call, artifacts, tuple(outputs))
        return self._executor.execute(Work(action, encode(action, given), tool, lease)).result

    def file(self, content: bytes) -> File:
        return File(self.cache.put(content))

    def take(self, file: Path) -> File:
        """A copy of a file, as content."""
        return self.file(file.read_bytes())

    def path(self, entry: Entry) -> Path:
        """Where a result lies."""
        if isinstance(entry, Folder):
            return self._trees.path(entry)
        assert isinstance(entry, File)
        path = self.cache.find(entry.digest)
        assert path is not None
        return path

    def read(self, digest: Digest) -> str:
        """Text by its digest, such as a result's log."""
        return self.cache.read(digest).decode()
