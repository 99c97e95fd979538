"""The `cut-component` tool: the layers of `full`, as far as a component lies in them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tritonbuild.oci import Compression, Descriptor, Invalid, Listed, Listing, OciError
from tritonbuild.oci.made import BLOB, MadeLayer, describe_layer
from tritonbuild.oci.slices import MAKERS, Slice
from tritonbuild.rule import ActionError, File, Folder, Problem, ToolContext, did_you_mean, tool

from ..bases.image import wrong
from ..bases.registry import failed
from ..layouts import LAYERS, root_of
from ..linking.elf import Elf
from ..linking.facts import LINKAGE
from ..linking.linkage import Linkage
from .early import SLICE, read_slice, write_slice
from .early import found as found_early
from .pick import as_cut, behind, check_slice, pick
from .selection import HOME, Selection, components
from .shared import Shared, shared, tag
from .surveyed import Member, Survey, left, surveys_of
from .tars import Tars, tars_of

_HOPS = 40
"""Links that are followed."""


@tool("cut-component", version=4, libraries=MAKERS)
def cut_component(ctx: ToolContext) -> None:
    """Inputs `surveys/NNN` and, of an image that may have it already, `base`; parameters `blobs`
    (SHA-256 of the surveyed layers), `selection` and `by` (what is cut out, for people). Outputs
    `layers` and linkage.json. Raises ActionError where nobody has it, with what there is."""
    selection = Selection.of(ctx.parameters["selection"])
    if _is_there(ctx, selection):
        ctx.link(LAYERS, Folder())
        ctx.write(LINKAGE, Linkage({}).encoded)
        return
    surveys = surveys_of(ctx)
    selection = _followed(surveys, selection)
    members = left(surveys, selection)
    if not any(path in members or _below(path, members) for path in selection.trees):
        raise ActionError(_absent(ctx, surveys, selection))
    files = behind(members, surveys)
    with tars_of(ctx) as tars, shared(ctx) as cache:
        for number, survey in enumerate(surveys):
            its = [member for member in members.values() if member.survey is survey]
            its.sort(key=lambda member: member.number)
            if not its:
                continue
            try:
                early = _early(ctx, survey, selection, its, files)
                made = _cut(ctx, early, its, files, tars, cache)
            except OciError as error:
                told = wrong(error, f"{ctx.parameters['by']}, out of layer sha256:{survey.sha256}")
                raise failed(error, told) from None
            _write(ctx, f"{LAYERS}/{number:03}", made, [as_cut(member, files) for member in its])
    ctx.write(LINKAGE, Linkage(linked(members.values(), files)).encoded)


def _is_there(ctx: ToolContext, selection: Selection) -> bool:
    base = ctx.inputs.get("base")
    if not isinstance(base, Folder):
        return False
    root = root_of(base, ctx)
    return all(root.find(tree) is not None or root.names(tree) for tree in selection.trees)


def _below(path: str, members: Mapping[str, Member]) -> bool:
    return any(member.startswith(f"{path}/") for member in members)


def _followed(surveys: Sequence[Survey], selection: Selection) -> Selection:
    """With what its own paths lead to, where they are links. Raises ActionError for a loop."""
    trees = list(selection.trees)
    for path in selection.trees:
        for _ in range(_HOPS):
            alone = left(surveys, Selection((path,))).get(path)
            if alone is None or alone.entry.kind != "link":
                break
            target = posixpath.join(posixpath.dirname(f"/{path}"), alone.entry.target)
            path = posixpath.normpath(target).lstrip("/")
            trees.append(path)
        else:
            found = f"/{selection.trees[0]} of `full` is a link in a circle"
            raise ActionError(Problem(found, "a folder"))
    return replace(selection, trees=tuple(dict.fromkeys(trees)))


def _absent(ctx: ToolContext, surveys: Sequence[Survey], selection: Selection) -> Problem:
    there = components(_left(ctx, surveys))
    kind, _, name = selection.trees[0].removeprefix(f"{HOME}/").partition("/")
    has = there.get(kind)
    if has is None or not name:
        return Problem(
            f"`full` has no /{HOME} with a server", "an image with a Triton",
            "is it `full`? The smaller one is `min`",
        )  # fmt: skip
    own = f"declare it with the folder it lies in, if it is your own: [{kind}.{name}] path = …"
    whole = isinstance(ctx.inputs.get("base"), Folder)
    if whole and surveys:
        found = f"neither the image nor `full` has {name!r} among its {kind}"
    else:
        found = f"{'the image' if whole else '`full`'} has no {name!r} among its {kind}"
    if whole and not surveys:
        own += "; or say in the distribution which image of the same release has it: full = …"
    expected = f"one of: {', '.join(has)}" if has else f"nothing: it has no {kind}"
    near = did_you_mean(name, has)
    return Problem(found, expected, near if near.startswith("did") else own)


def _left(ctx: ToolContext, surveys: Sequence[Survey]) -> Iterator[Listed]:
    """What there is of components, in the image that may have them already too."""
    base = ctx.inputs.get("base")
    if isinstance(base, Folder):
        yield from root_of(base, ctx).entries
    for member in left(surveys, Selection((HOME,))).values():
        yield member.entry


def _cut(
    ctx: ToolContext,
    early: Slice | None,
    members: Sequence[Member],
    files: Mapping[Member, Member],
    tars: Tars,
    cache: Shared | None,
) -> Slice:
    """Members of one layer, from wherever they are to be had most quickly. Raises OciError."""
    if cache is None:
        return early or pick(ctx, tars, members, files)
    sha256 = members[0].survey.sha256
    name = tag("slice", cut_component.version, sha256, *_told(members, files))

    def use(there: Mapping[str, Descriptor]) -> Slice:
        return early or _kept(cache, there, members, files)

    known = cache.use(name, (SLICE, BLOB), use)
    if known is not None:
        return known
    made = early or pick(ctx, tars, members, files)
    path = ctx.find(made.blob)
    assert path is not None, "it was just put there"
    cache.put(name, {SLICE: write_slice(made), BLOB: path})
    return made


def _kept(
    cache: Shared,
    there: Mapping[str, Descriptor],
    members: Sequence[Member],
    files: Mapping[Member, Member],
) -> Slice:
    """What somebody else cut. Raises OciError, also where it is not what would be cut here."""
    try:
        made = read_slice(cache.read(there[SLICE]))
    except (KeyError, TypeError, ValueError):
        raise Invalid(f"its {SLICE} is none") from None
    if made.blob != there[BLOB].content:
        raise Invalid(f"its {SLICE} tells of the blob {made.blob}, and it has another")
    if not cache.ctx.has(made.blob):
        cache.fetch(there[BLOB])
    path = cache.ctx.find(made.blob)
    assert path is not None, "it was just put there"
    check_slice(cache.ctx, path, made, members, files)
    return made


def _told(members: Sequence[Member], files: Mapping[Member, Member]) -> Iterator[str]:
    """Which members, and what becomes of links among them."""
    for member in members:
        file = files.get(member)
        yield f"{member.number}" + (f" {file.survey.sha256} {file.number}" if file else "")


def _early(
    ctx: ToolContext, survey: Survey, selection: Selection, members: Sequence[Member],
    files: Mapping[Member, Member],
) -> Slice | None:  # fmt: skip
    """What was cut out while the layer was surveyed, if the layers above leave all of it and no
    hard link has to become a file."""
    taken = sum(selection.takes(entry.path) for entry in survey.listing.entries)
    if taken != len(members) or not files.keys().isdisjoint(members):
        return None
    return found_early(ctx, survey.sha256, selection)


def linked(members: Iterable[Member], files: Mapping[Member, Member]) -> dict[str, Elf]:
    """What is linked to what among members, from the lowest layer up; what hard links stand for,
    too. `files` as of `behind`."""
    found: dict[str, Elf] = {}
    for member in members:
        file, path = files.get(member, member), member.entry.path
        if file.entry.path in (linkage := file.survey.linkage):
            found[path] = linkage[file.entry.path]
        elif file.entry.kind == "hardlink" and file.entry.target in found:
            found[path] = found[file.entry.target]
    return found


def _write(ctx: ToolContext, path: str, made: Slice, entries: Sequence[Listed]) -> None:
    ctx.link(f"{path}/{BLOB}", File(made.blob))
    layer = MadeLayer(
        descriptor=Descriptor.of(Compression.GZIP.media_type, made.blob),
        diff_id=made.diff_id,
        by=ctx.parameters["by"],
    )
    describe_layer(ctx, path, layer, Listing(tuple(entries)))
