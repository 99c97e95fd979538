"""All that an image, or an index of images, is made of."""

from __future__ import annotations

from collections.abc import Iterator

from tritonbuild.oci.content import Content, read
from tritonbuild.oci.documents import INDEXES, MANIFESTS, Descriptor, Index, Manifest
from tritonbuild.oci.errors import Invalid

DEEPEST = 4
"""Indexes in each other."""


def walk(source: Content, descriptor: Descriptor) -> Iterator[Descriptor]:
    """Everything that has to be there, each digest once, in the order in which registries take it:
    what something refers to comes before it. Raises what `read` does."""
    return _walk(source, descriptor, set(), DEEPEST)


def _walk(
    source: Content, descriptor: Descriptor, seen: set[str], deep: int
) -> Iterator[Descriptor]:
    if descriptor.digest in seen:
        return
    if deep < 0:
        raise Invalid(f"index {descriptor.digest} lies too deep", expected=f"≤ {DEEPEST} levels")
    seen.add(descriptor.digest)
    if descriptor.media_type in MANIFESTS:
        manifest = Manifest.parse(read(source, descriptor), f"manifest {descriptor.digest}")
        for blob in (manifest.config, *manifest.layers):
            if blob.digest not in seen:
                seen.add(blob.digest)
                yield blob
    elif descriptor.media_type in INDEXES:
        index = Index.parse(read(source, descriptor), f"index {descriptor.digest}")
        for entry in index.manifests:
            yield from _walk(source, entry, seen, deep - 1)
    yield descriptor
