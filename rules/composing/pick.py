"""Cuts members of a layer out of it: as they are, byte for byte, but for hard links to files that
stay behind, which become files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tritonbuild.oci import Listed
from tritonbuild.oci import Member as TarMember
from tritonbuild.oci.slices import Cut, Slice
from tritonbuild.oci.tar import header_of
from tritonbuild.oci.untar import BLOCK
from tritonbuild.rule import Digest, ToolContext

from .fetching import fetch_files
from .surveyed import Member, Survey
from .tars import Tars


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
    for begin, end, link in _runs(members, files):
        if link is not None:
            _write(ctx, cut, as_cut(link, files))
            continue
        tar.go(begin)
        tar.run(cut, begin, end)
        for _ in tars.pieces(survey, begin, end):
            pass
    made = cut.finish()
    ctx.put(file)
    return made


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
    layers above replace: link → file."""
    found = {}
    for member in members.values():
        file = member
        while file.entry.kind == "hardlink":
            there = _file(file.entry.target, file.survey, surveys)
            if there is None:
                break  # below these layers, where it stays
            if file is member and members.get(there.entry.path) == there:
                break  # cut out too, and nothing above replaces it
            file = there
        if file is not member and file.entry.kind == "file":
            found[member] = file
    return found


def _file(path: str, survey: Survey, surveys: Sequence[Survey]) -> Member | None:
    """What lies at a path in a layer, or in the ones below it."""
    for layer in reversed(surveys[: surveys.index(survey) + 1]):
        for number, entry in enumerate(layer.listing.entries):
            if entry.path == path and entry.kind in ("file", "hardlink"):
                return Member(layer, number)
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
    member = TarMember(entry.path, mode=entry.mode, uid=entry.uid, gid=entry.gid, content=digest)
    cut.write(header_of(member))
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            cut.write(piece)
    cut.write(bytes(-entry.size % BLOCK))
