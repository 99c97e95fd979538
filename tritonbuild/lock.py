"""triton.lock: what names that can move (a version range, a tag) stood for when they were resolved.

TOML, sorted, written atomically; a file of a version that this tritonbuild does not know is
refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonbuild.atomic import write_atomically
from tritonbuild.errors import Problem, UsageError, unreadable

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

    def __str__(self) -> str:
        return f"{self.kind} {' '.join(self.request)}"


@dataclass(frozen=True, slots=True, order=True)
class LockedFile:
    name: str
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
            return cls(dict(map(_parse, document.get("resolution", []))))
        except (KeyError, TypeError, ValueError) as error:
            raise _wrong(f"an entry is not complete: {error!r}") from None

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
    request = Request(
        entry["kind"], tuple(entry["request"]), entry.get("python", ""), entry.get("platform", "")
    )
    files = (
        LockedFile(file["name"], file["url"], file["sha256"], int(file["size"]))
        for file in entry["files"]
    )
    return request, tuple(files)


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
