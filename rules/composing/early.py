"""Components that are cut out while a layer is surveyed, so that it is not read again for them.

What is found here is what `component` would make: it is remembered under a name that says all that
decides it, and it hangs on nothing but the layer's blob and the selection."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path

from tritonbuild.oci.slices import MAKERS, Slice, Slicing
from tritonbuild.oci.untar import Head
from tritonbuild.rule import Digest, ToolContext

from .selection import Selection

SLICE = "slice.json"
_VERSION = 2
"""Rises when other members of the same blob would be cut out for the same selection."""


class Early:
    """Implements Watch. Of the selections that the hint `wanted` names."""

    def __init__(self, ctx: ToolContext, slicing: Slicing):
        self._ctx = ctx
        self._slicing = slicing
        wanted = [Selection.of(one) for one in ctx.hints.get("wanted", ())]
        self._cuts = {selection: slicing.cut(ctx.scratch / selection.key) for selection in wanted}
        self._taken: dict[Selection, set[str]] = {selection: set() for selection in wanted}

    def member(self, path: str, head: Head) -> None:
        for selection in list(self._cuts):
            if not selection.takes(path):
                continue
            if _is_special(path, head, selection):
                self._slicing.drop(self._cuts.pop(selection))
                continue
            self._slicing.run(self._cuts[selection], head.begin, head.end)
            self._taken[selection].add(path)

    def content(self, piece: bytes) -> None:
        pass

    def keep(self) -> None:
        """To be found by `found`, once the whole blob is known to be good."""
        if not self._slicing.is_right:
            return
        for selection, cut in self._cuts.items():
            if self._taken[selection]:
                made = cut.finish()
                self._ctx.put(self._ctx.scratch / selection.key)
                keep(self._ctx, self._ctx.parameters["sha256"], selection, made)


def _is_special(path: str, head: Head, selection: Selection) -> bool:
    """Whether it takes more than copying what goes by: a removal, or a hard link to what is not
    selected, which may have gone by."""
    removes = path.rpartition("/")[2].startswith(".wh.")
    return removes or (head.kind == "hardlink" and not selection.takes(head.target.strip("/")))


def keep(ctx: ToolContext, sha256: str, selection: Selection, made: Slice) -> None:
    def write(folder: Path) -> None:
        folder.mkdir()
        (folder / SLICE).write_bytes(write_slice(made))

    ctx.kept(_name(sha256, selection), write)


def found(ctx: ToolContext, sha256: str, selection: Selection) -> Slice | None:
    """All of a selection that is in a layer, if it was cut out early and is still here."""

    class Unknown(Exception):
        pass

    def fail(folder: Path) -> None:
        raise Unknown

    try:
        folder = ctx.kept(_name(sha256, selection), fail)
        made = read_slice((folder / SLICE).read_bytes())
    except (Unknown, OSError, ValueError):
        return None
    return made if ctx.has(made.blob) else None


def write_slice(made: Slice) -> bytes:
    return json.dumps({"blob": str(made.blob), "diff_id": made.diff_id}).encode()


def read_slice(content: bytes) -> Slice:
    """The inverse of `write_slice`."""
    document = json.loads(content)
    return Slice(Digest.parse(document["blob"]), document["diff_id"])


def _name(sha256: str, selection: Selection) -> str:
    return f"slice-{_VERSION}-{_makers()}-{sha256[:32]}-{selection.key[:32]}"


def _makers() -> str:
    """Names the versions of all that decides a slice's bytes."""
    told = [name if "=" in name else f"{name}={metadata.version(name)}" for name in MAKERS]
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
