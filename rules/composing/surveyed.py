"""Surveys of layers, as tools have them as inputs; and what their layers make together."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from tritonbuild.oci import Listed, Listing
from tritonbuild.oci.untar import BLOCK
from tritonbuild.rule import ToolContext

from ..layouts import names
from ..linking.facts import LINKAGE
from ..linking.linkage import Linkage
from .selection import Selection
from .survey import FORM, LISTING, POINTS, SPANS, TEXTS

SURVEYS = "surveys"


@dataclass(frozen=True, eq=False)
class Survey:
    """Of one layer."""

    ctx: ToolContext
    path: str
    sha256: str
    """Of the layer's blob."""

    @cached_property
    def listing(self) -> Listing:
        return Listing.decode(self.ctx.read(f"{self.path}/{LISTING}"))

    @cached_property
    def spans(self) -> Sequence[tuple[int, int]]:
        """Of each entry of the listing: where it and its content begin in the tar."""
        found: list[tuple[int, int]] = json.loads(self.ctx.read(f"{self.path}/{SPANS}"))
        return found

    @cached_property
    def linkage(self) -> Linkage:
        return Linkage.decode(self.ctx.read(f"{self.path}/{LINKAGE}"))

    @cached_property
    def points(self) -> bytes:
        """From where its tar can be read, as `Slicing` takes it; empty: from its beginning only."""
        from zstandard import ZstdDecompressor

        return ZstdDecompressor().decompress(self.ctx.read(f"{self.path}/{POINTS}"))

    @cached_property
    def is_one(self) -> bool:
        """Its compressed blocks can be taken over."""
        return bool(json.loads(self.ctx.read(f"{self.path}/{FORM}"))["one"])

    @cached_property
    def texts(self) -> dict[str, str]:
        found: dict[str, str] = json.loads(self.ctx.read(f"{self.path}/{TEXTS}"))
        return found


@dataclass(frozen=True)
class Member:
    """An entry of a layer that nothing above it removes or replaces."""

    survey: Survey
    number: int
    """In its listing."""

    @property
    def entry(self) -> Listed:
        return self.survey.listing.entries[self.number]

    @property
    def begin(self) -> int:
        """In the tar."""
        return self.survey.spans[self.number][0]

    @property
    def content(self) -> int:
        """Where its content begins."""
        return self.survey.spans[self.number][1]

    @property
    def end(self) -> int:
        """Where the next one begins."""
        size = self.entry.size if self.entry.kind == "file" else 0
        return self.content + size + -size % BLOCK


def surveys_of(ctx: ToolContext) -> list[Survey]:
    """From the lowest layer up; the parameter `blobs` says of which."""
    found = names(ctx, SURVEYS)
    pairs = zip(found, ctx.parameters["blobs"], strict=True)
    return [Survey(ctx, f"{SURVEYS}/{name}", sha256) for name, sha256 in pairs]


def left(surveys: Sequence[Survey], selection: Selection) -> dict[str, Member]:
    """What layers make together of what is selected: path → member. Links on the way to a path are
    not followed."""
    found: dict[str, Member] = {}
    for survey in surveys:
        entries = survey.listing.entries
        for entry in entries:
            if entry.kind in ("whiteout", "opaque"):
                _remove(found, entry)
        for number, entry in enumerate(entries):
            if entry.kind in ("whiteout", "opaque") or not selection.takes(entry.path):
                continue
            old = found.get(entry.path)
            if old is not None and entry.kind == "folder" and _alike(old.entry, entry):
                continue
            if old is not None and entry.kind != "folder":
                _remove(found, entry._replace(kind="whiteout"))
            found[entry.path] = Member(survey, number)
    return found


def _alike(one: Listed, other: Listed) -> bool:
    return (one.kind, one.mode, one.uid, one.gid) == (other.kind, other.mode, other.uid, other.gid)


def _remove(found: dict[str, Member], entry: Listed) -> None:
    below = f"{entry.path}/" if entry.path else ""
    gone = [path for path in found if path.startswith(below)]
    if entry.kind == "whiteout":
        gone.append(entry.path)
    for path in gone:
        found.pop(path, None)
