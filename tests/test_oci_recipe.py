"""Recipes: a file that is told by its literal bytes and the digests of contents."""

from __future__ import annotations

import os
from itertools import accumulate, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritonbuild.cache.disk import DiskCache
from tritonbuild.digest import CHUNK, Digest
from tritonbuild.oci import Absent, Recipe
from tritonbuild.oci.recipe import joined

Given = list[tuple[bytes, bool]]
"""Pieces of a file; the second says whether a piece is told by its digest."""
PIECES: st.SearchStrategy[Given] = st.lists(
    st.tuples(
        st.binary(max_size=40) | st.binary(max_size=8).map(lambda b: b * 1000), st.booleans()
    ),
    max_size=8,
)


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> DiskCache:
    return DiskCache(tmp_path_factory.mktemp("blobs"))


def recipe_of(pieces: Given, blobs: DiskCache) -> Recipe:
    return Recipe(tuple(blobs.put(piece) if apart else piece for piece, apart in pieces))


def whole(pieces: Given) -> bytes:
    return b"".join(piece for piece, _ in pieces)


@settings(max_examples=40)
@given(PIECES)
def test_a_recipe_is_what_its_encoding_says(blobs: DiskCache, pieces: Given) -> None:
    recipe = recipe_of(pieces, blobs)
    assert Recipe.decode(recipe.encoded) == recipe
    assert recipe.size == len(whole(pieces))
    assert recipe.contents == {Digest.of_bytes(piece) for piece, apart in pieces if apart}


@settings(max_examples=40)
@given(PIECES)
def test_it_is_read_as_the_file_that_it_tells(blobs: DiskCache, pieces: Given) -> None:
    recipe = recipe_of(pieces, blobs)
    with recipe.open(blobs) as file:
        assert file.read() == whole(pieces)
        assert file.read(1) == b""


@settings(max_examples=40)
@given(PIECES, st.data())
def test_it_can_be_read_from_anywhere(blobs: DiskCache, pieces: Given, data: st.DataObject) -> None:
    content = whole(pieces)
    places = st.tuples(st.integers(0, len(content) + 3), st.integers(0, len(content) + 3))
    with recipe_of(pieces, blobs).open(blobs) as file:
        for start, count in data.draw(st.lists(places, max_size=5)):
            assert file.seek(start) == start
            assert file.read(count) == content[start : start + count]
            assert file.tell() == max(start, min(start + count, len(content)))
        assert file.seek(-min(2, len(content)), os.SEEK_END) == len(content) - min(2, len(content))
        assert file.read() == content[len(content) - min(2, len(content)) :]


@settings(max_examples=40)
@given(PIECES)
def test_it_is_written_as_the_file_that_it_tells(blobs: DiskCache, pieces: Given) -> None:
    with TemporaryDirectory() as folder:
        target = Path(folder, "file")
        recipe_of(pieces, blobs).write(target, blobs)
        assert target.read_bytes() == whole(pieces)


@settings(max_examples=40)
@given(PIECES)
def test_positions_are_those_of_contents(blobs: DiskCache, pieces: Given) -> None:
    starts = accumulate((len(piece) for piece, _ in pieces), initial=0)
    told = recipe_of(pieces, blobs).positions
    for start, (piece, apart) in zip(starts, pieces, strict=False):
        if apart and piece:
            assert told[start] == Digest.of_bytes(piece)


@settings(max_examples=20)
@given(st.lists(PIECES, max_size=3))
def test_joined_recipes_are_one_after_the_other(blobs: DiskCache, files: list[Given]) -> None:
    one = joined(recipe_of(pieces, blobs) for pieces in files)
    with one.open(blobs) as file:
        assert file.read() == b"".join(map(whole, files))
    literal = [isinstance(part, bytes) for part in one.parts]
    assert (True, True) not in pairwise(literal)


@pytest.mark.parametrize(
    "encoded", [b"", b"[1]", b"[2]\na", b"[1]\nab", b"{\n", b'["abc"]\n', b"[-1]\n"]
)
def test_what_is_no_recipe_is_refused(encoded: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        Recipe.decode(encoded)


def test_content_that_is_gone_is_named(blobs: DiskCache, tmp_path: Path) -> None:
    gone = Digest.of_bytes(b"nobody has it")
    recipe = Recipe((b"head", gone))
    with recipe.open(blobs) as file, pytest.raises(Absent, match=gone.hash):
        file.read()
    with pytest.raises(Absent, match=gone.hash):
        recipe.write(tmp_path / "file", blobs)


def test_nothing_of_a_content_is_read_that_is_only_passed_over(blobs: DiskCache) -> None:
    recipe = Recipe((b"head", Digest("0" * 64, 10**12), b"tail"))
    with recipe.open(blobs) as file:
        assert file.seek(-4, os.SEEK_END) == 10**12 + 4
        assert file.read() == b"tail"


class _Short:
    """A content that became shorter than its digest says."""

    def __init__(self, path: Path):
        self._path = path

    def find(self, digest: Digest) -> Path:
        return self._path


@pytest.mark.parametrize("size", [3, CHUNK + 1])
def test_content_that_ends_too_early_is_no_file(tmp_path: Path, size: int) -> None:
    (tmp_path / "content").write_bytes(b"x" * (size - 1))
    blobs = _Short(tmp_path / "content")
    recipe = Recipe((Digest("0" * 64, size), b"tail"))
    with recipe.open(blobs) as file, pytest.raises(Absent, match="too early"):
        file.read()
    with pytest.raises(Absent, match="too early"):
        recipe.write(tmp_path / "file", blobs)
