"""Images whose layers nobody stores."""

from __future__ import annotations

from typing import Any

from parts.images import Memory
from tritonbuild.cache.disk import DiskCache
from tritonbuild.digest import Digest
from tritonbuild.merkle import File, Folder
from tritonbuild.oci import Compression, Descriptor, Image, Manifest, Recipe
from tritonbuild.oci.documents import MANIFEST
from tritonbuild.oci.sparse import Sparse


def sparse(cache: DiskCache, *recipes: Recipe, **execution: Any) -> Image:
    """An image whose layers are recipes."""
    layers, entries = [], {}
    for recipe in recipes:
        with recipe.open(cache) as tar:
            digest = Digest.of_stream(tar)
        layers.append(Descriptor.of(Compression.NONE.media_type, digest))
        entries[digest.hash] = File(cache.put(recipe.encoded))
    memory = Memory()
    image = memory.image_of([b""] * len(recipes), **execution)
    manifest = Manifest(config=image.manifest.config, layers=layers)
    blobs = {
        cache.put(content).hash: File(cache.put(content))
        for content in (*memory.blobs.values(), manifest.encoded)
    }
    root = Folder({"recipes": Folder(entries), "blobs": Folder({"sha256": Folder(blobs)})})
    return Image(Sparse(root, cache), Descriptor.of(MANIFEST, Digest.of_bytes(manifest.encoded)))
