"""Layers that are cut out of others: the right bytes, the same whichever way they are read, and
taken by whoever reads gzip."""

from __future__ import annotations

import hashlib
import io
import random
import subprocess
import zlib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from isal import isal_zlib
from zlib_ng import zlib_ng

from tritonbuild.oci import Compression, Invalid
from tritonbuild.oci.deflate import _FILLERS, Deflate
from tritonbuild.oci.inflate import Inflating
from tritonbuild.oci.slices import Slice, Slicing
from tritonbuild.oci.tar import END
from tritonbuild.oci.untar import BLOCK

Runs = Sequence[tuple[int, int]]
MEGABYTE = 1 << 20


def content(size: int, seed: int = 0) -> bytes:
    """Words that compress to a third, and here and there what does not compress at all."""
    generator = random.Random(seed)
    words = [generator.randbytes(generator.randrange(3, 30)) for _ in range(3000)]
    made = bytearray()
    while len(made) < size:
        if generator.random() < 0.03:
            made += generator.randbytes(generator.randrange(1, 200_000))
        made += b"".join(generator.choices(words, k=2000))
    return bytes(made[:size])


def packed(data: bytes, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, 31, 9, strategy)
    return packer.compress(data) + packer.flush()


def in_passing(
    blob: bytes, runs: Runs, target: Path, rhythm: random.Random | None = None
) -> tuple[Slice, bytes, bool]:
    """Cut out while the blob is read; each run is told when its first bytes have gone by."""
    waiting = list(runs)
    slicing = Slicing(io.BytesIO(blob), len(blob), Compression.seen(blob[:4]))
    cut = slicing.cut(target)
    while slicing.read(rhythm.randrange(1, MEGABYTE) if rhythm else 100_000):
        while waiting and waiting[0][0] < slicing.position:
            slicing.run(cut, *waiting.pop(0))
    made = cut.finish()
    index, right = slicing.index, slicing.is_right
    slicing.close()
    return made, index, right


def here_and_there(
    blob: bytes, runs: Runs, index: bytes, target: Path, *, takes: bool = True
) -> Slice:
    slicing = Slicing(io.BytesIO(blob), len(blob), Compression.seen(blob[:4]), index, takes=takes)
    cut = slicing.cut(target)
    for begin, end in runs:
        slicing.go(begin)
        slicing.run(cut, begin, end)
        for _ in slicing.pieces(begin, end):
            pass
    made = cut.finish()
    slicing.close()
    return made


def tar_of(data: bytes, runs: Runs) -> bytes:
    """What a cut holds: what the end of a tar may lack is added."""
    made = b"".join(data[begin:end] for begin, end in runs)
    return made + bytes(-len(made) % BLOCK) + END


def check(data: bytes, blob: bytes, runs: Runs, folder: Path) -> None:
    expected = tar_of(data, runs)
    made, index, right = in_passing(blob, runs, folder / "one", random.Random(1))
    assert right
    got = (folder / "one").read_bytes()
    for inflate in (zlib.decompress, zlib_ng.decompress, isal_zlib.decompress):
        assert inflate(got, 31) == expected
    assert made.diff_id == f"sha256:{hashlib.sha256(expected).hexdigest()}"
    assert (made.blob.hash, made.blob.size) == (hashlib.sha256(got).hexdigest(), len(got))
    assert in_passing(blob, runs, folder / "two")[:2] == (made, index)
    assert here_and_there(blob, runs, index, folder / "three") == made


LARGE = content(24 * MEGABYTE)


@pytest.mark.parametrize("level", [1, 6, 9])
def test_a_cut_holds_its_runs_and_nothing_else(tmp_path: Path, level: int) -> None:
    runs = [(5_000, 9_000), (9_000, 11 * MEGABYTE + 7), (12 * MEGABYTE, 12 * MEGABYTE + 40_000),
            (13 * MEGABYTE, len(LARGE))]  # fmt: skip
    check(LARGE, packed(LARGE, level), runs, tmp_path)


@pytest.mark.parametrize(
    "strategy", [zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FILTERED]
)
def test_blocks_of_every_kind_are_taken_over(tmp_path: Path, strategy: int) -> None:
    check(LARGE, packed(LARGE, 6, strategy), [(100_000, 20 * MEGABYTE)], tmp_path)


def test_blocks_that_are_stored_are_taken_over(tmp_path: Path) -> None:
    check(LARGE, packed(LARGE, 0), [(1, 20 * MEGABYTE)], tmp_path)


