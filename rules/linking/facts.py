"""The tools `link-image` and `link-layers`: the linkage of layers, in one pass over each."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from tritonbuild.oci import Compression, Layer, OciError, Recipe
from tritonbuild.oci.compression import decompressed
from tritonbuild.oci.indexing import index_layer
from tritonbuild.oci.made import BLOB, RECIPE
from tritonbuild.oci.untar import Head
from tritonbuild.rule import ActionError, Artifact, Context, Folder, Output, ToolContext, tool

from ..bases.image import wrong
from ..layouts import image_of, made_layers
from .elf import MAGIC, Elf, read_elf
from .ends import Ends, Lost
from .linkage import Linkage

LINKAGE = "linkage.json"
_VERSION = 2
"""Rises when the same layer would give another linkage."""
_IN_MEMORY = 8 << 20
"""Bytes of a file up to which it is read in memory."""
_FOLDER = "linkage"
_LAYERS = "layers"


class Elves:
    """Implements Watch: looks at each ELF file that goes by."""

    def __init__(self, scratch: Path, *, again: bool = False):
        """`again`: of large files only the ends are looked at, for those that need more can be
        looked at again."""
        self._scratch = scratch / "elf"
        self._again = again
        self._elves: dict[str, Elf] = {}
        self._head: tuple[str, Head] | None = None
        self._file: BinaryIO | None = None
        self._first = True
        self.missed: list[str] = []
        """Paths of files that have to be looked at again."""

    def member(self, path: str, head: Head) -> None:
        self.finish()
        self._head, self._first = (path, head), True

    def content(self, piece: bytes) -> None:
        if self._first:
            self._first = False
            assert self._head is not None
            if piece.startswith(MAGIC):
                self._file = self._open(self._head[1].size)
        if self._file is not None:
            self._file.write(piece)

    def _open(self, size: int) -> BinaryIO:
        if size <= _IN_MEMORY:
            return io.BytesIO()
        if self._again:
            return Ends()  # type: ignore[return-value]  # unbuffered, it reads all the same
        return self._scratch.open("w+b")

    def look(self, path: str, content: Iterable[bytes]) -> None:
        """At a file that was missed."""
        with self._scratch.open("w+b") as file:
            file.writelines(content)
            self._read(path, file)
        self._scratch.unlink()

    def finish(self) -> None:
        """With the last one."""
        if self._file is None or self._head is None:
            return
        with self._file as file:
            self._file = None
            self._read(self._head[0], file)
        self._scratch.unlink(missing_ok=True)

    def _read(self, path: str, file: BinaryIO) -> None:
        try:
            elf = read_elf(file)
        except Lost:
            self.missed.append(path)
            return
        except ValueError:
            return  # nothing can be linked to it
        if elf is not None:
            self._elves[path] = elf

    @property
    def linkage(self) -> Linkage:
        """Of all that went by."""
        self.finish()
        return Linkage(self._elves)


def link_image(ctx: Context[Any], image: Artifact) -> Output:
    """Declares the linkage of an image's layers: a folder of NNN, from the lowest up."""
    return ctx.tool(link_image_layers, inputs={"image": image}, outputs=[_FOLDER])[_FOLDER]


def link_layers(ctx: Context[Any], layers: Artifact) -> Output:
    """Declares the linkage of made layers, together."""
    return ctx.tool(link_made_layers, inputs={_LAYERS: layers}, outputs=[LINKAGE])[LINKAGE]


@tool("link-image", version=_VERSION)
def link_image_layers(ctx: ToolContext) -> None:
    """Input `image`, a sparse layout; output `linkage`: NNN → linkage of that layer."""
    folder = ctx.inputs.get("image")
    assert isinstance(folder, Folder)
    _, image = image_of(folder, ctx)
    ctx.link(_FOLDER, Folder())
    for number, layer in enumerate(image.layers):
        ctx.write(f"{_FOLDER}/{number:03}", _of_layer(ctx, layer))


@tool("link-layers", version=_VERSION)
def link_made_layers(ctx: ToolContext) -> None:
    """Input `layers`, a folder of made layers; output linkage.json."""
    elves: dict[str, Elf] = {}
    for folder, made, _ in made_layers(ctx, _LAYERS):
        with _open(ctx, folder, Compression.of(made.descriptor.media_type)) as tar:
            elves |= _linkage(ctx, tar).elves
    ctx.write(LINKAGE, Linkage(elves).encoded)


def _open(ctx: ToolContext, folder: Folder, compression: Compression) -> BinaryIO:
    for name in (BLOB, RECIPE):
        entry = folder.get(name)
        if entry is not None:
            path = ctx.find(entry.digest)  # type: ignore[union-attr]  # we made it: a file
            assert path is not None, "it came in"
            if name == BLOB:
                return decompressed(path.open("rb"), compression)
            return Recipe.decode(path.read_bytes()).open(ctx)
    raise AssertionError("a layer has the one or the other")


def _of_layer(ctx: ToolContext, layer: Layer) -> bytes:
    """Kept by the digest of its blob, which is verified, so that it is read once whatever image it
    comes in."""

    def make(folder: Path) -> None:
        try:
            with layer.uncompressed() as tar:
                linkage = _linkage(ctx, tar)
        except OciError as error:
            raise ActionError(wrong(error, f"layer {layer.descriptor.digest}")) from None
        folder.mkdir()
        (folder / LINKAGE).write_bytes(linkage.encoded)

    name = f"linkage-{_VERSION}-{layer.descriptor.digest.partition(':')[2]}"
    return (ctx.kept(name, make) / LINKAGE).read_bytes()


def _linkage(ctx: ToolContext, tar: BinaryIO) -> Linkage:
    def check() -> None:
        if ctx.cancelled:
            raise ActionError("stopped")

    elves = Elves(ctx.scratch)
    index_layer(tar, 1 << 63, check, elves)
    return elves.linkage
