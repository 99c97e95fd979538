"""The `find-needs` tool: the layer with what the server and its components need beside their
folders, taken from `full` where the base lacks it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from tritonbuild.oci import Compression, Listed, Listing, Member, OciError, Root
from tritonbuild.oci.made import MAKERS, write_layer
from tritonbuild.oci.tar import Kind
from tritonbuild.rule import ActionError, Digest, Folder, Problem, ToolContext, tool

from ..bases.image import wrong
from ..bases.registry import failed
from ..layouts import LAYERS, image_of, made_layers, names
from ..linking.closure import Terms, closure
from ..linking.ldcache import CACHE, ld_cache
from ..linking.linkage import Linkage
from ..linking.loader import Files, files_of
from .catalogue import Catalogue, known, pattern
from .check import FACTS, Facts
from .fetching import fetch_files
from .packages import STATUS, Packages
from .selection import HOME
from .slim import left_out
from .surveyed import Member as Found
from .surveyed import Survey, surveys_of
from .tars import tars_of

CATALOGUE, REMARKS = "catalogue.toml", "remarks.json"
REPLACES = (CACHE, STATUS)
"""Paths of the base that the layer makes anew."""
_OS = ("ID", "VERSION_ID")
_SHOWN = 10


@tool("find-needs", version=5, libraries=MAKERS)
def find_needs(ctx: ToolContext) -> None:
    """Inputs `base` (a sparse layout), `linkage/base/NNN` of its layers, `surveys/NNN`,
    `pieces/NNN` (layers that stand on the base), `linkage/pieces/NNN` and, of the workspace,
    catalogue.toml, facts.json; parameters `blobs` (SHA-256 of the surveyed layers), `components`
    (pairs of kind and name), `slim`, `compression` and `epoch`. Outputs `layers` and remarks.json.
    Raises ActionError with every library that is lacking."""
    here, there = _here(ctx), There(surveys_of(ctx), shared_with(ctx))
    catalogue = known(ctx, CATALOGUE)
    if problem := other_system(here.root, there.files.root):
        raise ActionError(problem)
    wanted = [path for path in _named(ctx, catalogue, there) if here.root.get(path) is None]
    cut = [path for linkage in _linkages(ctx, "pieces") for path in linkage.elves]
    start = map(here.root.canonical, cut)
    found = closure(here, there.files, start, wanted, terms(ctx, catalogue))
    copied = sorted({*wanted, *found.copied})
    problems = [*_lost(ctx, here.root), *found.problems]
    problems += _clashes(here.root, there.files.root, copied)
    if problems:
        raise ActionError(*problems)
    with tars_of(ctx) as tars:
        try:
            fetch_files(ctx, tars, there.members(copied))
        except OciError as error:
            raise failed(error, wrong(error, "what components need")) from None
    ctx.write(REMARKS, json.dumps(_some(found.told)).encode())
    _write(ctx, here, there, copied)


@dataclass
class There:
    """`full`: what is left of its layers."""

    surveys: Sequence[Survey]
    base: tuple[list[Listing], list[Linkage]]
    """Of the layers that it shares with the base."""

    @cached_property
    def files(self) -> Files:
        listings, linkages = self.base
        return files_of(
            [*listings, *(survey.listing for survey in self.surveys)],
            [*linkages, *(survey.linkage for survey in self.surveys)],
        )

    @cached_property
    def packages(self) -> Packages:
        texts: dict[str, str] = {}
        for survey in self.surveys:
            texts |= survey.texts
        return Packages(self.files.root.text(STATUS) or "", texts)

    def members(self, paths: Iterable[str]) -> Iterator[Found]:
        """The files among them that lie in surveyed layers."""
        for path in paths:
            entry = self.files.root.get(path)
            if entry is not None and entry.kind == "file":
                member = self._by_digest.get(entry.digest)
                if member is not None:
                    yield member

    @cached_property
    def _by_digest(self) -> dict[str, Found]:
        return {
            entry.digest: Found(survey, number)
            for survey in self.surveys
            for number, entry in enumerate(survey.listing.entries)
            if entry.kind == "file"
        }


def shared_with(ctx: ToolContext) -> tuple[list[Listing], list[Linkage]]:
    folder = ctx.inputs.get("base")
    if not isinstance(folder, Folder):
        return [], []
    sparse, image = image_of(folder, ctx)
    listings = [sparse.listing(layer.diff_id) for layer in image.layers]
    return listings, _linkages(ctx, "base")


def _linkages(ctx: ToolContext, which: str) -> list[Linkage]:
    return [
        Linkage.decode(ctx.read(f"linkage/{which}/{name}"))
        for name in names(ctx, f"linkage/{which}")
    ]


def _here(ctx: ToolContext) -> Files:
    """The image so far."""
    listings, linkages = shared_with(ctx)
    for name in names(ctx, "pieces"):
        listings += (listing for _, _, listing in made_layers(ctx, f"pieces/{name}"))
    return files_of(listings, [*linkages, *_linkages(ctx, "pieces")])


def other_system(here: Root, there: Root) -> Problem | None:
    """What is wrong with the base: components of one system do not stand on another."""
    told = []
    for root in (here, there):
        text = root.text("etc/os-release") or root.text("usr/lib/os-release") or ""
        said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        told.append(" ".join(said[name].strip("\"'") for name in _OS if name in said))
    if not all(told) or told[0] == told[1]:
        return None
    return Problem(
        f"the base is {told[0]}, and `full` {told[1]}", "one system for both",
        "take a base of the same release of it, such as the release's own `min`", key="base",
    )  # fmt: skip


def _lost(ctx: ToolContext, here: Root) -> Iterator[Problem]:
    """Components that are links to nothing."""
    for kind, name in ctx.parameters["components"]:
        entry = here.get(f"{HOME}/{kind}/{name}")
        if entry is not None and entry.kind == "link" and here.find(entry.path) is None:
            yield Problem(f"/{entry.path} is a link to {entry.target}, which is not", "a folder")


def _named(ctx: ToolContext, catalogue: Catalogue, there: There) -> Iterator[str]:
    """What the catalogue says of the components, as far as `full` has it."""
    chosen = [tuple(pair) for pair in ctx.parameters["components"]]
    entries = list(catalogue.entries(chosen))
    wanted = pattern(tuple(text for entry in entries for text in entry.packages))
    paths = pattern(tuple(text for entry in entries for text in entry.paths))
    root, packages = there.files.root, there.packages
    of_packages = {
        root.canonical(path)
        for name in packages.paragraphs
        if wanted.fullmatch(name)
        for path in packages.paths(name)
    }
    for entry in root.entries:
        named = entry.path in of_packages or paths.fullmatch(entry.path)
        if named and entry.kind != "folder" and not left_out(entry.path, ctx.parameters["slim"]):
            yield entry.path


def terms(ctx: ToolContext, catalogue: Catalogue) -> Terms:
    facts = Facts.model_validate_json(ctx.read(FACTS))
    slim = ctx.parameters.get("slim", ())
    return terms_of(catalogue, facts.env.get("LD_LIBRARY_PATH", ""), slim)


def terms_of(catalogue: Catalogue, library_path: str, slim: Sequence[str] = ()) -> Terms:
    """What the catalogue says of linking; `slim`: of what is opened by name, what stays behind."""
    return Terms(
        brought=pattern(tuple(catalogue.driver)),
        loaded=frozenset(catalogue.loaded),
        opens=[
            (pattern((name,)), pattern(tuple(opened))) for name, opened in catalogue.opens.items()
        ],
        library_path=library_path.split(":"),
        unwanted=lambda path: left_out(path, slim),
    )


def _clashes(here: Root, there: Root, paths: Sequence[str]) -> Iterator[Problem]:
    """A file of the base is never replaced by another."""
    wrong = [
        path
        for path in paths
        if (mine := here.get(path)) and (its := there.get(path)) and _what(mine) != _what(its)
    ]
    for path in wrong[:_SHOWN]:
        yield Problem(
            f"/{path} of the base is another than that of `full`, which components need",
            "the same file, or none", "take the release's own `min` as the base", key="base",
        )  # fmt: skip
    if len(wrong) > _SHOWN:
        yield Problem(f"and {len(wrong) - _SHOWN} more files")


def _what(entry: Listed) -> tuple[str, str, str]:
    return entry.kind, entry.digest, entry.target


def _some(told: Sequence[str]) -> list[str]:
    more = len(told) - _SHOWN
    return [*told[:_SHOWN], *([f"and {more} more of this kind"] if more > 0 else [])]


def _member(entry: Listed, epoch: int) -> Member:
    kind: Kind = "link" if entry.kind == "link" else "file"
    return Member(
        entry.path, kind, entry.mode, entry.uid, entry.gid, epoch,
        content=Digest(entry.digest, entry.size) if kind == "file" else b"", target=entry.target,
    )  # fmt: skip


def _write(ctx: ToolContext, here: Files, there: There, paths: Sequence[str]) -> None:
    """The layer: what is copied, the folders above it as `full` has them, what dpkg knows of it,
    and the cache of the dynamic linker anew."""
    epoch = ctx.parameters["epoch"]
    root = there.files.root
    entries = [entry for path in paths if (entry := root.get(path)) is not None]
    members = {entry.path: _member(entry, epoch) for entry in entries}
    for path in list(members):
        for folder in _above(path):
            entry = root.get(folder)
            if here.root.get(folder) is None and entry and entry.kind == "folder":
                members[folder] = Member(folder, "folder", entry.mode, entry.uid, entry.gid, epoch)
    copied = [path for path, member in members.items() if member.kind != "folder"]
    for path, text in _dpkg(here.root, there, copied).items():
        members[path] = Member(path, mtime=epoch, content=text.encode(errors="surrogateescape"))
    elves = {path: elf for path in paths if (elf := there.files.elves.get(path))}
    said = ((entry.path, root.text(entry.path)) for entry in entries)
    texts = {path: text for path, text in said if text is not None}
    whole = here.with_more(Listing(tuple(entries), texts), Linkage(elves))
    members[CACHE] = Member(CACHE, mtime=epoch, content=ld_cache(whole))
    write_layer(
        ctx, f"{LAYERS}/000", members.values(), "what Triton and its components need",
        Compression(ctx.parameters["compression"]),
    )  # fmt: skip


def _above(path: str) -> Iterator[str]:
    while path := path.rpartition("/")[0]:
        yield path


def _dpkg(here: Root, there: There, paths: Iterable[str]) -> dict[str, str]:
    """dpkg's files for the packages that something was copied of and that the base has not."""
    packages, root = there.packages, there.files.root
    owners = {root.canonical(path): name for path, name in packages.owners.items()}
    status = here.text(STATUS) or ""
    has = Packages(status, {}).paragraphs
    copied = sorted({owners[path] for path in paths if path in owners} - has.keys())
    found: dict[str, str] = {}
    for name in copied:
        if name in packages.paragraphs:
            found |= packages.info(name)
            status = f"{status.rstrip()}\n\n{packages.paragraphs[name]}".lstrip()
    return {**found, STATUS: status} if found else {}
