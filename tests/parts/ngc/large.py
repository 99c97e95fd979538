"""24.10 with as much in its big layer as NVIDIA's has, for benchmarks."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import BinaryIO

from parts.ngc.build import Pair, execution, kept, release
from parts.ngc.layers import BUILT, Blob, Store, image, opened, tar_into
from parts.ngc.releases import RELEASES
from parts.ngc.server import HOME

_BIG = -2
"""Place of the big layer in `full`."""
_LOOSE = ("libmkl_avx512.", "libopenvino_intel_cpu_plugin.")
"""Libraries that deflate to less than others do."""
_SHARES = {
    "backends/fil/libtriton_fil.so": 0.24,
    "backends/onnxruntime/libonnxruntime_providers_cuda.so": 0.07,
    "backends/pytorch/libtorch_cuda.so": 0.30,
    "backends/pytorch/libtorch_cuda_linalg.so": 0.05,
    "backends/tensorrtllm/libtriton_tensorrtllm.so": 0.34,
}
"""What is added, in parts of it: half of it to what a command line of compose.py asks for."""


def large(size: int = 4_600_000_000) -> Pair:
    """`full` has one layer of so many bytes, deflated to about 0.35 of it."""
    return kept(f"24.10-{size}", lambda store: enlarged(store, size))


def enlarged(store: Store, size: int, name: str = "24.10") -> Pair:
    """That, of a release, in a store of the caller's."""
    small = release(name)
    big = small.full.layers[_BIG]
    for blob in {*small.full.layers, *small.min.layers} - {big}:
        _adopt(small.full.store, blob.digest, store)
    with tempfile.TemporaryDirectory(prefix="ngc-") as folder:
        root = Path(folder)
        with opened(small.full.store, big) as tar:
            tar.extractall(root, filter="fully_trusted")
        files = [file for file in root.rglob("*") if file.is_file() and not file.is_symlink()]
        sources = sorted(
            file
            for file in files
            if file.stat().st_size > 10 << 20 and not file.name.startswith(_LOOSE)
        )
        there = sum({file.stat().st_ino: file.stat().st_size for file in files}.values())
        grown = _grown(store, small, sources, size - there)
    layers = list(small.full.layers)
    layers[_BIG] = grown
    of = RELEASES[name]
    return Pair(
        image(store, small.min.layers, execution(of.min_env, of.min_labels)),
        image(store, layers, execution(of.full_env, of.full_labels, f"/{HOME}")),
    )


def _grown(store: Store, small: Pair, sources: list[Path], more: int) -> Blob:
    """The big layer with files among its own, in the order that a layer has."""
    waiting = [(f"{HOME}/{path}", int(share * more) + 1) for path, share in sorted(_SHARES.items())]
    with (
        opened(small.full.store, small.full.layers[_BIG]) as lower,
        store.layer() as stream,
        tar_into(stream) as tar,
    ):
        folders: set[str] = set()
        for member in lower:
            while waiting and waiting[0][0] < member.name:
                path, size = waiting.pop(0)
                if (folder := os.path.dirname(path)) not in folders:
                    _add_folder(tar, folder)
                    folders.add(folder)
                info = tarfile.TarInfo(path)
                info.size, info.mtime, info.mode = size, BUILT, 0o755
                first = len(waiting) % len(sources)
                tar.addfile(info, _Repeated([*sources[first:], *sources[:first]]))
            if member.isdir():
                folders.add(member.name)
            tar.addfile(member, lower.extractfile(member) if member.isreg() else None)
        assert not waiting
    return stream.blob


def _add_folder(tar: tarfile.TarFile, path: str) -> None:
    info = tarfile.TarInfo(path)
    info.type, info.mtime, info.mode = tarfile.DIRTYPE, BUILT, 0o755
    tar.addfile(info)


class _Repeated:
    """Libraries one after another, over and over; as a whole it is still the first of them."""

    def __init__(self, files: list[Path]) -> None:
        self._files = cycle(files)
        self._open: BinaryIO | None = None

    def read(self, size: int = -1, /) -> bytes:
        return b"".join(self._pieces(size))

    def _pieces(self, size: int) -> Iterator[bytes]:
        while size:
            self._open = self._open or next(self._files).open("rb")
            piece = self._open.read(size)
            if not piece:
                self._open.close()
                self._open = None
            size -= len(piece)
            yield piece


def _adopt(source: Store, digest: str, target: Store) -> None:
    try:
        os.link(source.path(digest), target.path(digest))
    except OSError:
        target.path(digest).symlink_to(source.path(digest))
