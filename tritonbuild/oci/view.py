"""The file system of an image, which of its layers each path comes from, and small files of it."""

from __future__ import annotations

import posixpath
import tarfile
from collections.abc import Callable
from functools import cached_property

from tritonbuild.oci.documents import LIMIT
from tritonbuild.oci.errors import Absent, Invalid
from tritonbuild.oci.image import Image, Layer
from tritonbuild.oci.listing import Listing
from tritonbuild.oci.root import Root


class View:
    """`listing` tells what a layer holds."""

    def __init__(self, image: Image, listing: Callable[[Layer], Listing]):
        self.image = image
        self._listing = listing

    @cached_property
    def listings(self) -> list[Listing]:
        """Of the layers, from the lowest up."""
        return [self._listing(layer) for layer in self.image.layers]

    @cached_property
    def root(self) -> Root:
        root = Root()
        for listing in self.listings:
            root.put(listing)
        return root

    @cached_property
    def owners(self) -> dict[str, int]:
        """Path → number of the layer that it comes from."""
        owners: dict[str, int] = {}
        for number, listing in enumerate(self.listings):
            for entry in listing.entries:
                if entry.kind not in ("whiteout", "opaque"):
                    owners[self.root.canonical(entry.path)] = number
        return owners

    def read(self, path: str, limit: int = LIMIT) -> bytes:
        """A file. Raises Absent; Invalid for a large one."""
        entry = self.root.find(path)
        if entry is None or entry.kind != "file":
            raise Absent(f"the image has no file /{path}")
        if entry.size > limit:
            raise Invalid(f"/{entry.path} has {entry.size} bytes", expected=f"at most {limit}")
        layer = self.image.layers[self.owners[entry.path]]
        try:
            with layer.uncompressed() as stream, tarfile.open(fileobj=stream, mode="r|") as tar:
                for member in tar:
                    name = posixpath.normpath(f"/{member.name}").lstrip("/")
                    if member.isfile() and self.root.canonical(name) == entry.path:
                        content = tar.extractfile(member)
                        assert content is not None
                        return content.read(limit)
        except tarfile.TarError as error:
            raise Invalid(f"layer {layer.descriptor.digest} is no tar: {error}") from None
        raise Absent(f"/{entry.path} is a hard link, which is not followed")
