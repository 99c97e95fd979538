"""OCI layouts on disk, read and written.

https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from tritonbuild.atomic import make_folders, remove_tree
from tritonbuild.digest import CHUNK
from tritonbuild.errors import did_you_mean
from tritonbuild.oci.content import Content, verified
from tritonbuild.oci.documents import LIMIT, Descriptor, Index
from tritonbuild.oci.errors import Absent, Invalid, Refused
from tritonbuild.oci.sparse import BLOBS, INDEX_FILE, LAYOUT, LAYOUT_CONTENT
from tritonbuild.oci.walk import walk

REF_NAME = "org.opencontainers.image.ref.name"
_VERSION = json.loads(LAYOUT_CONTENT)["imageLayoutVersion"]


class Layout:
    """Implements Content. Nothing outside of the folder is read, whatever links say."""

    def __init__(self, path: Path):
        self._path = path

    @cached_property
    def index(self) -> Index:
        """Of the layout itself."""
        return layout_index(self._open, str(self._path))

    def descriptor(self, name: str = "") -> Descriptor:
        """Of the image, or of the index of images, of that name; without one, of the only one.
        Raises Absent."""
        return named(self.index, name, str(self._path))

    def open(self, descriptor: Descriptor) -> BinaryIO:
        return self._open(f"{BLOBS}/{descriptor.content.hash}")

    def _open(self, name: str) -> BinaryIO:
        try:
            root = self._path.resolve(strict=True)
            real = (root / name).resolve(strict=True)
            if not real.is_relative_to(root):
                raise Refused(f"{self._path / name} is a link that leads out of the layout")
            # A pipe in the place of a file would hold us up.
            handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            raise Absent(f"{self._path} holds no {name!r}") from None
        except (OSError, RuntimeError) as error:
            reason = getattr(error, "strerror", None) or "links in a circle"
            raise Refused(f"{self._path / name} cannot be read: {reason}") from None
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise Refused(f"{self._path / name} is no file")
        return os.fdopen(handle, "rb", CHUNK)


def layout_index(open_file: Callable[[str], BinaryIO], what: str) -> Index:
    """index.json of a layout, whose version is checked. Raises Absent and Invalid."""
    with open_file(LAYOUT) as file:
        content = file.read(LIMIT + 1)
    try:
        version = json.loads(content)["imageLayoutVersion"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Invalid(f"{LAYOUT} of {what} names no version", expected=_VERSION) from None
    if version != _VERSION:
        raise Invalid(f"{what} is a layout of version {version!r}", expected=_VERSION)
    with open_file(INDEX_FILE) as file:
        return Index.parse(file.read(LIMIT + 1), f"{INDEX_FILE} of {what}")


def named(index: Index, name: str, what: str) -> Descriptor:
    """The one descriptor with a name; without a name, the only one."""
    names = [(entry.annotations or {}).get(REF_NAME, "") for entry in index.manifests]
    pairs = zip(names, index.manifests, strict=True)
    found = [entry for said, entry in pairs if not name or said == name]
    if len({entry.digest for entry in found}) == 1:
        return found[0]
    known = ", ".join(sorted(filter(None, names))) or "none has a name"
    if not name:
        told = f"{len(found)} images: {known}" if found else "no image"
        raise Absent(f"{what} holds {told}", "one image, or the name of one")
    if found:
        raise Invalid(f"{what} holds {len(found)} images named {name!r}", expected="one")
    raise Absent(f"{what} holds no image named {name!r}", remedy=did_you_mean(name, names))


def write_layout(source: Content, descriptor: Descriptor, folder: Path, name: str = "") -> None:
    """Copies an image, or an index and all its images, into a new layout. It is whole or not
    there; every byte is verified. Raises Refused where there is something already."""
    if folder.exists() or folder.is_symlink():
        raise Refused(f"{folder} is there already", "a path for a new layout", "remove it")
    with _unfinished(folder) as temporary:
        blobs = temporary / BLOBS
        make_folders(blobs)
        for entry in walk(source, descriptor):
            with (
                verified(source, entry) as content,
                (blobs / entry.content.hash).open("xb") as file,
            ):
                shutil.copyfileobj(content, file, CHUNK)
        (temporary / LAYOUT).write_bytes(LAYOUT_CONTENT)
        if name:
            more = {**(descriptor.annotations or {}), REF_NAME: name}
            descriptor = descriptor.model_copy(update={"annotations": more})
        (temporary / INDEX_FILE).write_bytes(Index(manifests=[descriptor]).encoded)
        temporary.rename(folder)


@contextmanager
def _unfinished(folder: Path) -> Iterator[Path]:
    """An empty folder beside it, to be renamed, that nobody else writes to meanwhile. What a
    process that was killed has left there goes."""
    path = folder.with_name(f".tmp-{folder.name}")
    make_folders(path)
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.path.samestat(os.fstat(handle), path.lstat())
        except (BlockingIOError, FileNotFoundError):
            mine = False
        if not mine:
            raise Refused(f"{folder} is being written by another process", remedy="wait for it")
        try:
            for name in os.listdir(path):
                remove_tree(path / name)
            yield path
        finally:
            if path.exists():
                remove_tree(path)
    finally:
        os.close(handle)
