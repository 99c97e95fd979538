"""The `image-links` tool: of a base only what decides where a path leads, so that another content
of the base makes no layer anew."""

from __future__ import annotations

import json
import posixpath

from tritonbuild.oci import Listed, Listing, Root
from tritonbuild.rule import Artifact, Context, Folder, Output, ToolContext, tool

from ..layouts import root_of

LINKS = "links.json"


def links_of(ctx: Context[object], base: Artifact) -> Output:
    """Declares the finding of a base's links."""
    return ctx.tool(find_links, inputs={"base": base}, outputs=[LINKS])[LINKS]


@tool("image-links", version=1)
def find_links(ctx: ToolContext) -> None:
    """Input `base`, a sparse layout; output links.json: path → target, of links to folders."""
    folder = ctx.inputs.get("base")
    assert isinstance(folder, Folder)
    root = root_of(folder, ctx)
    links = {
        entry.path: entry.target
        for entry in root.entries
        if entry.kind == "link" and _leads_to_folder(root, entry)
    }
    ctx.write(LINKS, json.dumps(links, sort_keys=True).encode())


def _leads_to_folder(root: Root, link: Listed) -> bool:
    there = root.find(link.path)
    if there is None:  # a folder that no layer names
        path = posixpath.join(posixpath.dirname(f"/{link.path}"), link.target)
        return bool(root.names(path))
    return there.kind == "folder"


def read_links(content: bytes) -> Root:
    """A root with those links alone."""
    root = Root()
    links = json.loads(content)
    root.put(Listing(tuple(Listed(path, "link", target=to) for path, to in links.items())))
    return root
