"""Puts layers on a base: what a tool that makes an image writes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from tritonbuild.digest import Digest
from tritonbuild.merkle import Entry, File, Folder
from tritonbuild.oci import made as layers
from tritonbuild.oci.compression import Compression
from tritonbuild.oci.documents import (
    CONFIG,
    MANIFEST,
    Descriptor,
    ImageConfig,
    Index,
    Manifest,
    RootFs,
)
from tritonbuild.oci.image import Image
from tritonbuild.oci.made import MadeLayer
from tritonbuild.oci.sparse import (
    BLOBS,
    CONTENTS,
    INDEX_FILE,
    LAYOUT,
    LAYOUT_CONTENT,
    LISTINGS,
    RECIPES,
)
from tritonbuild.tools import ToolContext

MAKERS = ("image=1",)
"""For the versions of tools that make images: rises when `write_image` would make other bytes."""


class Assembly:
    """A sparse layout that is being written to a path of a tool's outputs."""

    def __init__(self, ctx: ToolContext, path: str):
        self._ctx = ctx
        self._path = path
        self._linked: set[str] = set()
        ctx.write(f"{path}/{LAYOUT}", LAYOUT_CONTENT)

    def take_all(self, folder: Folder, besides: Collection[str] = ()) -> None:
        """Everything of another sparse layout besides its index.json, and blobs of those names."""
        for name in (BLOBS, RECIPES, CONTENTS, LISTINGS):
            below = folder.get(name)
            for key, entry in below.entries.items() if isinstance(below, Folder) else ():
                if name != BLOBS or key not in besides:
                    self._link(f"{name}/{key}", entry)

    def take_layer(self, folder: Folder, made: MadeLayer) -> None:
        """A layer as a tool has made it."""
        name = made.descriptor.content.hash
        for source, target in (
            (layers.BLOB, f"{BLOBS}/{name}"),
            (layers.RECIPE, f"{RECIPES}/{name}"),
        ):
            if (entry := folder.get(source)) is not None:
                self._link(target, entry)
        contents = folder.get(layers.CONTENTS)
        for key, entry in contents.entries.items() if isinstance(contents, Folder) else ():
            self._link(f"{CONTENTS}/{key}", entry)
        listing = folder.get(layers.LISTING)
        if listing is not None:
            self._link(f"{LISTINGS}/{made.diff_id.removeprefix('sha256:')}", listing)

    def write_blob(self, media_type: str, content: bytes, **more: Any) -> Descriptor:
        """A document."""
        digest = Digest.of_bytes(content)
        self._ctx.put(content)
        self._link(f"{BLOBS}/{digest.hash}", File(digest))
        return Descriptor.of(media_type, digest, **more)

    def finish(self, root: Descriptor) -> None:
        """index.json, which names the image."""
        self._ctx.write(f"{self._path}/{INDEX_FILE}", Index(manifests=[root]).encoded)

    def _link(self, name: str, entry: Entry) -> None:
        if name not in self._linked:
            self._linked.add(name)
            self._ctx.link(f"{self._path}/{name}", entry)


def write_image(
    assembly: Assembly,
    config: ImageConfig,
    base: Image | None,
    added: Sequence[MadeLayer],
    annotations: Mapping[str, str] | None = None,
) -> Descriptor:
    """Writes config and manifest of an image: the base's layers, and `added` on them. Of `config`
    everything counts but its layers and history."""
    below = [_in_oci(layer) for layer in base.manifest.layers] if base else []
    history = _whole_history(base) if base else []
    written = config.model_copy(
        update={
            "rootfs": RootFs(
                diff_ids=[
                    *(base.config.rootfs.diff_ids if base else ()),
                    *(layer.diff_id for layer in added),
                ]
            ),
            "history": [*history, *_history(added, config.created)],
        }
    )
    manifest = Manifest(
        config=assembly.write_blob(CONFIG, written.encoded),
        layers=[*below, *(layer.descriptor for layer in added)],
        annotations=dict(annotations) if annotations else None,
    )
    return assembly.write_blob(MANIFEST, manifest.encoded, platform=written.platform)


def _in_oci(layer: Descriptor) -> Descriptor:
    """Readers do not agree on manifests in which Docker's media types stand beside OCI's."""
    return layer.model_copy(update={"media_type": Compression.of(layer.media_type).media_type})


def _whole_history(base: Image) -> list[dict[str, Any]]:
    """With an entry for each of its layers, so that ours are not taken for theirs."""
    told = list(base.config.history or ())
    lacking = len(base.manifest.layers) - sum(not entry.get("empty_layer") for entry in told)
    return told if lacking <= 0 else [*told, *({"created_by": "unknown"} for _ in range(lacking))]


def _history(added: Iterable[MadeLayer], created: str | None) -> list[dict[str, Any]]:
    time = {"created": created} if created else {}
    return [{**time, "created_by": layer.by, "comment": "tritonbuild"} for layer in added]
