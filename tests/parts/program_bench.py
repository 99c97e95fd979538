"""Runs one program the way the engine does, on content given by the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from tritonbuild.action import Action, ActionId, Literal, Program, encode
from tritonbuild.cache import Result
from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.trees import Trees
from tritonbuild.cancel import Cancellation
from tritonbuild.executors import Work
from tritonbuild.executors.sandboxed import Sandboxed
from tritonbuild.label import Label
from tritonbuild.merkle import Entry, File


class ProgramBench:
    """A cache of its own and an executor."""

    def __init__(self, folder: Path) -> None:
        self.cache = DiskCache(folder)
        self._executor = Sandboxed(
            self.cache, self.cache, Trees(self.cache), self.cache.tmp, Cancellation()
        )

    def run(
        self, script: str, *, inputs: Mapping[str, Entry] | None = None, outputs: Sequence[str]
    ) -> Result:
        """What a script of sh makes. Raises ActionError when it fails."""
        given = inputs or {}
        artifacts = dict.fromkeys(given, Literal(b"", "given by the test"))
        program = Program(("sh", "-ec", script))
        action = Action(ActionId(Label("", "bench"), "run"), program, artifacts, tuple(outputs))
        return self._executor.execute(Work(action, encode(action, given), None)).result

    def file(self, content: bytes, *, executable: bool = False) -> File:
        return File(self.cache.put(content), executable)
