"""Fetches single files out of layers into the cache."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from tritonbuild.oci import Invalid
from tritonbuild.rule import Digest, ToolContext

from .surveyed import Member
from .tars import Tars


def fetch_files(ctx: ToolContext, tars: Tars, members: Iterable[Member]) -> None:
    """Files that are here already are not fetched. Raises OciError."""
    wanted: dict[str, list[Member]] = {}
    for member in members:
        if not ctx.has(Digest(member.entry.digest, member.entry.size)):
            wanted.setdefault(member.survey.sha256, []).append(member)
    for its in wanted.values():
        for member in sorted(its, key=lambda member: member.content):
            _fetch(ctx, tars, member)


def _fetch(ctx: ToolContext, tars: Tars, member: Member) -> None:
    entry = member.entry
    file = ctx.scratch / entry.digest
    sha = hashlib.sha256()
    with file.open("wb") as target:
        for piece in tars.pieces(member.survey, member.content, member.content + entry.size):
            sha.update(piece)
            target.write(piece)
    if sha.hexdigest() != entry.digest:
        raise Invalid(f"/{entry.path} is not what it was when its layer was read")
    ctx.put(file)
