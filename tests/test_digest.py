"""Digests."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tritonbuild.digest import CHUNK, EMPTY, Digest


def test_the_digest_of_nothing_is_that_of_the_remote_execution_api() -> None:
    name = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert Digest(name, 0) == EMPTY


@given(st.binary(max_size=100))
def test_it_is_the_sha256_and_the_size(content: bytes) -> None:
    expected = Digest(hashlib.sha256(content).hexdigest(), len(content))
    assert Digest.of_bytes(content) == expected
    assert Digest.parse(str(expected)) == expected


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK])
def test_a_file_and_a_stream_have_the_digest_of_their_bytes(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + bytes(size % 256)
    (tmp_path / "file").write_bytes(content)
    assert Digest.of_file(tmp_path / "file") == Digest.of_bytes(content)
    assert Digest.of_stream(io.BytesIO(content)) == Digest.of_bytes(content)


@pytest.mark.parametrize("text", ["", "abc", "abc/", "abc/x"])
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        Digest.parse(text)
