"""The `image-layers` tool: folders as layers at their places in an image. What is large gets a
layer of its own, so that a change moves itself alone."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any

from tritonbuild.oci import Compression, Member, Root
from tritonbuild.oci.made import MAKERS, write_layer
from tritonbuild.oci.tar import members_of
from tritonbuild.rule import (
    ActionError,
    Artifact,
    Context,
    Folder,
    Output,
    Problem,
    ToolContext,
    tool,
)

from ..layouts import LAYERS
from .links import LINKS, read_links

LARGE = 64 << 20
"""Bytes from which a file gets a layer of its own."""
MOST = 16
"""Layers that one call makes, at most."""


@dataclass(frozen=True)
class Placed:
    """A folder, or a file, and where it goes."""

    path: str
    """In the image, without a leading slash."""
    artifact: Artifact
    skip: Sequence[str] = ()
    """Names in the folder that are left out."""


@dataclass(frozen=True)
class LayerGroup:
    """Layers of one image that one tool makes."""

    name: str
    """For people: what put them there."""
    layers: Output
    replaces: Sequence[str] = field(default=())
    """Paths, and folders ending in `/`, in which it may replace what lies below."""
    remarks: Output | None = None
    """What is to be told of it, as ImageInfo says."""


def layers(
    ctx: Context[Any],
    name: str,
    placed: Sequence[Placed],
    links: Artifact,
    *,
    compression: Compression,
    most: int = MOST,
    large: int = LARGE,
    replaces: Sequence[str] = (),
) -> LayerGroup:
    """Declares the making of layers; `name` says what is in them."""
    keys = [f"{number:03}" for number in range(len(placed))]
    made = ctx.tool(
        make_layers,
        name=f"layers of {name}",
        parameters={
            "by": name,
            "compression": str(compression),
            "epoch": ctx.epoch,
            "large": large,
            "most": most,
            "places": {
                key: {"path": item.path, "skip": sorted(item.skip)}
                for key, item in zip(keys, placed, strict=True)
            },
        },
        inputs={
            LINKS: links,
            **{f"trees/{k}": item.artifact for k, item in zip(keys, placed, strict=True)},
        },
        outputs=[LAYERS],
    )
    return LayerGroup(name, made[LAYERS], replaces)


@tool("image-layers", version=1, libraries=MAKERS)
def make_layers(ctx: ToolContext) -> None:
    """Inputs `trees/NNN` and links.json; output `layers`."""
    parameters = ctx.parameters
    root = read_links(ctx.read(LINKS))
    members: dict[str, Member] = {}
    for key, place in sorted(parameters["places"].items()):
        for member in _members(ctx, key, place, parameters["epoch"]):
            path = _real(root, member)
            if path in members and members[path].kind == member.kind == "folder":
                continue
            # Of packages that have one file the later wins, as with pip.
            members[path] = replace(member, path=path)
    _check(members)
    compression = Compression(parameters["compression"])
    groups = packed(members.values(), parameters["large"], parameters["most"])
    for number, (title, group) in enumerate(groups):
        by = f"{parameters['by']}: {title}" if title else parameters["by"]
        write_layer(ctx, f"{LAYERS}/{number:03}", group, by, compression)
    if not members:
        ctx.link(LAYERS, Folder())


def _members(ctx: ToolContext, key: str, place: Mapping[str, Any], epoch: int) -> Iterator[Member]:
    tree = ctx.inputs.get(f"trees/{key}")
    assert tree is not None
    if place["skip"] and isinstance(tree, Folder):
        left = {n: e for n, e in tree.entries.items() if n not in place["skip"]}
        tree = Folder(left)
    yield from members_of(tree, place["path"], mtime=epoch)


def _real(root: Root, member: Member) -> str:
    """Where it lies: a folder in the place of a link to one is merged into that."""
    if member.kind != "folder":
        return root.canonical(member.path)
    return root.canonical(f"{member.path}/-").rpartition("/")[0]


def _check(members: Mapping[str, Member]) -> None:
    """Raises ActionError for what lies below something that is no folder."""
    if "" in members:
        raise ActionError(Problem("a file in the place of the root", "a folder", key="files./"))
    for path in members:
        for above in accumulate(path.split("/")[:-1], "{}/{}".format):
            if above in members and members[above].kind != "folder":
                found = f"/{path} would lie below /{above}, which is a {members[above].kind}"
                raise ActionError(Problem(found, remedy="put one of them elsewhere"))


def packed(members: Iterable[Member], large: int, most: int) -> Iterator[tuple[str, list[Member]]]:
    """Members by the layer that they go into, with its title: the small ones together, each large
    one alone, or where there are too many of these in groups that another file does not move. At
    most `most` layers."""
    if most == 1:
        yield "", sorted(members, key=_path)
        return
    small: list[Member] = []
    big: list[Member] = []
    for member in members:
        (big if member.size >= large else small).append(member)
    if small:
        yield "", sorted(small, key=_path)
    if len(big) < most:
        for member in sorted(big, key=_path):
            yield member.path.rpartition("/")[2], [member]
        return
    groups: dict[int, list[Member]] = {}
    for member in big:
        number = int(hashlib.sha256(member.path.encode()).hexdigest(), 16) % (most - 1)
        groups.setdefault(number, []).append(member)
    for number, group in sorted(groups.items()):
        yield f"part {number + 1}", sorted(group, key=_path)


def _path(member: Member) -> str:
    return member.path
