"""Layers made real in a folder, by whoever runs the build.

Nothing is ever written outside the folder, whatever a layer says: every path is made canonical
within the folder first, links on its way followed as if the folder were /, and what lies in the
place of a new file is removed, not opened. Owners are told, not set; devices, pipes, setuid and
setgid bits and extended attributes are left out.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tritonbuild.atomic import remove_tree
from tritonbuild.digest import CHUNK, Digest
from tritonbuild.oci.compression import Compression
from tritonbuild.oci.errors import Invalid
from tritonbuild.oci.image import Image, Layer
from tritonbuild.oci.indexing import allowed
from tritonbuild.oci.sparse import Sparse
from tritonbuild.oci.untar import Head, Untar

_HOPS = 40
"""Links that the kernel follows in one path."""
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_LATEST = 1 << 33
"""Seconds since 1970 that file systems take."""
_FAULTS = (
    errno.EEXIST, errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT,
    errno.ENOTDIR, errno.EPERM,
)  # fmt: skip
"""Of a layer, not of this machine."""


@dataclass(frozen=True)
class Owned:
    """What a layer says of a file or folder, and the folder it is unpacked to cannot."""

    mode: int
    uid: int
    gid: int


class Unpacked:
    """What has been unpacked to a folder. Its files have modes for nobody else until `settle`."""

    def __init__(self, folder: Path, check: Callable[[], None] = lambda: None):
        folder.mkdir()
        os.chown(folder, -1, os.getegid())  # a folder may give its own group to what is made in it
        folder.chmod(0o700)
        self.apart: dict[str, Digest] = {}
        """Large contents that this machine has in one piece already: their files are empty."""
        self._root = os.fspath(folder)
        self._check = check
        self._owned: dict[str, Owned] = {"": Owned(0o755, 0, 0)}
        self._told: list[MutableMapping[str, Any]] = [self._owned, self.apart]
        self._fresh: set[str] = set()
        """What the current layer has made or named, and the folders above it."""
        self._real: dict[str, str] = {"": ""}
        """Folder as layers say it → its canonical path."""

    def apply(self, layer: Layer) -> None:
        """Puts a layer on top. Raises Invalid."""
        self._fresh = {""}
        blob, source = layer.descriptor, layer.source
        known: dict[int, Digest] = {}
        if isinstance(source, Sparse) and blob.content in source.recipes:
            known = source.recipes[blob.content].positions
            stream = source.open(blob)  # which seeks over what is known
        else:
            stream = layer.uncompressed()
        plain = Compression.of(blob.media_type) is Compression.NONE
        with stream:
            untar = Untar(stream, blob.size if plain else allowed(blob.size))
            for head in untar:
                self._check()
                try:
                    self._put(head, untar, known.get(head.offset))
                except OSError as error:
                    if error.errno not in _FAULTS:
                        raise
                    raise _fault(layer, head, error.strerror or str(error)) from None
                except Invalid as error:
                    raise _fault(layer, head, str(error)) from None
        if isinstance(source, Sparse) and blob.content in source.recipes:
            source.check(blob.content)

    def settle(self, seen: Callable[[int, int, int], int]) -> None:
        """Gives everything its mode: `seen` of (mode, uid, gid)."""
        for folder, _, files in os.walk(self._root, topdown=False):
            for path in (*(os.path.join(folder, name) for name in files), folder):
                owned = self._owned.get(path[len(self._root) + 1 :])
                if owned is not None and not os.path.islink(path):
                    os.chmod(path, seen(owned.mode, owned.uid, owned.gid))

    def text(self, path: str) -> str:
        """The content of a file, links followed; empty where there is none."""
        try:
            place = self._canonical(path, follow=True)
            with open(self._at(place), errors="surrogateescape") as file:
                return file.read(CHUNK)
        except (OSError, Invalid):
            return ""

    def _put(self, head: Head, untar: Untar, known: Digest | None) -> None:
        names = [name for name in head.name.split("/") if name not in ("", ".")]
        if ".." in names:
            raise Invalid("leads out of the layer")
        folder, name = "/".join(names[:-1]), names[-1] if names else ""
        if name.startswith(_WHITEOUT):
            self._white_out(folder, name)
            return
        path = self._canonical("/".join(names), make=True)
        match head.kind:
            case "folder":
                if not stat.S_ISDIR(self._kind(path)):
                    self._remove(path)
                    os.mkdir(self._at(path), 0o700)
            case _ if not path:
                raise Invalid("takes the place of the root")
            case "hardlink":
                self._link(self._canonical(head.target), path)
            case "link":
                self._remove(path)
                os.symlink(head.target, self._at(path))
            case "file":
                self._remove(path)
                self._write(head, untar, path, known)
            case "device":
                self._remove(path)
        if head.kind in ("folder", "file"):
            self._owned[path] = Owned(head.mode & 0o1777, head.uid, head.gid)
        while path not in self._fresh:
            self._fresh.add(path)
            path = path.rpartition("/")[0]

    def _write(self, head: Head, untar: Untar, path: str, known: Digest | None) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with open(os.open(self._at(path), flags, 0o600), "wb") as file:
            if known and known.size == head.size >= CHUNK and not head.mode & 0o111:
                self.apart[path] = known
                return
            for piece in untar.content():
                file.write(piece)
                self._check()
        moment = max(0, min(head.mtime, _LATEST))
        os.utime(self._at(path), (moment, moment))  # Python compares it with that in its bytecode

    def _link(self, target: str, path: str) -> None:
        kind = self._kind(target)
        if not kind or stat.S_ISDIR(kind):
            raise Invalid(f"is a hard link to {target!r}, which is no file")
        if target == path:
            return
        self._remove(path)
        os.link(self._at(target), self._at(path), follow_symlinks=False)
        for told in self._told:
            if target in told:
                told[path] = told[target]

    def _white_out(self, folder: str, name: str) -> None:
        place = self._canonical(folder, follow=True)
        if not stat.S_ISDIR(self._kind(place)):
            return
        if name == _OPAQUE:
            self._clear(place)
        elif not name.startswith(_WHITEOUT * 2):  # others of those are AUFS's own
            gone = name.removeprefix(_WHITEOUT)
            if gone in ("", ".", ".."):
                raise Invalid("removes nothing that has a name")
            path = f"{place}/{gone}".lstrip("/")
            if path not in self._fresh:
                self._remove(path)
            elif stat.S_ISDIR(self._kind(path)):
                self._clear(path)

    def _clear(self, folder: str) -> None:
        """Removes what lower layers have put into a folder."""
        for name in os.listdir(self._at(folder)):
            path = f"{folder}/{name}".lstrip("/")
            if path not in self._fresh:
                self._remove(path)
            elif stat.S_ISDIR(self._kind(path)):
                self._clear(path)

    def _remove(self, path: str) -> None:
        kind = self._kind(path)
        if stat.S_ISDIR(kind) or stat.S_ISLNK(kind):
            self._real = {"": ""}
        if stat.S_ISDIR(kind):
            for told in self._told:
                for below in [known for known in told if known.startswith(f"{path}/")]:
                    del told[below]
        for told in self._told:
            told.pop(path, None)
        if kind:
            remove_tree(Path(self._at(path)))

    def _canonical(self, path: str, *, make: bool = False, follow: bool = False) -> str:
        """A path without links in its folders, nor, if `follow`, at its end; `..` does not lead
        out. Folders that are missing are made if `make`."""
        folder, _, last = path.rpartition("/")
        if not follow and folder in self._real and last not in ("", ".", ".."):
            return f"{self._real[folder]}/{last}".lstrip("/")
        waiting = [name for name in reversed(path.split("/")) if name not in ("", ".")]
        here: list[str] = []
        hops = 0
        while waiting:
            name = waiting.pop()
            if name == "..":
                del here[-1:]
                continue
            here.append(name)
            if not waiting and not follow:
                break
            place = "/".join(here)
            kind = self._kind(place)
            if stat.S_ISLNK(kind):
                hops += 1
                if hops > _HOPS:
                    raise Invalid("lies behind links in a circle")
                target = os.readlink(self._at(place))
                here = [] if target.startswith("/") else here[:-1]
                waiting += [n for n in reversed(target.split("/")) if n not in ("", ".")]
            elif not kind and make:
                os.mkdir(self._at(place), 0o700)
                self._owned[place] = Owned(0o755, 0, 0)
        if not follow and make:
            self._real[folder] = "/".join(here[:-1])
        return "/".join(here)

    def _kind(self, path: str) -> int:
        """Its st_mode; 0 where there is nothing."""
        try:
            return os.lstat(self._at(path)).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return 0

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root


def unpack(image: Image, folder: Path, check: Callable[[], None] = lambda: None) -> Unpacked:
    """Makes an image's file system in a new folder; `check` is called now and then and may raise.
    Raises Invalid for what no layer should say, and what sources of images raise."""
    unpacked = Unpacked(folder, check)
    for layer in image.layers:
        unpacked.apply(layer)
    return unpacked


def _fault(layer: Layer, head: Head, found: str) -> Invalid:
    return Invalid(
        f"layer {layer.descriptor.digest}: {head.name!r}: {found}",
        expected="a layer as the OCI image specification has it",
    )
