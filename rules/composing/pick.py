"""Cuts members of a layer out of it: as they are, byte for byte, but for hard links to files that
stay behind, which become files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tritonbuild.oci import Compression, Invalid, Listed
from tritonbuild.oci import Member as TarMember
from tritonbuild.oci.compression import decompressed
from tritonbuild.oci.slices import Cut, Slice
from tritonbuild.oci.tar import END, header_of
from tritonbuild.oci.untar import BLOCK
from tritonbuild.rule import ActionError, Digest, Problem, ToolContext

from .fetching import fetch_files
from .survey import headers_sum
from .surveyed import Member, Survey
from .tars import Tars

_PIECE = 1 << 20


def pick(
    ctx: ToolContext, tars: Tars, members: Sequence[Member], files: Mapping[Member, Member]
) -> Slice:
    """Members of one layer; `files` are those that hard links among them become (`behind`). Raises
    OciError."""
    survey = members[0].survey
    fetch_files(ctx, tars, [files[member] for member in members if member in files])
    file = ctx.scratch / f"slice-{survey.sha256}"
    tar = tars.of(survey, 0)
    cut = tar.cut(file)
    sums = _Sums([member for member in members if member not in files], files)
    for begin, end, link in _runs(members, files):
        if link is not None:
            _write(ctx, cut, as_cut(link, files))
            continue
        tar.go(begin)
        tar.run(cut, begin, end)
        for piece in tars.pieces(survey, begin, end):
            sums.update(piece)
    sums.finish()
    made = cut.finish()
    if not tar.is_sure:
        check_slice(ctx, file, made, members, files)
    ctx.put(file)
    return made


def check_slice(
    ctx: ToolContext, file: Path, made: Slice, members: Sequence[Member],
    files: Mapping[Member, Member],
) -> None:  # fmt: skip
    """Whether a slice, whoever made it, is what its members were when their layer was surveyed.
    Raises Invalid."""
    sums, whole, left = _Sums(members, files), hashlib.sha256(), 0
    for part in _parts(members, files):
        left += part.size
    with decompressed(file.open("rb"), Compression.GZIP) as tar:
        while left and (piece := tar.read(min(left, _PIECE))):
            if ctx.cancelled:
                raise ActionError("stopped")
            left -= len(piece)
            sums.update(piece)
            whole.update(piece)
        sums.finish()
        end = tar.read(len(END) + 1)
        whole.update(end)
    if left or end != END or made.diff_id != f"sha256:{whole.hexdigest()}":
        raise sums.wrong


class _Part(NamedTuple):
    """Of the tar of a slice."""

    size: int
    sum: Any
    """A hash of it, to be updated; None for what pads a file."""
    expected: str


class _Sums:
    """Looks at the tar of a slice as it goes by: ranges of a layer that are read again are nothing
    that its digest vouches for. Raises Invalid where a member is not what it was when the layer was
    read as a whole, and verified."""

    def __init__(self, members: Sequence[Member], files: Mapping[Member, Member]):
        layer = f"layer sha256:{members[0].survey.sha256}" if members else "a layer"
        self.wrong = Invalid(f"a range of {layer} is not what it was when it was read")
        self._parts = _parts(members, files)
        self._part = _Part(0, None, "")
        self._left = 0
        """Of the present part."""

    def update(self, piece: bytes) -> None:
        rest = memoryview(piece)
        while rest:
            while not self._left:
                self._advance()
            now, rest = rest[: self._left], rest[self._left :]
            self._left -= len(now)
            if self._part.sum is not None:
                self._part.sum.update(now)

    def finish(self) -> None:
        """What pads the last member may be missing."""
        if self._left and self._part.sum is not None:
            raise self.wrong
        self._judge()
        if any(part.size and part.sum is not None for part in self._parts):
            raise self.wrong

    def _advance(self) -> None:
        self._judge()
        part = next(self._parts, None)
        if part is None:
            raise self.wrong
        self._part, self._left = part, part.size

    def _judge(self) -> None:
        if self._part.sum is not None and self._part.sum.hexdigest() != self._part.expected:
            raise self.wrong


def _parts(members: Sequence[Member], files: Mapping[Member, Member]) -> Iterator[_Part]:
    for member in sorted(members, key=lambda member: member.number):
        entry, (size, headers) = as_cut(member, files), _headers(member, files)
        yield _Part(size, headers_sum(), headers)
        if entry.kind == "file":
            yield _Part(entry.size, hashlib.sha256(), entry.digest)
            yield _Part(-entry.size % BLOCK, None, "")


def _headers(member: Member, files: Mapping[Member, Member]) -> tuple[int, str]:
    """Of what stands before its content in the layer that is cut out: bytes, and their sum."""
    if member not in files:
        return member.content - member.begin, member.headers
    headers = _header(as_cut(member, files))
    return len(headers), headers_sum(headers).hexdigest()


def _runs(
    members: Sequence[Member], files: Mapping[Member, Member]
) -> Iterator[tuple[int, int, Member | None]]:
    """Ranges of the tar, as long as can be, and links that become files, in the tar's order."""
    begin = end = -1
    for member in sorted(members, key=lambda member: member.number):
        if member in files or member.begin != end:
            if begin >= 0:
                yield begin, end, None
            begin = end = -1
        if member in files:
            yield member.begin, member.end, member
        else:
            begin, end = (member.begin if begin < 0 else begin), member.end
    if begin >= 0:
        yield begin, end, None


def behind(members: Mapping[str, Member], surveys: Sequence[Survey]) -> dict[Member, Member]:
    """Hard links among what is cut out that lead to a file of these layers that is not, or that
    layers above replace: link → file. Raises ActionError for one that leads to what comes after
    it, as in a circle."""
    found = {}
    for member in members.values():
        file = member
        while file.entry.kind == "hardlink":
            there = _file(file, surveys)
            if there is None:
                break  # below these layers, where it stays
            if file == member and members.get(there.entry.path) == there:
                break  # cut out too, and nothing above replaces it
            file = there
        if file != member and file.entry.kind == "file":
            found[member] = file
    return found


def _file(link: Member, surveys: Sequence[Survey]) -> Member | None:
    """What a hard link leads to: something before it in its layer, or in the ones below."""
    path = link.entry.target
    number = link.survey.files.get(path)
    if number is not None and number < link.number:
        return Member(link.survey, number)
    for layer in reversed(surveys[: surveys.index(link.survey)]):
        if path in layer.files:
            return Member(layer, layer.files[path])
    if number is not None:
        found = f"/{link.entry.path} of `full` is a hard link to /{path}, which comes after it"
        raise ActionError(Problem(found, "hard links to files, and none in a circle"))
    return None


def as_cut(member: Member, files: Mapping[Member, Member]) -> Listed:
    """How it stands in the layer that is cut out."""
    if member not in files:
        return member.entry
    return files[member].entry._replace(path=member.entry.path)


def _write(ctx: ToolContext, cut: Cut, entry: Listed) -> None:
    digest = Digest(entry.digest, entry.size)
    path = ctx.find(digest)
    assert path is not None, "it was fetched"
    cut.write(_header(entry))
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            cut.write(piece)
    cut.write(bytes(-entry.size % BLOCK))


def _header(entry: Listed) -> bytes:
    """Of a file that was a hard link."""
    digest = Digest(entry.digest, entry.size)
    member = TarMember(entry.path, mode=entry.mode, uid=entry.uid, gid=entry.gid, content=digest)
    return header_of(member)
