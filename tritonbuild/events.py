"""What happens in a build, as values. Displays and `--json` are listeners."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from tritonbuild.errors import ExitCode, Problem


class Status(StrEnum):
    """How a target or an action ended."""

    BUILT = "built"
    """At least one of its actions ran."""
    CACHED = "cached"
    FAILED = "failed"
    SKIPPED = "skipped"
    """Something that it needs failed."""
    PASSED = "passed"
    """A verification, whether it ran now or its pass was cached."""
    UNAVAILABLE = "unavailable"
    """A verification that this machine cannot run."""


@dataclass(frozen=True, slots=True)
class Started:
    """The build knows what it may have to do."""

    targets: int
    actions: int


@dataclass(frozen=True, slots=True)
class ActionStarted:
    action: str
    """Label and name."""


@dataclass(frozen=True, slots=True)
class ActionEnded:
    action: str
    status: Status
    reasons: tuple[str, ...] = ()
    """Why it ran, in words; only where it did."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    path: str
    """Relative to the workspace root."""
    digest: str
    """SHA-256; of a folder its Tree's."""
    size: int
    """Bytes of the file, or of the Tree."""
    media_type: str


@dataclass(frozen=True, slots=True)
class TargetEnded:
    label: str
    rule: str
    status: Status
    outputs: tuple[OutputFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """Something that people should know; not an error."""

    text: str


@dataclass(frozen=True, slots=True)
class Shipped:
    """An image, or a document that is attached to it, is where it was to go."""

    label: str
    place: str
    """Such as `registry.example/acme/server:v1`."""
    digest: str
    """Of its manifest; of an image in a Docker daemon that daemon's own name of it."""
    artifact_type: str = ""
    """Of a document."""
    moved: int = 0
    """Bytes of blobs and manifests that went there …"""
    mounted: int = 0
    """… that the place took over from another repository of its own …"""
    there: int = 0
    """… and that it had already."""


@dataclass(slots=True)
class Metrics:
    actions: int = 0
    """All that the build looked at."""
    executed: int = 0
    cached: int = 0
    wall_s: float = 0.0
    bytes_hashed: int = 0
    bytes_pulled: int = 0
    bytes_pushed: int = 0

    def after(self, before: Metrics) -> Metrics:
        """Of both runs of a session, which counts its bytes from its beginning."""
        return replace(
            self,
            actions=before.actions + self.actions,
            executed=before.executed + self.executed,
            cached=before.cached + self.cached,
            wall_s=round(before.wall_s + self.wall_s, 3),
        )


@dataclass(frozen=True, slots=True)
class Finished:
    exit_code: ExitCode
    errors: tuple[Problem, ...] = ()
    metrics: Metrics = field(default_factory=Metrics)


Event = Started | ActionStarted | ActionEnded | TargetEnded | Shipped | Note | Finished
Listener = Callable[[Event], None]


def to_json(event: Event) -> Mapping[str, Any] | None:
    """The object of `--json`; None for events that only displays want."""
    match event:
        case TargetEnded():
            return {"event": "target", **asdict(event)}
        case Shipped():
            return {"event": "shipped", **asdict(event)}
        case Note(text):
            return {"event": "note", "text": text}
        case Finished(exit_code, errors, metrics):
            return {
                "event": "finished",
                "exit_code": int(exit_code),
                "errors": [problem.to_json() for problem in errors],
                "metrics": asdict(metrics),
            }
    return None
