"""An image as a tool's output: an OCI layout in which a layer may be a recipe.

oci-layout, index.json   as in a layout; index.json names one manifest or index
blobs/sha256/HEX         documents, and layers whose bytes are stored
recipes/HEX              how to make the layer of that digest, of
contents/HEX             contents by their digests
listings/HEX             what the layer of that diff id holds
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from functools import cached_property
from typing import BinaryIO

from tritonbuild.cache import Finder
from tritonbuild.digest import CHUNK, Digest
from tritonbuild.merkle import Entry, File, Folder
from tritonbuild.oci.documents import Descriptor, Index, Platform
from tritonbuild.oci.errors import Absent
from tritonbuild.oci.image import Image, image_in
from tritonbuild.oci.listing import Listing
from tritonbuild.oci.recipe import Recipe

LAYOUT, INDEX_FILE, BLOBS = "oci-layout", "index.json", "blobs/sha256"
RECIPES, CONTENTS, LISTINGS = "recipes", "contents", "listings"
LAYOUT_CONTENT = b'{"imageLayoutVersion":"1.0.0"}'


class Sparse:
    """Implements Content."""

    def __init__(self, folder: Folder, blobs: Finder):
        self._folder = folder
        self._blobs = blobs

    @cached_property
    def index(self) -> Index:
        """Of the layout itself."""
        return Index.parse(self._read(INDEX_FILE), INDEX_FILE)

    @property
    def descriptor(self) -> Descriptor:
        """Of the image, or of the index of images."""
        return self.index.manifests[0]

    def image(self, platform: Platform) -> Image:
        """Raises Absent."""
        return image_in(self, self.descriptor, platform)

    def open(self, descriptor: Descriptor) -> BinaryIO:
        name = descriptor.content.hash
        if self._folder.get(f"{BLOBS}/{name}") is not None:
            path = self._blobs.find(self._file(f"{BLOBS}/{name}").digest)
            if path is None:
                raise Absent(f"blob {descriptor.digest} is gone", remedy="build again")
            return io.BufferedReader(path.open("rb", buffering=0), CHUNK)
        return self.recipe(descriptor.content).open(self._blobs)

    def recipe(self, digest: Digest) -> Recipe:
        """Raises Absent."""
        return Recipe.decode(self._read(f"{RECIPES}/{digest.hash}"))

    def check(self, digest: Digest) -> None:
        """After a layer was read from its recipe. Raises Absent where a content changed."""
        if gone := self.recipes[digest].missing(self._blobs):
            raise Absent(f"content {gone} changed while it was read", remedy="build again")

    @property
    def files(self) -> Mapping[str, Entry]:
        """The whole layout, as it is placed: path → file. Those of `recipes` are put together."""
        entries: dict[str, Entry] = {name: self._file(name) for name in (LAYOUT, INDEX_FILE)}
        stored = self._folder.get(BLOBS)
        assert isinstance(stored, Folder)
        entries |= {f"{BLOBS}/{name}": entry for name, entry in stored.entries.items()}
        return entries | {f"{BLOBS}/{digest.hash}": File(digest) for digest in self.recipes}

    @cached_property
    def recipes(self) -> Mapping[Digest, Recipe]:
        """Of the layers that are not stored."""
        folder = self._folder.get(RECIPES)
        names = folder.entries if isinstance(folder, Folder) else ()
        read = {name: Recipe.decode(self._read(f"{RECIPES}/{name}")) for name in names}
        return {Digest(name, recipe.size): recipe for name, recipe in read.items()}

    def listing(self, diff_id: str) -> Listing:
        return Listing.decode(self._read(f"{LISTINGS}/{diff_id.removeprefix('sha256:')}"))

    def _file(self, path: str) -> File:
        entry = self._folder.get(path)
        if not isinstance(entry, File):
            raise Absent(f"it holds no {path}")
        return entry

    def _read(self, path: str) -> bytes:
        found = self._blobs.find(self._file(path).digest)
        if found is None:
            raise Absent(f"{path} is gone", remedy="build again")
        return found.read_bytes()
