"""Why an action ran: what its key was made of, compared with the last time.

The facts come from the traversal that makes the key (`action.describe`), written for people.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from tritonbuild.action import Action, Artifact, Literal, Source, describe
from tritonbuild.digest import Digest
from tritonbuild.keys import dotted
from tritonbuild.label import Label
from tritonbuild.merkle import Entry, File, Folder, Symlink

KIND = "reasons"
LAST = "last"
"""Of records: action → its key and status, of which a build asks for every action."""
SHOWN = 12
"""Digits of a digest that people see."""


class Records(Protocol):
    def record(self, kind: str, name: str) -> Any: ...
    def records(self, kind: str, prefix: str) -> dict[str, Any]: ...
    def keep(self, kind: str, name: str, value: Any) -> None: ...


class FactWriter:
    """An `action.Writer` that names everything as a person knows it: name → value. What makes
    another key makes another fact."""

    def __init__(self, table: str, package: str):
        self._table = table
        self._package = package
        self.facts: dict[str, str] = {}
        self._arguments: list[str] = []

    def argument(self, text: str) -> None:
        self._arguments.append(text)
        self.facts["command"] = shlex.join(self._arguments)

    def tool(self, name: str, version: str) -> None:
        self.facts[f"tool {name}"] = version

    def parameter(self, key: str, value: Any) -> None:
        self.facts.update(_leaves(self._table, {key: value}))

    def environment(self, name: str, value: str) -> None:
        self.facts[f"environment {name}"] = value

    def platform(self, name: str, value: str) -> None:
        self.facts[f"platform {name}"] = value

    def input(self, path: str, artifact: Artifact, entry: Entry) -> None:
        match artifact:
            case Source(source):
                if source != (f"{self._package}/{path}" if self._package else path):
                    self.facts[f"input {path}"] = source
                self._entry(f"file {source}", entry)
            case Literal(_, key):
                self.facts[f"{key} as {path}"] = _digest(entry)
            case _:
                self.facts[f"{artifact.action.label} {artifact.path} as {path}"] = _digest(entry)

    def output(self, path: str) -> None:
        self.facts[f"output {path}"] = "declared"

    def timeout(self, seconds: float) -> None:
        self.facts["timeout"] = f"{seconds:.15g} s"

    def uncacheable(self) -> None:
        self.facts["cacheable"] = "no"

    def _entry(self, name: str, entry: Entry) -> None:
        if isinstance(entry, Folder) and entry.entries:
            for path, below in entry.files():
                self.facts[f"{name}/{path}"] = _digest(below)
        else:
            self.facts[name] = _digest(entry)


def facts_of(action: Action, table: str, entries: Mapping[str, Entry]) -> dict[str, str]:
    """`table` is where the target stands in its manifest: `models.densenet`."""
    writer = FactWriter(table, action.id.label.package)
    describe(action, entries, writer)
    return writer.facts


def _leaves(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Each value below a key path, both as TOML writes them."""
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from _leaves(f"{path}.{dotted((key,))}", below)
    elif isinstance(value, list | tuple) and value:
        for index, below in enumerate(value):
            yield from _leaves(f"{path}[{index}]", below)
    else:
        yield path, json.dumps(value, ensure_ascii=False)


def _digest(entry: Entry) -> str:
    match entry:
        case File(digest, executable):
            return digest.hash[:SHOWN] + (" (executable)" if executable else "")
        case Symlink(target):
            return f"→ {target}"
        case _:
            return f"{entry.digest.hash[:SHOWN]} (a folder)"


def compare(before: Mapping[str, str] | None, now: Mapping[str, str]) -> list[str]:
    """What changed, a sentence each."""
    if before is None:
        return ["it is new in this workspace"]
    reasons = []
    for name in sorted({**before, **now}):
        old, new = before.get(name), now.get(name)
        if old is None:
            reasons.append(f"{name} is new: {new}")
        elif new is None:
            reasons.append(f"{name} is gone: {old}")
        elif old != new:
            reasons.append(f"{name} changed: {old} → {new}")
    return reasons


@dataclass(frozen=True, slots=True)
class Story:
    """What is known of an action's last run."""

    action: str
    key: str
    status: str
    """Of the last build: `built` or `cached`."""
    ran: float | None
    """When it last ran here; seconds since the epoch. None: never, its result was shared."""
    reasons: tuple[str, ...]
    """Why it ran then, or what had changed when its result was found in the cache."""


class Diary:
    """Keeps, for each action of a workspace, the facts of its key and why it last ran."""

    def __init__(self, records: Records):
        self._records = records

    @cached_property
    def _last(self) -> dict[str, list[str]]:
        return self._records.records(LAST, "")

    def reasons(
        self, action: str, key: Digest, facts: Callable[[], Mapping[str, str]]
    ) -> tuple[str, ...]:
        """Why it has to be looked up or run now; facts are only asked for where the key is new."""
        last = self._last.get(action)
        if last is not None and last[0] == key.hash:
            return ("nothing changed, but its result is not in the cache",)
        before = self._records.record(KIND, action)
        return tuple(compare(before["facts"] if before else None, facts()))

    def keep(
        self,
        action: str,
        key: Digest,
        facts: Callable[[], Mapping[str, str]],
        *,
        executed: bool,
        reasons: tuple[str, ...],
    ) -> None:
        last, now = self._last.get(action), [key.hash, "built" if executed else "cached"]
        if executed or last is None or last[0] != key.hash:
            ran = time.time() if executed else None
            entry = {"facts": dict(facts()), "ran": ran, "reasons": list(reasons)}
            self._records.keep(KIND, action, entry)
        if last != now:
            self._last[action] = now
            self._records.keep(LAST, action, now)

    def stories(self, label: Label) -> list[Story]:
        """Of every action of a target, those that ran last first."""
        prefix = f"{label} ("
        told = self._records.records(KIND, prefix)
        stories = [
            Story(name, key, status, told[name]["ran"], tuple(told[name]["reasons"]))
            for name, (key, status) in self._records.records(LAST, prefix).items()
        ]
        return sorted(stories, key=lambda story: -(story.ran or 0))