def test_most_of_a_large_run_is_not_compressed_anew(tmp_path: Path) -> None:
    blob = packed(LARGE)
    in_passing(blob, [(0, len(LARGE))], tmp_path / "cut")
    cut = (tmp_path / "cut").read_bytes()
    middle = blob[len(blob) // 2 : len(blob) // 2 + 100_000]
    assert middle in cut


@given(
    bounds=st.lists(st.integers(0, 400_000), max_size=10).map(sorted),
    size=st.integers(0, 400_000),
    level=st.integers(0, 9),
)
def test_small_blobs_are_cut_too(
    tmp_path_factory: pytest.TempPathFactory, bounds: list[int], size: int, level: int
) -> None:
    data = LARGE[:size]
    ends = [min(bound, size) for bound in bounds]
    pairs = zip(ends[::2], ends[1::2], strict=False)
    runs = [(begin, end) for begin, end in pairs if begin < end]
    check(data, packed(data, level), runs, tmp_path_factory.mktemp("cut"))


@pytest.mark.parametrize("phase", range(8))
def test_a_block_may_begin_at_any_bit(phase: int) -> None:
    """What stands before it keeps it in its place."""
    target = io.BytesIO()
    stream = Deflate(target)
    stream.count(b"before")
    stream.compress(b"before")
    block = 0b010 << phase  # empty, with fixed codes: ten bits
    stream.take(block.to_bytes(3, "little"), phase, 10)
    stream.count(b"after")
    stream.compress(b"after")
    stream.finish()
    for inflate in (zlib.decompress, zlib_ng.decompress, isal_zlib.decompress):
        assert inflate(target.getvalue(), 31) == b"beforeafter"
    assert sum(count for _, count in _FILLERS[phase]) % 8 == phase


def test_gzip_itself_takes_a_cut(tmp_path: Path) -> None:
    blob = packed(LARGE)
    in_passing(blob, [(3, 10 * MEGABYTE), (11 * MEGABYTE, 20 * MEGABYTE)], tmp_path / "cut.gz")
    subprocess.run(["gzip", "-t", tmp_path / "cut.gz"], check=True)


def test_of_several_members_no_block_is_taken_over(tmp_path: Path) -> None:
    half = len(LARGE) // 2
    blob = packed(LARGE[:half]) + packed(LARGE[half:])
    runs = [(1 * MEGABYTE, 23 * MEGABYTE)]
    _, index, right = in_passing(blob, runs, tmp_path / "one")
    assert not right
    here_and_there(blob, runs, index, tmp_path / "two", takes=False)
    expected = tar_of(LARGE, runs)
    assert zlib.decompress((tmp_path / "two").read_bytes(), 31) == expected


@pytest.mark.parametrize("compression", [Compression.ZSTD, Compression.NONE])
def test_what_is_not_gzip_is_compressed_anew(tmp_path: Path, compression: Compression) -> None:
    import zstandard

    zstd = compression is Compression.ZSTD
    blob = zstandard.ZstdCompressor().compress(LARGE) if zstd else LARGE
    runs = [(7, 5 * MEGABYTE), (6 * MEGABYTE, 7 * MEGABYTE)]
    made, index, right = in_passing(blob, runs, tmp_path / "one")
    assert (index, right) == (b"", True)
    expected = tar_of(LARGE, runs)
    assert zlib.decompress((tmp_path / "one").read_bytes(), 31) == expected
    assert here_and_there(blob, runs, b"", tmp_path / "two") == made


@pytest.mark.parametrize("end", [100, MEGABYTE, 5 * MEGABYTE])
def test_nothing_is_right_that_is_cut_out_of_a_part(tmp_path: Path, end: int) -> None:
    blob = packed(LARGE)[:end]
    with suppress(Invalid):
        _, _, right = in_passing(blob, [(0, 1000)], tmp_path / "cut")
        assert not right


def test_a_blob_that_is_damaged_is_invalid(tmp_path: Path) -> None:
    blob = bytearray(packed(LARGE))
    blob[5 * MEGABYTE : 5 * MEGABYTE + 64] = bytes(64)
    with pytest.raises(Invalid):
        in_passing(bytes(blob), [(0, len(LARGE))], tmp_path / "cut")


def test_what_goes_wrong_with_the_source_is_told_as_it_is() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            if self.tell() > MEGABYTE:
                raise TimeoutError("it broke off")
            return super().read(size)

    blob = packed(LARGE)
    inflating = Inflating(Broken(blob), len(blob))
    with pytest.raises(TimeoutError, match="broke off"):
        inflating.readall()
    inflating.close()
