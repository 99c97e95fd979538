"""triton.lock: what names that can move (a version range, a tag) stood for when they were resolved.

TOML, sorted, written atomically; a file of a version that this tritonbuild does not know is
refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tritonbuild.atomic import write_atomically
from tritonbuild.errors import Problem, UsageError, unreadable
from tritonbuild.redact import public

FILE = "triton.lock"
VERSION = 1


@dataclass(frozen=True, slots=True, order=True)
class Request:
    """What is to be resolved, for whom."""

    kind: str
    """Names the resolver: `pypi`."""
    request: tuple[str, ...]
    """Sorted, in the resolver's own words: `numpy<2`."""
    python: str = ""
    """Such as `3.11`."""
    platform: str = ""
    """Such as `x86_64-linux-gnu2.36`."""
    shown: str = field(default="", compare=False)
    """What people see of it, where all of it is too much."""

    def __str__(self) -> str:
        """For people: without what may be secret in it."""
        return public(f"{self.kind} {self.shown or ' '.join(self.request)}")


@dataclass(frozen=True, slots=True, order=True)
class LockedFile:
    name: str
    """Of a file; or of one in a folder, its relative path."""
    url: str
    """Public and without credentials; a mirror may serve it, the digest decides."""
    sha256: str
    size: int
    """Bytes; 0 when the source does not say."""


class Lock:
    """The resolutions of a workspace."""

    def __init__(self, entries: Mapping[Request, tuple[LockedFile, ...]] | None = None):
        self.entries = dict(entries or {})

    def get(self, request: Request) -> tuple[LockedFile, ...] | None:
        return self.entries.get(request)

    def with_entries(self, new: Mapping[Request, Iterable[LockedFile]]) -> Lock:
        added = {request: tuple(sorted(files)) for request, files in new.items()}
        return Lock({**self.entries, **added})

    @classmethod
    def read(cls, root: Path) -> Lock:
        """Of a workspace; empty when it has none. Raises UsageError."""
        import tomli

        try:
            content = (root / FILE).read_bytes()
        except FileNotFoundError:
            return cls()
        except OSError as error:
            raise unreadable(FILE, error) from None
        try:
            document = tomli.loads(content.decode())
        except (tomli.TOMLDecodeError, UnicodeDecodeError) as error:
            raise _wrong(f"cannot be read: {error}") from None
        version = document.get("version")
        if version != VERSION:
            raise _wrong(f"version {version!r}", f"version {VERSION}", "use a newer tritonbuild")
        try:
            return cls(dict(map(_parse, _list(document.get("resolution", [])))))
        except (KeyError, TypeError, ValueError) as error:
            lacks = isinstance(error, KeyError)
            found = f"an entry has no {error}" if lacks else f"an entry is damaged: {error}"
            raise _wrong(found) from None

    def write(self, root: Path) -> None:
        import tomli_w

        document = {
            "version": VERSION,
            "resolution": [
                _format(request, files) for request, files in sorted(self.entries.items())
            ],
        }
        header = "# What tritonbuild resolved. Commit it; `tritonbuild lock` renews it.\n"
        text = header + tomli_w.dumps(document, multiline_strings=False)
        write_atomically(root / FILE, text.encode())


def _parse(entry: Mapping[str, Any]) -> tuple[Request, tuple[LockedFile, ...]]:
    """Raises KeyError, TypeError or ValueError."""
    wanted = tuple(_text(requirement) for requirement in _list(entry["request"]))
    target = (_text(entry.get(key, "")) for key in ("python", "platform"))
    request = Request(_text(entry["kind"]), wanted, *target)
    return request, tuple(map(_parse_file, _list(entry["files"])))


def _parse_file(file: Mapping[str, Any]) -> LockedFile:
    name, sha256, size = _text(file["name"]), _text(file["sha256"]), file["size"]
    if {"", ".", ".."}.intersection(name.split("/")) or not name.isprintable():
        raise ValueError(f"{name!r} is not the name of a file")
    if not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError(f"{sha256!r} is not a sha256")
    if type(size) is not int or size < 0:
        raise ValueError(f"{size!r} is not a size in bytes")
    return LockedFile(name, _text(file["url"]), sha256, size)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{value!r} is not a list")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def _format(request: Request, files: tuple[LockedFile, ...]) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": request.kind, "request": list(request.request)}
    if request.python:
        entry["python"] = request.python
    if request.platform:
        entry["platform"] = request.platform
    entry["files"] = [
        {"name": file.name, "url": file.url, "sha256": file.sha256, "size": file.size}
        for file in files
    ]
    return entry


def _wrong(found: str, expected: str = "", remedy: str = "") -> UsageError:
    remedy = remedy or "restore it from version control, or delete it and run `tritonbuild lock`"
    return UsageError(Problem(found, expected, remedy, file=FILE))
