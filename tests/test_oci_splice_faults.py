"""Blobs that are read here and there, cut short, damaged or made by other programs: what is cut out
of them is right, or they are refused; and little of them is in memory."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritonbuild.oci import Compression, Invalid
from tritonbuild.oci.inflate import Inflating
from tritonbuild.oci.slices import Slice, Slicing
from tritonbuild.oci.tar import END
from tritonbuild.oci.untar import BLOCK

MEGABYTE = 1 << 20


class Passing(io.RawIOBase):
    """Goes by once, as a download does."""

    def __init__(self, blob: bytes):
        self._blob = io.BytesIO(blob)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        return self._blob.readinto(buffer)


def content(size: int) -> bytes:
    generator = random.Random(3)
    known = [generator.randbytes(generator.randrange(3, 30)) for _ in range(3000)]
    made = bytearray()
    while len(made) < size:
        made += b"".join(generator.choices(known, k=2000))
    return bytes(made[:size])


LARGE = content(40 * MEGABYTE)
PACKED = zlib.compress(LARGE, 6, 31)


def inflated(blob: bytes) -> bytes:
    inflating = Inflating(io.BufferedReader(Passing(blob)), len(blob))
    try:
        return inflating.readall()
    finally:
        inflating.close()


def index_of(blob: bytes) -> tuple[bytes, bool]:
    slicing = Slicing(io.BufferedReader(Passing(blob)), len(blob), Compression.GZIP)
    try:
        while slicing.read(MEGABYTE):
            pass
        return slicing.index, slicing.is_right
    finally:
        slicing.close()


def cut_out(slicing: Slicing, begin: int, end: int, target: Path) -> Slice:
    cut = slicing.cut(target)
    slicing.go(begin)
    slicing.run(cut, begin, end)
    for _ in slicing.pieces(begin, end):
        pass
    slicing.drop(cut)
    return cut.finish()


@pytest.mark.parametrize("before", [[], [20], [10, 30], [39, 0, 22], [12, 14, 16, 18, 20, 22]])
def test_what_was_read_before_changes_no_cut(tmp_path: Path, before: list[int]) -> None:
    """Content that is still in memory is not inflated again: its blocks are read all the same."""
    index, _ = index_of(PACKED)
    made = []
    for places in ([], before):
        slicing = Slicing(io.BytesIO(PACKED), len(PACKED), Compression.GZIP, index)
        for place in places:
            for _ in slicing.pieces(place * MEGABYTE, place * MEGABYTE + 1000):
                pass
        made.append(cut_out(slicing, 5 * MEGABYTE, 30 * MEGABYTE, tmp_path / "cut"))
        assert slicing.is_sure is not bool(places)
        slicing.close()
        expected = LARGE[5 * MEGABYTE : 30 * MEGABYTE] + END
        assert zlib.decompress((tmp_path / "cut").read_bytes(), 31) == expected
    assert made[0] == made[1]


def test_the_blob_is_let_go_after_a_step_back() -> None:
    index, _ = index_of(PACKED)
    slicing = Slicing(io.BytesIO(PACKED), len(PACKED), Compression.GZIP, index)
    for begin in (38, 0):
        for _ in slicing.pieces(begin * MEGABYTE, min(begin + 36, 40) * MEGABYTE):
            pass
    assert slicing._inflating is not None
    held = sum(len(piece) for _, piece in slicing._inflating._source._pieces)
    assert held < len(PACKED) / 2
    slicing.close()


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0.0001, 1), level=st.sampled_from([0, 1, 6]), flushed=st.booleans())
def test_a_blob_that_is_cut_short_is_invalid(share: float, level: int, flushed: bool) -> None:
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    blob = b""
    for start in range(0, 300_000, 50_000):
        blob += packer.compress(LARGE[start : start + 50_000])
        blob += packer.flush(zlib.Z_SYNC_FLUSH) if flushed else b""
    blob += packer.flush()
    end = int(len(blob) * share)
    if 0 < end < len(blob):
        with pytest.raises(Invalid):
            inflated(blob[:end])


@pytest.mark.parametrize("members", [1, 2])
def test_an_end_between_two_blocks_is_noticed(members: int) -> None:
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    part = packer.compress(LARGE[:100_000]) + packer.flush(zlib.Z_FULL_FLUSH)
    whole = zlib.compress(LARGE, 6, 31) * (members - 1)
    with pytest.raises(Invalid):
        inflated(whole + part)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 99_999), bit=st.integers(0, 7))
def test_a_bit_that_is_wrong_is_never_taken_for_right(place: int, bit: int) -> None:
    data = LARGE[:200_000]
    blob = bytearray(zlib.compress(data, 6, 31))
    blob[place % len(blob)] ^= 1 << bit
    with suppress(Invalid):  # but for what the header says of other things than the content
        assert inflated(bytes(blob)) == data


def blocked(data: bytes) -> bytes:
    """As bgzip writes it."""
    made = []
    for start in (*range(0, len(data), 60_000), len(data)):
        piece = data[start : start + 60_000]
        packer = zlib.compressobj(6, zlib.DEFLATED, -15)
        packed = packer.compress(piece) + packer.flush()
        head = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff\x06\0BC\x02\0"
        head += struct.pack("<H", len(packed) + 25)
        made.append(head + packed + struct.pack("<II", zlib.crc32(piece), len(piece)))
    return b"".join(made)


def members(data: bytes) -> bytes:
    """As eStargz is: a member for each file."""
    return b"".join(zlib.compress(data[n : n + 3000], 6, 31) for n in range(0, len(data), 3000))


def flushed(data: bytes) -> bytes:
    """As those write it who compress in several threads."""
    packer = zlib.compressobj(6, zlib.DEFLATED, 31)
    pieces = [
        packer.compress(data[n : n + MEGABYTE]) + packer.flush(zlib.Z_SYNC_FLUSH)
        for n in range(0, len(data), MEGABYTE)
    ]
    return b"".join(pieces) + packer.flush()


def by_gzip(data: bytes) -> bytes:
    return subprocess.run(["gzip", "-nc"], input=data, stdout=subprocess.PIPE, check=True).stdout


@pytest.mark.parametrize(
    ("pack", "one"), [(blocked, False), (members, False), (flushed, True), (by_gzip, True)]
)
def test_what_other_programs_wrote_is_cut(
    tmp_path: Path, pack: Callable[[bytes], bytes], one: bool
) -> None:
    blob = pack(LARGE)
    index, right = index_of(blob)
    assert right is one
    slicing = Slicing(io.BytesIO(blob), len(blob), Compression.GZIP, index, takes=right)
    cut_out(slicing, 12_345_678, 34_567_890, tmp_path / "cut")
    slicing.close()
    expected = LARGE[12_345_678:34_567_890]
    expected += bytes(-len(expected) % BLOCK) + END
    assert zlib.decompress((tmp_path / "cut").read_bytes(), 31) == expected


def test_the_index_of_much_content_is_small() -> None:
    index, _ = index_of(PACKED)
    assert len(index) < len(LARGE) / 200


def test_much_content_takes_little_memory(tmp_path: Path) -> None:
    """Of a third of a gigabyte, most of which is cut out."""
    script = """
import re, sys
from pathlib import Path
from tritonbuild.oci import Compression
from tritonbuild.oci.slices import Slicing

blob = Path(sys.argv[1])
slicing = Slicing(blob.open("rb"), blob.stat().st_size, Compression.GZIP)
cut = slicing.cut(Path(sys.argv[2]))
slicing.run(cut, 1000, 200 << 20)
while slicing.read(1 << 20):
    pass
cut.finish()
assert slicing.is_right and slicing.index
slicing.close()
print(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""
    letters = bytes(number % 4 for number in range(256))
    code = random.Random(1).randbytes(40 * MEGABYTE).translate(letters)  # a quarter, packed
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    with (tmp_path / "blob").open("wb") as target:
        for _ in range(8):
            target.write(packer.compress(code))
        target.write(packer.flush())
    command = [sys.executable, "-c", script, str(tmp_path / "blob"), str(tmp_path / "cut")]
    got = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    assert int(got) >> 10 < 240
