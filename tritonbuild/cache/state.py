"""What a workspace remembers between builds, in one SQLite file that any build may lose: digests
of files whose `stat` has not changed, why actions last ran, and where outputs were put.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from tritonbuild.digest import Digest
from tritonbuild.errors import FREE_SPACE, EnvironmentFailure, Problem
from tritonbuild.workspace import Signature

SCHEMA = """
CREATE TABLE IF NOT EXISTS digests (path TEXT PRIMARY KEY, signature TEXT, digest TEXT) STRICT;
CREATE TABLE IF NOT EXISTS records (
    kind TEXT, name TEXT, value TEXT, PRIMARY KEY (kind, name)
) STRICT;
"""
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Errors that speak against the file itself; all others speak of the machine."""
BATCH = 1000
"""Digests that are written at once: a transaction for each would take longer than hashing."""
T = TypeVar("T")


class State:
    """Thread-safe; several builds may have one open. A damaged file is thrown away."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "state.db"
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._fresh: dict[str, tuple[Signature, Digest]] = {}
        """Digests that are not written yet."""

    def digest(self, path: str, signature: Signature) -> Digest | None:
        """Of a file, if it was hashed when its `stat` was the same."""
        with self._lock:
            fresh = self._fresh.get(path)
        if fresh is not None:
            return fresh[1] if fresh[0] == signature else None
        row = self._do(
            lambda db: db.execute(
                "SELECT digest FROM digests WHERE path = ? AND signature = ?",
                (path, json.dumps(signature)),
            ).fetchone()
        )
        return Digest.parse(row[0]) if row else None

    def remember_digests(self, rows: Iterable[tuple[str, Signature, Digest]]) -> None:
        """Written now and then, many at once; a build that is killed may lose some."""
        with self._lock:
            self._fresh.update((path, (signature, digest)) for path, signature, digest in rows)
            if len(self._fresh) < BATCH:
                return
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            fresh, self._fresh = self._fresh, {}
        if not fresh:
            return
        values = [
            (path, json.dumps(signature), str(digest))
            for path, (signature, digest) in fresh.items()
        ]
        self._do(
            lambda db: db.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", values)
        )

    def digests(self) -> list[tuple[str, Signature, Digest]]:
        """All that are remembered."""
        self._flush()
        rows = self._do(lambda db: db.execute("SELECT * FROM digests ORDER BY path").fetchall())
        return [
            (path, Signature(*json.loads(signature)), Digest.parse(digest))
            for path, signature, digest in rows
        ]

    def forget_digest(self, path: str) -> None:
        self._flush()
        self._do(lambda db: db.execute("DELETE FROM digests WHERE path = ?", (path,)))

    def record(self, kind: str, name: str) -> Any:
        """What was kept under a name; None if nothing."""
        row = self._do(
            lambda db: db.execute(
                "SELECT value FROM records WHERE kind = ? AND name = ?", (kind, name)
            ).fetchone()
        )
        return json.loads(row[0]) if row else None

    def records(self, kind: str, prefix: str) -> dict[str, Any]:
        """Everything that was kept under names with a prefix, sorted by name."""
        rows = self._do(
            lambda db: db.execute(
                "SELECT name, value FROM records WHERE kind = ? AND substr(name, 1, ?) = ? "
                "ORDER BY name",
                (kind, len(prefix), prefix),
            ).fetchall()
        )
        return {name: json.loads(value) for name, value in rows}

    def keep(self, kind: str, name: str, value: Any) -> None:
        """Replaces what was kept. JSON."""
        text = json.dumps(value, separators=(",", ":"))
        self._do(
            lambda db: db.execute(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?)", (kind, name, text)
            )
        )

    def close(self) -> None:
        with suppress(EnvironmentFailure):  # what is lost is hashed again
            self._flush()
        with self._lock:
            self._disconnect()

    def _do(self, action: Callable[[sqlite3.Connection], T]) -> T:
        with self._lock:
            try:
                return self._transact(action)
            except sqlite3.DatabaseError as error:
                # Python's own errors have no code: a text in the file is not UTF-8.
                code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
                if code & 0xFF not in DAMAGED:
                    raise self._refused(error) from None
            self._disconnect()
            for suffix in ("", "-wal", "-shm"):
                with suppress(FileNotFoundError):
                    Path(f"{self._path}{suffix}").unlink()
            try:
                return self._transact(action)
            except sqlite3.DatabaseError as error:
                raise self._refused(error) from None

    def _transact(self, action: Callable[[sqlite3.Connection], T]) -> T:
        if self._connection is None:
            made = sqlite3.connect(self._path, timeout=60, check_same_thread=False)
            made.execute("PRAGMA journal_mode = WAL")
            made.execute("PRAGMA synchronous = OFF")
            made.executescript(SCHEMA)
            self._connection = made  # not one without its tables
        with self._connection:
            return action(self._connection)

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _refused(self, error: sqlite3.DatabaseError) -> EnvironmentFailure:
        return EnvironmentFailure(Problem(f"{self._path}: {error}", remedy=FREE_SPACE))
