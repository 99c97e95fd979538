"""Surveys of layers, as tools have them as inputs; and what their layers make together."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

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
    def spans(self) -> Sequence[tuple[int, int, str]]:
        """Of each entry of the listing, as `Spans` has it."""
        found: list[tuple[int, int, str]] = json.loads(self.ctx.read(f"{self.path}/{SPANS}"))
        return found

    @cached_property
    def files(self) -> Mapping[str, int]:
        """Path → number in the listing, of what hard links may lead to."""
        return {
            entry.path: number
            for number, entry in enumerate(self.listing.entries)
            if entry.kind in ("file", "hardlink")
        }

    @cached_property
    def linkage(self) -> Linkage:
        return Linkage.decode(self.ctx.read(f"{self.path}/{LINKAGE}"))

    @cached_property
    def points(self) -> bytes:
        """From where its tar can be read, as `Slicing` takes it; empty: from its beginning only."""
        from zstandard import ZstdDecompressor

        return ZstdDecompressor().decompress(self.ctx.read(f"{self.path}/{POINTS}"))

    @property
    def is_one(self) -> bool:
        """Its compressed blocks can be taken over."""
        return bool(self._form["one"])

    @property
    def size(self) -> int:
        """Bytes of its tar."""
        return int(self._form["size"])

    @cached_property
    def _form(self) -> Mapping[str, Any]:
        found: dict[str, Any] = json.loads(self.ctx.read(f"{self.path}/{FORM}"))
        return found

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
        """Where the next one begins; the tar may end without what pads the last one."""
        size = self.entry.size if self.entry.kind == "file" else 0
        return min(self.content + size + -size % BLOCK, self.survey.size)

    @property
    def headers(self) -> str:
        """The sum of what stands before its content, in hex digits."""
        return self.survey.spans[self.number][2]


def surveys_of(ctx: ToolContext) -> list[Survey]:
    """From the lowest layer up; the parameter `blobs` says of which."""
    found = names(ctx, SURVEYS)
    pairs = zip(found, ctx.parameters["blobs"], strict=True)
    return [Survey(ctx, f"{SURVEYS}/{name}", sha256) for name, sha256 in pairs]


def left(surveys: Sequence[Survey], selection: Selection) -> dict[str, Member]:
    """What layers make together of what is selected: path → member. Links on the way to a path are
    not followed."""
    found = _Found()
    for survey in surveys:
        entries = survey.listing.entries
        for entry in entries:
            if entry.kind in ("whiteout", "opaque"):
                found.remove(entry.path, itself=entry.kind == "whiteout")
        for number, entry in enumerate(entries):
            if entry.kind in ("whiteout", "opaque"):
                continue
            if entry.kind != "folder":
                found.remove(entry.path)
            if not selection.takes(entry.path):
                continue
            old = found.members.get(entry.path)
            if old is None or not _alike(old.entry, entry):
                found.put(entry.path, Member(survey, number))
    return found.members


def _alike(one: Listed, other: Listed) -> bool:
    return (one.kind, one.mode, one.uid, one.gid) == (other.kind, other.mode, other.uid, other.gid)


@dataclass
class _Found:
    """Members by their paths, and what lies in which folder."""

    members: dict[str, Member] = field(default_factory=dict)
    _inside: dict[str, set[str]] = field(default_factory=dict)

    def put(self, path: str, member: Member) -> None:
        self.members[path] = member
        while path:
            folder = path.rpartition("/")[0]
            inside = self._inside.setdefault(folder, set())
            if path in inside:
                break
            inside.add(path)
            path = folder

    def remove(self, path: str, *, itself: bool = True) -> None:
        """With all that lies below it."""
        if itself:
            self.members.pop(path, None)
        gone = [path]
        while gone:
            inside = self._inside.pop(gone.pop(), ())
            gone += inside
            for one in inside:
                self.members.pop(one, None)
