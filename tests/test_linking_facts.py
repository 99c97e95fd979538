"""The linkage of layers, as the tools make it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from parts.bench import Bench
from parts.hostile import END, hard, member
from parts.images import Memory, file, link, tar
from parts.linking import compile_library
from tritonbuild.rules.images.layers import make_layers
from tritonbuild.rules.linking.facts import LINKAGE, link_image_layers, link_made_layers
from tritonbuild.rules.linking.linkage import Linkage
from tritonbuild.rules.linking.loader import files_of

from tritonbuild.errors import ActionError
from tritonbuild.merkle import Folder, folder_of
from tritonbuild.oci import Compression, Image, Index
from tritonbuild.oci.indexing import index_layer
from tritonbuild.oci.sparse import BLOBS, INDEX_FILE, LAYOUT, LAYOUT_CONTENT

ALL = [Compression.NONE, Compression.GZIP, Compression.ZSTD]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "cache")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("library")
    return compile_library(folder / "libb1.so.1", soname="libb1.so.1").read_bytes()


def layout(bench: Bench, image: Image) -> Folder:
    """As images come into a tool."""
    assert isinstance(image.source, Memory)
    index = Index(manifests=[image.descriptor])
    contents = {LAYOUT: LAYOUT_CONTENT, INDEX_FILE: index.encoded} | {
        f"{BLOBS}/{digest.partition(':')[2]}": content
        for digest, content in image.source.blobs.items()
    }
    return folder_of({path: bench.file(content) for path, content in contents.items()})


def linkages(bench: Bench, image: Image) -> list[Linkage]:
    """Of its layers."""
    result = bench.run(
        link_image_layers, inputs={"image": layout(bench, image)}, outputs=["linkage"]
    )
    folder = bench.path(result.outputs["linkage"])
    return [Linkage.decode(path.read_bytes()) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("compression", ALL)
def test_each_layer_of_an_image(bench: Bench, library: bytes, compression: Compression) -> None:
    layers = [
        [file("usr/lib/libb1.so.1", library), link("usr/lib/libb1.so", "libb1.so.1")],
        [file("readme", "no library")],
        [file("opt/plugin.so", library), file("opt/empty.so"), file("opt/script.so", "INPUT(x)")],
    ]
    found = linkages(bench, Memory().image(layers, compression))
    assert [list(one.elves) for one in found] == [["usr/lib/libb1.so.1"], [], ["opt/plugin.so"]]
    assert found[0]["usr/lib/libb1.so.1"].soname == "libb1.so.1"


def test_a_large_file_is_read_from_the_scratch_folder(bench: Bench, library: bytes) -> None:
    content = library + bytes(9 << 20)
    (found,) = linkages(bench, Memory().image([[file("a", content), file("b", content)]]))
    assert list(found.elves) == ["a", "b"]


def test_a_damaged_library_is_none(bench: Bench, library: bytes) -> None:
    members = [file("damaged", library[:100]), file("tiny", b"\x7fELF"), file("whole", library)]
    (found,) = linkages(bench, Memory().image([members]))
    assert list(found.elves) == ["whole"]


def test_a_layer_is_read_once_whatever_image_it_comes_in(bench: Bench, library: bytes) -> None:
    shared, own = [file("libb1.so.1", library)], [file("readme", "of the other")]
    memory = Memory()
    (first,) = linkages(bench, memory.image([shared]))
    other = memory.image([shared, own])
    del memory.blobs[other.manifest.layers[0].digest]
    assert linkages(bench, other) == [first, Linkage({})]


def test_a_layer_that_is_not_what_its_digest_says_is_refused(bench: Bench, library: bytes) -> None:
    memory = Memory()
    image = memory.image([[file("libb1.so.1", library)]])
    digest = image.manifest.layers[0].digest
    good = memory.blobs[digest]
    memory.blobs[digest] = tar([file("libb2.so.1", library)])
    with pytest.raises(ActionError):
        linkages(bench, image)
    memory.blobs[digest] = good
    (found,) = linkages(bench, image)
    assert list(found.elves) == ["libb1.so.1"]


def test_a_hard_link_is_the_file_that_it_is(bench: Bench, library: bytes) -> None:
    content = member("libb1.so.1", library) + hard("libsame.so", "libb1.so.1") + END
    image = Memory().image_of([content], Compression.GZIP)
    (found,) = linkages(bench, image)
    with image.layers[0].uncompressed() as stream:
        files = files_of([index_layer(stream, 1 << 30)], [found])
    assert files.elves["libsame.so"] == files.elves["libb1.so.1"]


@pytest.mark.parametrize("compression", [Compression.NONE, Compression.GZIP])
def test_layers_that_tools_make(bench: Bench, library: bytes, compression: Compression) -> None:
    """As recipes and as blobs."""
    places: Mapping[str, str] = {"000": "opt/a", "001": "opt/b"}
    tree = folder_of({"libb1.so.1": bench.file(library), "readme": bench.file(b"x")})
    made = bench.run(
        make_layers,
        parameters={
            "by": "test", "compression": str(compression), "epoch": 0, "large": 1000, "most": 4,
            "places": {key: {"path": path, "skip": []} for key, path in places.items()},
        },
        inputs={"links.json": bench.file(b"{}"), **{f"trees/{key}": tree for key in places}},
        outputs=["layers"],
    )  # fmt: skip
    result = bench.run(
        link_made_layers, inputs={"layers": made.outputs["layers"]}, outputs=[LINKAGE]
    )
    found = Linkage.decode(bench.path(result.outputs[LINKAGE]).read_bytes())
    assert sorted(found.elves) == ["opt/a/libb1.so.1", "opt/b/libb1.so.1"]
