"""The `deb-layer` tool: Debian packages as a layer. No script of theirs is run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tritonbuild.oci import Compression, Member
from tritonbuild.oci.made import MAKERS, write_layer
from tritonbuild.rule import ActionError, Folder, Problem, ToolContext, tool

if TYPE_CHECKING:
    from .deb import Deb

LAYER, STATUS = "layer", "status"


@tool("deb-layer", version=1, libraries=(*MAKERS, "python-debian"))
def make_deb_layer(ctx: ToolContext) -> None:
    """Inputs `debs/FILE`; outputs `layer`, and `status`: the packages' paragraphs in dpkg's."""
    from .deb import read_deb

    epoch, packages = ctx.parameters["epoch"], ctx.inputs.get("debs")
    assert isinstance(packages, Folder)
    debs = []
    for file in sorted(packages.entries):
        with ctx.open(f"debs/{file}") as package:
            debs.append(read_deb(package, file, epoch))
    names = ", ".join(deb.name for deb in debs)
    by = f"Debian packages {names}" if len(debs) > 1 else f"Debian package {names}"
    write_layer(ctx, LAYER, _members(debs, epoch), by, Compression.GZIP)
    ctx.write(STATUS, "".join(deb.status for deb in debs).encode(errors="surrogateescape"))


def _members(debs: list[Deb], epoch: int) -> Iterator[Member]:
    taken: dict[str, tuple[Deb, Member]] = {}
    for deb in debs:
        for member in deb.members:
            before = taken.get(member.path)
            if before is None or _wins(deb, member, *before):
                taken[member.path] = deb, member
    for deb, member in taken.values():
        if member.kind == "hardlink" and member.target not in taken:
            found = f"{deb.name}: {member.path} is a hard link to {member.target}, which is not"
            raise ActionError(Problem(found, "a link to a file that is kept"))
    for deb in debs:
        own = [m for m in deb.members if m.kind == "folder" or taken[m.path] == (deb, m)]
        yield from deb.info(own, epoch)
    yield from (member for _, member in taken.values())


def _wins(deb: Deb, member: Member, other: Deb, there: Member) -> bool:
    """Whether a member takes another's place; as with dpkg a folder keeps the mode that it has.
    Raises ActionError where dpkg would not install both packages."""
    if member.kind == there.kind == "folder" or other.replaces(deb):
        return False
    if deb.replaces(other):
        return True
    raise ActionError(
        Problem(
            f"/{member.path} is in both {other.name} and {deb.name}",
            "packages that can be installed together",
        )
    )
