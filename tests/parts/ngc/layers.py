"""Images as Docker makes and stores them: layers of what has changed, in tarfile's tar, deflated by
zlib-ng; nothing of ours is in it."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR
from typing import Any, BinaryIO, NamedTuple

from zlib_ng import zlib_ng

DOCKER = "application/vnd.docker"
MANIFEST = f"{DOCKER}.distribution.manifest.v2+json"
MANIFESTS = f"{DOCKER}.distribution.manifest.list.v2+json"
CONFIG = f"{DOCKER}.container.image.v1+json"
GZIP = f"{DOCKER}.image.rootfs.diff.tar.gzip"
PLAIN = f"{DOCKER}.image.rootfs.diff.tar"
ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
BUILT = 1_730_000_000
"""Seconds of Unix: no file is younger."""
_CHUNK = 1 << 20
_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"


class Blob(NamedTuple):
    """A layer's blob in a store."""

    digest: str
    size: int
    diff_id: str
    media_type: str = GZIP


class Store:
    """A folder of blobs, each named after its SHA-256."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, digest: str) -> Path:
        return self.folder / digest.removeprefix("sha256:")

    def put(self, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self.path(digest).write_bytes(content)
        return digest

    def read(self, digest: str) -> Any:
        """A JSON document."""
        return json.loads(self.path(digest).read_bytes())

    @contextmanager
    def layer(self, media_type: str = GZIP, level: int = 6) -> Iterator[Writing]:
        """A stream for a tar; `blob` is there when it ends."""
        temporary = self.folder / f".{os.getpid()}-{id(object())}"
        with temporary.open("wb") as target:
            writing = Writing(target, _packer(media_type, level))
            yield writing
            digest, size, diff_id = writing.finish()
        temporary.rename(self.path(digest))
        writing.blob = Blob(digest, size, diff_id, media_type)


class _Packer(NamedTuple):
    pack: Callable[[bytes], bytes]
    flush: Callable[[], bytes]


def _packer(media_type: str, level: int) -> _Packer:
    if media_type == PLAIN:
        return _Packer(bytes, bytes)
    if media_type == ZSTD:
        import zstandard

        packing = zstandard.ZstdCompressor(3).compressobj()
        return _Packer(packing.compress, packing.flush)
    deflating = zlib_ng.compressobj(level, wbits=31)
    return _Packer(deflating.compress, deflating.flush)


class Writing:
    """A tar on its way into a blob: all that tarfile wants of a file object."""

    blob: Blob

    def __init__(self, target: BinaryIO, packer: _Packer) -> None:
        self._target, self._packer = target, packer
        self._packed, self._plain = hashlib.sha256(), hashlib.sha256()
        self._size = 0

    def write(self, content: bytes) -> int:
        self._plain.update(content)
        self._emit(self._packer.pack(content))
        return len(content)

    def finish(self) -> tuple[str, int, str]:
        self._emit(self._packer.flush())
        return (
            f"sha256:{self._packed.hexdigest()}", self._size, f"sha256:{self._plain.hexdigest()}",
        )  # fmt: skip

    def _emit(self, packed: bytes) -> None:
        self._packed.update(packed)
        self._size += self._target.write(packed)


@contextmanager
def tar_into(stream: Writing) -> Iterator[tarfile.TarFile]:
    with tarfile.open(fileobj=stream, mode="w|", bufsize=_CHUNK) as tar:  # type: ignore[call-overload]
        tar.copybufsize = _CHUNK
        yield tar


def opened(store: Store, blob: Blob) -> tarfile.TarFile:
    """A gzipped layer, to be read once from its begin to its end."""
    return tarfile.open(store.path(blob.digest), "r|gz", bufsize=_CHUNK)


@dataclass
class Tree:
    """A root file system in the making, layer by layer."""

    root: Path
    store: Store
    _seen: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def layer(self, *, opaque: Sequence[str] = (), media_type: str = GZIP) -> Blob:
        """What has changed since the last one; folders in `opaque` hide what was in them."""
        now = dict(_walk(self.root))
        anew = tuple(f"{path}/" for path in opaque)
        changed = {
            path
            for path, state in now.items()
            if self._seen.get(path) != state or f"{path}/".startswith(anew)
        }
        gone = {path for path in self._seen.keys() - now.keys() if not path.startswith(anew)}
        # A folder that is gone takes along what was in it.
        whiteouts = {
            _beside(path, f"{_WHITEOUT}{os.path.basename(path)}")
            for path in gone
            if os.path.dirname(path) not in gone
        }
        whiteouts |= {f"{path}/{_OPAQUE}" for path in opaque}
        # Docker's layers name the folders above a change.
        for path in [*changed, *whiteouts]:
            while path := os.path.dirname(path):
                changed.add(path)
        self._seen = now
        with self.store.layer(media_type) as stream, tar_into(stream) as tar:
            for path in sorted(changed | whiteouts):
                if path in whiteouts:
                    tar.addfile(tarfile.TarInfo(path))
                else:
                    self._add(tar, path)
        return stream.blob

    def adopt(self) -> None:
        """What is there now lies in layers already."""
        self._seen = dict(_walk(self.root))

    def _add(self, tar: tarfile.TarFile, path: str) -> None:
        info = tar.gettarinfo(self.root / path, path)
        # A folder's time depends on which package was unpacked last.
        info.mtime = BUILT if info.isdir() else min(int(info.mtime), BUILT)
        info.uname = info.gname = ""
        if info.isreg():
            with (self.root / path).open("rb") as content:
                tar.addfile(info, content)
        else:
            tar.addfile(info)


def _walk(root: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            stat = os.lstat(path)
            state: tuple[int, ...] = (stat.st_mode, stat.st_uid, stat.st_gid)
            if not S_ISDIR(stat.st_mode):
                state += (stat.st_size, stat.st_mtime_ns, stat.st_ino)
            yield os.path.relpath(path, root), state


def _beside(path: str, name: str) -> str:
    return os.path.join(os.path.dirname(path), name)


class Image(NamedTuple):
    """An image in a store."""

    store: Store
    manifest: str
    """Digest of its manifest, or of a list of manifests."""
    media_type: str
    layers: tuple[Blob, ...]
    config: Mapping[str, Any]

    @property
    def env(self) -> dict[str, str]:
        return dict(entry.split("=", 1) for entry in self.config["config"]["Env"])

    @property
    def labels(self) -> dict[str, str]:
        labels: dict[str, str] = self.config["config"]["Labels"]
        return labels


def image(
    store: Store,
    layers: Sequence[Blob],
    execution: Mapping[str, Any],
    architecture: str = "amd64",
) -> Image:
    """`execution` as a config has it: `Env`, `Labels`, `Entrypoint` …"""
    created = "2024-10-27T03:33:20Z"
    steps = [{"created": created, "created_by": f"COPY layer {n}"} for n in range(len(layers))]
    settings = {"created": created, "created_by": "ENV and LABEL", "empty_layer": True}
    config = {
        "architecture": architecture, "os": "linux", "created": created,
        "config": {"User": "", "Env": [], "Cmd": None, "WorkingDir": "", "Labels": {}, **execution},
        "rootfs": {"type": "layers", "diff_ids": [blob.diff_id for blob in layers]},
        "history": [*steps, settings],
    }  # fmt: skip
    # Docker knows no zstd: such a layer makes an image as OCI has it.
    oci = any(blob.media_type == ZSTD for blob in layers)
    media_type = "application/vnd.oci.image.manifest.v1+json" if oci else MANIFEST
    encoded = json.dumps(config).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": _entry(
            "application/vnd.oci.image.config.v1+json" if oci else CONFIG,
            store.put(encoded), len(encoded),
        ),
        "layers": [
            _entry(
                "application/vnd.oci.image.layer.v1.tar+gzip"
                if oci and blob.media_type == GZIP
                else blob.media_type,
                blob.digest, blob.size,
            )
            for blob in layers
        ],
    }  # fmt: skip
    digest = store.put(json.dumps(manifest, indent=3).encode())
    return Image(store, digest, media_type, tuple(layers), config)


def several(first: Image, *others: Image) -> Image:
    """Images for several architectures under one digest, all else as the first has it."""
    entries = [
        {
            **_entry(one.media_type, one.manifest, one.store.path(one.manifest).stat().st_size),
            "platform": {"architecture": one.config["architecture"], "os": "linux"},
        }
        for one in (first, *others)
    ]
    document = {"schemaVersion": 2, "mediaType": MANIFESTS, "manifests": entries}
    digest = first.store.put(json.dumps(document, indent=3).encode())
    return first._replace(manifest=digest, media_type=MANIFESTS)


def _entry(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "size": size, "digest": digest}


def stored(store: Store, digest: str) -> Image:
    """One that was put there before."""
    document = store.read(digest)
    entry = document
    if document["mediaType"] == MANIFESTS:
        entry = store.read(document["manifests"][0]["digest"])
    config = store.read(entry["config"]["digest"])
    layers = tuple(
        Blob(layer["digest"], layer["size"], diff_id, layer["mediaType"])
        for layer, diff_id in zip(entry["layers"], config["rootfs"]["diff_ids"], strict=True)
    )
    return Image(store, digest, document["mediaType"], layers, config)
