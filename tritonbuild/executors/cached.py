"""Looks in the action cache before executing; keeps successes."""

from __future__ import annotations

import threading
from collections import defaultdict

from tritonbuild.cache import ActionCache, Blobs, ContentStore, Result
from tritonbuild.digest import Digest
from tritonbuild.executors import Execution, Executor, Work
from tritonbuild.merkle import Entry, File, Folder


class Cached:
    """Wraps an executor. Equal actions that meet in one build run once."""

    def __init__(
        self,
        executor: Executor,
        actions: ActionCache,
        store: ContentStore,
        blobs: Blobs,
        *,
        reuse_tests: bool = True,
    ):
        self._executor = executor
        self._actions = actions
        self._store = store
        self._blobs = blobs
        self._reuse_tests = reuse_tests
        self._running: defaultdict[Digest, threading.Lock] = defaultdict(threading.Lock)
        self._whole: set[Digest] = set()
        """Folders that were found whole in this build."""

    def execute(self, work: Work) -> Execution:
        if not work.action.cacheable or (work.action.is_test and not self._reuse_tests):
            return self._executor.execute(work)
        key = work.encoded.key
        with self._running[key]:
            result = self._look_up(key)
            if result is not None:
                return Execution(result, cached=True)
            execution = self._executor.execute(work)
            if execution.result.exit_code == 0:
                self._actions.put_result(key, execution.result.encode(self._store))
            return execution

    def known(self, work: Work) -> Execution | None:
        """What `execute` would answer without executing, if it would."""
        if not work.action.cacheable or (work.action.is_test and not self._reuse_tests):
            return None
        result = self._look_up(work.encoded.key)
        return None if result is None else Execution(result, cached=True)

    def _look_up(self, key: Digest) -> Result | None:
        """A result whose content is still to be had."""
        encoded = self._actions.get_result(key)
        if encoded is None:
            return None
        try:
            result = Result.decode(encoded, self._store)
        except (KeyError, ValueError):
            return None
        if not result.hermetic:
            from tritonbuild.executors.sandbox import namespaces_available

            if namespaces_available():
                return None  # it can be made properly now
        return result if all(map(self._is_whole, result.outputs.values())) else None

    def _is_whole(self, entry: Entry) -> bool:
        match entry:
            case File(digest):
                return self._blobs.has(digest)
            case Folder():
                if entry.digest not in self._whole:
                    if not all(map(self._is_whole, entry.entries.values())):
                        return False
                    self._whole.add(entry.digest)
        return True
