"""Compressed layers: the same bytes everywhere, and read to the last one."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
import zlib_ng.zlib_ng
from parts import store
from parts.images import packed
from parts.missing import missing

from tritonbuild.digest import CHUNK
from tritonbuild.oci import Compression, Invalid
from tritonbuild.oci.compression import decompressed

COMPRESSED = [Compression.GZIP, Compression.ZSTD]
SCRIPT = """
import hashlib, io, json, sys
from tritonbuild.oci.compression import Compression, compressing

content = open(sys.argv[1], "rb").read()
digests = {}
for compression in Compression:
    target = io.BytesIO()
    with compressing(target, compression) as stream:
        stream.write(content)
    digests[compression] = hashlib.sha256(target.getvalue()).hexdigest()
print(json.dumps(digests))
"""


def content() -> bytes:
    """Code, text and noise: what a layer holds; more than one of the pieces that are compressed."""
    code = Path(zlib_ng.zlib_ng.__file__).read_bytes()
    made = code + Path(__file__).read_bytes() * 200 + random.Random(7).randbytes(1 << 19)
    assert len(made) > CHUNK
    return made


def read(blob: bytes, compression: Compression) -> bytes:
    with decompressed(io.BytesIO(blob), compression) as stream:
        return stream.read()


@pytest.mark.parametrize("compression", Compression)
def test_what_is_compressed_is_read(compression: Compression) -> None:
    for original in (b"", b"x", content()):
        assert read(packed(original, compression), compression) == original


@pytest.mark.parametrize("compression", Compression)
def test_the_first_bytes_tell_what_it_is(compression: Compression) -> None:
    assert Compression.seen(packed(b"\0" * 512, compression)[:4]) is compression


def test_a_frame_that_is_skipped_is_zstds() -> None:
    assert Compression.seen(b"\x50\x2a\x4d\x18") is Compression.ZSTD


@pytest.mark.parametrize("compression", COMPRESSED)
def test_pieces_of_any_size_give_the_same_bytes(compression: Compression) -> None:
    from tritonbuild.oci.compression import compressing

    original, target = content(), io.BytesIO()
    with compressing(target, compression) as stream:
        rest = io.BytesIO(original)
        while piece := rest.read(100_003):
            stream.write(piece)
    assert target.getvalue() == packed(original, compression)


@pytest.mark.parametrize("compression", COMPRESSED)
def test_a_cut_anywhere_is_noticed(compression: Compression) -> None:
    blob = packed(b"content" * 50, compression)
    for end in range(len(blob)):
        with pytest.raises(Invalid, match="is cut short"):
            read(blob[:end], compression)


@pytest.mark.parametrize("compression", COMPRESSED)
@pytest.mark.parametrize("more", [b"more", b"\0" * 512, b"\x1f\x8b\x08other", b"\xff" * 100])
def test_what_follows_the_end_is_noticed(compression: Compression, more: bytes) -> None:
    with pytest.raises(Invalid, match=r"goes on after its end|is cut short"):
        read(packed(b"content", compression) + more, compression)


@pytest.mark.parametrize("compression", COMPRESSED)
def test_several_members_are_one_content(compression: Compression) -> None:
    halves = [packed(half, compression) for half in (b"first", b"", b"second")]
    assert read(b"".join(halves), compression) == b"firstsecond"


def test_what_other_programs_compress_is_read() -> None:
    assert read(gzip.compress(b"content"), Compression.GZIP) == b"content"


def test_inflating_takes_little_memory() -> None:
    """600 MiB of zeros in 20 KiB are never held."""
    script = """
import io, resource
from tritonbuild.oci.compression import Compression, decompressed

size, count = 128 << 10, 4800  # blocks of one byte, repeated
block, last = ((size << 3 | 1 << 1 | end).to_bytes(3, "little") + b"\\0" for end in (0, 1))
bomb = b"\\x28\\xb5\\x2f\\xfd\\x00\\x58" + block * (count - 1) + last
resource.setrlimit(resource.RLIMIT_AS, (500 << 20, 500 << 20))
inflated = 0
with decompressed(io.BytesIO(bomb), Compression.ZSTD) as tar:
    while piece := tar.read(1 << 20):
        inflated += len(piece)
assert inflated == size * count, inflated
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("cpu", ["qemu64", "max"])
def test_the_bytes_are_the_same_on_every_cpu(cpu: str, tmp_path: Path) -> None:
    try:
        qemu = store.program("qemu-x86_64")
    except LookupError as error:
        missing("no emulated CPU", str(error))
    (tmp_path / "content").write_bytes(content())
    command = [sys.executable, "-c", SCRIPT, str(tmp_path / "content")]
    here = json.loads(subprocess.check_output(command))
    there = json.loads(subprocess.check_output([qemu, "-cpu", cpu, *command]))
    assert there == here
    assert here["none"] == hashlib.sha256(content()).hexdigest()
