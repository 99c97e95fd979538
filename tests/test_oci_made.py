"""Layers as tools make them: of folders and files at their places, what is large by itself."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts.bench import Bench
from tritonbuild.rules.images.layers import make_layers, packed

from tritonbuild.digest import Digest
from tritonbuild.errors import ActionError
from tritonbuild.merkle import Entry, File, Folder, Symlink, folder_of
from tritonbuild.oci import Compression, Layer, Listing, Member, Recipe
from tritonbuild.oci.indexing import index_layer
from tritonbuild.oci.made import MadeLayer

LARGE = 1000


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "cache")


class Made:
    """Layers that the tool has made."""

    def __init__(
        self,
        bench: Bench,
        *placed: tuple[str, Entry],
        links: Mapping[str, str] | None = None,
        compression: Compression = Compression.NONE,
        **parameters: Any,
    ):
        self._bench = bench
        keys = [f"{number:03}" for number in range(len(placed))]
        result = bench.run(
            make_layers,
            parameters={
                "by": "test", "compression": str(compression), "epoch": 0, "large": LARGE,
                "most": 4, **parameters,
                "places": {
                    key: {"path": path, "skip": []}
                    for key, (path, _) in zip(keys, placed, strict=True)
                },
            },
            inputs={
                "links.json": bench.file(json.dumps(links or {}).encode()),
                **{f"trees/{key}": entry for key, (_, entry) in zip(keys, placed, strict=True)},
            },
            outputs=["layers"],
        )  # fmt: skip
        made = result.outputs["layers"]
        assert isinstance(made, Folder)
        self.folders = [folder for _, folder in sorted(made.entries.items())]

    def read(self, number: int, name: str) -> bytes:
        folder = self.folders[number]
        assert isinstance(folder, Folder)
        entry = folder.get(name)
        assert isinstance(entry, File), name
        return self._bench.cache.read(entry.digest)

    def holds(self, number: int) -> set[str]:
        folder = self.folders[number]
        assert isinstance(folder, Folder)
        return set(folder.entries)

    def described(self, number: int) -> MadeLayer:
        return MadeLayer.model_validate_json(self.read(number, "layer.json"))

    def listing(self, number: int) -> Listing:
        return Listing.decode(self.read(number, "listing"))

    def tar(self, number: int) -> bytes:
        with Recipe.decode(self.read(number, "recipe")).open(self._bench.cache) as tar:
            return tar.read()

    @property
    def paths(self) -> list[list[str]]:
        """Of files and links, a list a layer."""
        every = range(len(self.folders))
        return [[e.path for e in self.listing(n).entries if e.kind != "folder"] for n in every]

    @property
    def digests(self) -> list[str]:
        return [self.described(number).descriptor.digest for number in range(len(self.folders))]


def tree(bench: Bench, **files: int | str) -> Folder:
    """Files by name (`_` for `/`): so many bytes, or such a text."""
    return folder_of(
        {
            path.replace("_", "/"): bench.file(
                content.encode() if isinstance(content, str) else path[-1].encode() * content
            )
            for path, content in files.items()
        }
    )


def test_a_layer_without_compression_is_a_recipe_of_what_is_there(bench: Bench) -> None:
    made = Made(bench, ("models/m", tree(bench, a=20, d_b=30)))
    described = made.described(0)
    content = made.tar(0)
    assert described.descriptor.content == Digest.of_bytes(content)
    assert described.diff_id == described.descriptor.digest
    assert made.holds(0) == {"layer.json", "listing", "recipe", "contents"}
    assert made.listing(0) == index_layer(io.BytesIO(content), len(content))


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_a_compressed_layer_is_stored(bench: Bench, compression: Compression) -> None:
    placed = ("models/m", tree(bench, a=20, d_b=30))
    made, plain = Made(bench, placed, compression=compression), Made(bench, placed)
    described = made.described(0)
    blob = made.read(0, "blob")
    assert described.descriptor.content == Digest.of_bytes(blob)
    assert described.descriptor.media_type == compression.media_type
    assert described.diff_id == plain.described(0).diff_id

    class Blob:
        def open(self, descriptor: object) -> Any:
            return io.BytesIO(blob)

    with Layer(Blob(), described.descriptor, described.diff_id).uncompressed() as tar:
        assert tar.read() == plain.tar(0)


def test_a_large_file_has_a_layer_of_its_own(bench: Bench) -> None:
    made = Made(bench, ("m", tree(bench, a=20, b=LARGE, c=LARGE - 1, d=LARGE * 3)))
    assert made.paths == [["m/a", "m/c"], ["m/b"], ["m/d"]]
    assert [made.described(number).by for number in range(3)] == ["test", "test: b", "test: d"]


def test_a_change_moves_its_own_layer_alone(bench: Bench) -> None:
    before = Made(bench, ("m", tree(bench, a=20, b=LARGE, c=LARGE))).digests
    weights = Made(bench, ("m", tree(bench, a=20, b="x" * LARGE, c=LARGE))).digests
    assert [old == new for old, new in zip(before, weights, strict=True)] == [True, False, True]
    small = Made(bench, ("m", tree(bench, a=21, b=LARGE, c=LARGE))).digests
    assert [old == new for old, new in zip(before, small, strict=True)] == [False, True, True]
    assert set(before) < set(
        Made(bench, ("m", tree(bench, a=20, b=LARGE, bb=LARGE, c=LARGE))).digests
    )


MEMBERS = st.dictionaries(
    st.text("abc/", min_size=1, max_size=8), st.sampled_from([0, 1, LARGE - 1, LARGE, LARGE * 2]),
    max_size=12,
)  # fmt: skip


def grouped(sizes: Mapping[str, int], most: int) -> list[set[str]]:
    members = [Member(path, content=Digest("0" * 64, size)) for path, size in sizes.items()]
    return [{member.path for member in group} for _, group in packed(members, LARGE, most)]


@settings(max_examples=60)
@given(MEMBERS, st.integers(1, 6))
def test_every_member_is_in_one_of_so_many_layers(sizes: dict[str, int], most: int) -> None:
    groups = grouped(sizes, most)
    assert len(groups) <= most
    assert sum(map(len, groups)) == len(sizes)
    assert set().union(*groups) == set(sizes)


@settings(max_examples=60)
@given(MEMBERS, st.text("xyz", min_size=1), st.integers(2, 6))
def test_one_more_large_file_moves_no_other_where_there_are_many(
    sizes: dict[str, int], more: str, most: int
) -> None:
    sizes |= {f"large{number}": LARGE for number in range(most)}
    before, after = grouped(sizes, most), grouped({**sizes, more: LARGE}, most)
    assert [group - {more} for group in after if group - {more}] == before


def test_files_go_where_the_links_of_the_base_lead(bench: Bench) -> None:
    made = Made(
        bench, ("lib/x", tree(bench, a=1)), ("lib", tree(bench, y="y")),
        links={"lib": "usr/lib"},
    )  # fmt: skip
    assert made.paths == [["usr/lib/x/a", "usr/lib/y"]]
    assert {e.path for e in made.listing(0).entries if e.kind == "folder"} == {
        "usr/lib", "usr/lib/x",
    }  # fmt: skip


def test_of_two_files_at_one_place_the_later_is_taken(bench: Bench) -> None:
    made = Made(bench, ("p", tree(bench, a="old", b="b")), ("p", tree(bench, a="new")))
    (a,) = [entry for entry in made.listing(0).entries if entry.path == "p/a"]
    assert a.digest == Digest.of_bytes(b"new").hash


@pytest.mark.parametrize(
    ("path", "what"), [("p/a/b", "/p/a/b would lie below /p/a, which is a file"), ("p/l/b", "link")]
)
def test_nothing_lies_below_a_file(bench: Bench, path: str, what: str) -> None:
    placed = Folder({"a": bench.file(b"a"), "l": Symlink("nowhere")})
    with pytest.raises(ActionError, match=what):
        Made(bench, ("p", placed), (path, bench.file(b"b")))


def test_a_file_does_not_take_the_place_of_the_root(bench: Bench) -> None:
    with pytest.raises(ActionError, match="the place of the root"):
        Made(bench, ("", bench.file(b"a")))


def test_of_nothing_no_layer_is_made(bench: Bench) -> None:
    assert Made(bench, ("", Folder())).folders == []
