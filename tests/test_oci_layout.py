"""OCI layouts on disk: read without trust, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from parts.images import Memory, file

from tritonbuild.oci import (
    Absent,
    Compression,
    Descriptor,
    Image,
    Index,
    Invalid,
    OciError,
    Platform,
    Refused,
    image_in,
)
from tritonbuild.oci.content import read
from tritonbuild.oci.documents import INDEX
from tritonbuild.oci.layout import Layout, write_layout
from tritonbuild.oci.validate import validate
from tritonbuild.oci.walk import walk


@pytest.fixture
def image() -> Image:
    return Memory().image([[file("a", "content")]])


@pytest.fixture
def folder(image: Image, tmp_path: Path) -> Path:
    """Of a layout."""
    write_layout(image.source, image.descriptor, tmp_path / "layout", "latest")
    return tmp_path / "layout"


def layer_file(image: Image, folder: Path) -> Path:
    return folder / "blobs/sha256" / image.manifest.layers[0].content.hash


def test_what_is_written_is_read(image: Image, folder: Path) -> None:
    layout = Layout(folder)
    assert layout.descriptor().digest == image.descriptor.digest
    assert layout.descriptor("latest") == layout.descriptor()
    assert validate(layout, layout.descriptor()) == []
    assert sorted(path.name for path in folder.iterdir()) == ["blobs", "index.json", "oci-layout"]


def test_an_index_is_copied_with_all_that_it_names(tmp_path: Path) -> None:
    memory = Memory()
    one = memory.image([[file("a")], [file("b")]]).descriptor
    two = memory.image([[file("a")], [file("c")]], Compression.ZSTD).descriptor
    arm = two.model_copy(update={"platform": Platform.of("linux/arm64")})
    index = memory.put(INDEX, Index(manifests=[one, arm]).encoded)
    write_layout(memory, index, tmp_path / "layout")
    layout = Layout(tmp_path / "layout")
    assert layout.descriptor().digest == index.digest
    there = {path.name for path in (tmp_path / "layout/blobs/sha256").iterdir()}
    assert there == {entry.content.hash for entry in walk(memory, index)}
    found = image_in(layout, layout.descriptor(), Platform.of("linux/amd64"))
    assert found.descriptor.digest == one.digest


def test_the_same_image_is_the_same_layout(image: Image, folder: Path, tmp_path: Path) -> None:
    write_layout(Layout(folder), image.descriptor, tmp_path / "again", "latest")
    assert (tmp_path / "again/index.json").read_bytes() == (folder / "index.json").read_bytes()


def test_what_comes_before_what_names_it(image: Image) -> None:
    order = [entry.digest for entry in walk(image.source, image.descriptor)]
    config, layer = image.manifest.config.digest, image.manifest.layers[0].digest
    assert order == [config, layer, image.descriptor.digest]


def test_indexes_without_end_are_not_walked(image: Image) -> None:
    memory, descriptor = image.source, image.descriptor
    assert isinstance(memory, Memory)
    for _ in range(6):
        descriptor = memory.put(INDEX, Index(manifests=[descriptor]).encoded)
    with pytest.raises(Invalid, match="lies too deep"):
        list(walk(memory, descriptor))


@pytest.mark.parametrize("damage", [b"other cont", b"short", b"much longer than it may be"])
def test_a_damaged_content_leaves_nothing_behind(damage: bytes, tmp_path: Path) -> None:
    memory = Memory()
    descriptor = memory.image_of([b"ten bytes."]).descriptor
    layer = Image(memory, descriptor).manifest.layers[0]
    memory.blobs[layer.digest] = damage
    with pytest.raises(Invalid):
        write_layout(memory, descriptor, tmp_path / "layout")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_nothing_is_overwritten(make: Callable[[Path], None], image: Image, tmp_path: Path) -> None:
    make(tmp_path / "layout")
    with pytest.raises(Refused, match="is there already"):
        write_layout(image.source, image.descriptor, tmp_path / "layout")
    assert os.listdir(tmp_path) == ["layout"]


def outside(path: Path) -> Path:
    """A file's content, moved out of the layout."""
    moved = path.parents[len(path.parts) - 1 - path.parts.index("layout")] / "outside"
    shutil.move(path, moved)
    return moved


def linked_out(path: Path) -> None:
    path.symlink_to(outside(path))


def linked_out_relatively(path: Path) -> None:
    target = outside(path)
    path.symlink_to(os.path.relpath(target, path.parent))


def linked_out_by_its_folder(path: Path) -> None:
    target = outside(path.parent)
    path.parent.symlink_to(target)


def in_a_circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (linked_out, "leads out of the layout"),
        (linked_out_relatively, "leads out of the layout"),
        (linked_out_by_its_folder, "leads out of the layout"),
        (in_a_circle, "cannot be read"),
        (pipe, "is no file"),
        (directory, "is no file"),
        (Path.unlink, "holds no"),
    ],
)
def test_what_is_no_file_of_the_layout_is_not_read(
    change: Callable[[Path], None], told: str, image: Image, folder: Path
) -> None:
    change(layer_file(image, folder))
    (fault,) = validate(Layout(folder), image.descriptor)
    assert told in fault


def test_a_link_inside_of_the_layout_is_followed(image: Image, folder: Path) -> None:
    path = layer_file(image, folder)
    path.rename(folder / "elsewhere")
    path.symlink_to("../../elsewhere")
    assert validate(Layout(folder), image.descriptor) == []


def test_a_layout_may_be_named_by_a_link(image: Image, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert validate(Layout(tmp_path / "link"), image.descriptor) == []


ENTRY = {"mediaType": INDEX, "digest": f"sha256:{'0' * 64}", "size": 1}
ANNOTATED = [
    {**ENTRY, "annotations": {"org.opencontainers.image.ref.name": "one"}},
    {**ENTRY, "digest": f"sha256:{'1' * 64}"},
    {
        **ENTRY,
        "digest": f"sha256:{'2' * 64}",
        "annotations": {"org.opencontainers.image.ref.name": "two"},
    },
]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("oci-layout", None, "holds no 'oci-layout'"),
        ("oci-layout", b"", "names no version"),
        ("oci-layout", b"[]", "names no version"),
        ("oci-layout", b"[" * 100_000, "names no version"),
        ("oci-layout", b'{"imageLayoutVersion":"2.0.0"}', "version '2.0.0'"),
        ("index.json", None, "holds no 'index.json'"),
        ("index.json", b"", "Invalid JSON"),
        ("index.json", b"[]", "index.json of"),
        ("index.json", b'{"schemaVersion":1,"manifests":[]}', "schemaVersion"),
        ("index.json", b'{"schemaVersion":2}', "manifests"),
        ("index.json", b'{"schemaVersion":2,"manifests":[]}', "holds no image"),
        ("index.json", b" " * 10_000_000, "has 4194305 bytes"),
        ("index.json", json.dumps({"schemaVersion": 2, "manifests": ANNOTATED}).encode(),
         "holds 3 images: one, two"),
    ],
)  # fmt: skip
def test_a_wrong_layout_is_told(name: str, content: bytes | None, told: str, folder: Path) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(OciError) as raised:
        Layout(folder).descriptor()
    assert told in str(raised.value.problem)


def test_images_are_told_apart_by_their_names(folder: Path) -> None:
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": ANNOTATED}))
    layout = Layout(folder)
    assert layout.descriptor("two").digest == ANNOTATED[2]["digest"]
    with pytest.raises(Absent) as raised:
        layout.descriptor("tow")
    assert raised.value.problem.remedy == "did you mean 'two'?"


def test_two_images_of_one_name_are_none(folder: Path) -> None:
    twins = [ANNOTATED[0], {**ANNOTATED[0], "digest": f"sha256:{'5' * 64}"}]
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": twins}))
    with pytest.raises(Invalid, match="2 images named 'one'"):
        Layout(folder).descriptor("one")


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Absent, match="nowhere holds no 'oci-layout'"):
        Layout(tmp_path / "nowhere").descriptor()


def test_what_is_read_is_verified(image: Image, folder: Path) -> None:
    path = layer_file(image, folder)
    path.write_bytes(bytes(path.stat().st_size))
    layer = Image(Layout(folder), image.descriptor).layers[0]
    with layer.open() as stream, pytest.raises(Invalid, match="content has the digest"):
        stream.read()
    manifest = folder / "blobs/sha256" / image.descriptor.content.hash
    manifest.write_bytes(manifest.read_bytes().replace(b"layers", b"LAYERS"))
    with pytest.raises(Invalid, match="content has the digest"):
        read(Layout(folder), Descriptor(**image.descriptor.model_dump()))


def test_what_a_process_that_was_killed_has_left_goes(image: Image, tmp_path: Path) -> None:
    left = tmp_path / ".tmp-layout/blobs/sha256"
    left.mkdir(parents=True)
    (left / image.manifest.config.content.hash).write_text("half of")
    write_layout(image.source, image.descriptor, tmp_path / "layout")
    layout = Layout(tmp_path / "layout")
    assert validate(layout, layout.descriptor()) == []
    assert list(tmp_path.iterdir()) == [tmp_path / "layout"]
