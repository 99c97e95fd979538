"""Images in tars: `docker save`'s, old and new, and OCI layouts packed into one."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from parts.hostile import END, hard, link, member
from parts.images import Memory, file, packed

from tritonbuild.oci import Absent, Compression, Image, Invalid, OciError, Refused
from tritonbuild.oci.archive import Archive, write_docker_archive
from tritonbuild.oci.layout import write_layout
from tritonbuild.oci.validate import validate

LAYERS = [[file("a", "lower")], [file("b", "upper")]]


@pytest.fixture
def image() -> Image:
    return Memory().image(LAYERS)


def saved(image: Image, path: Path, **more: Any) -> Archive:
    with path.open("wb") as target:
        write_docker_archive(image, target, **more)
    return Archive(path)


def names(path: Path) -> list[str]:
    with tarfile.open(path) as archive:
        return archive.getnames()


@pytest.mark.parametrize("compression", Compression)
def test_what_is_written_for_docker_is_read(compression: Compression, tmp_path: Path) -> None:
    image = Memory().image(LAYERS, compression)
    archive = saved(image, tmp_path / "archive", tags=["name:tag", "other:tag"])
    for name in ("", "name:tag", "other:tag"):
        assert validate(archive, archive.descriptor(name)) == []
    read = Image(archive, archive.descriptor())
    assert read.config_bytes == image.config_bytes
    assert [layer.diff_id for layer in read.layers] == [layer.diff_id for layer in image.layers]


def test_an_archive_has_the_same_bytes_however_its_layers_are_compressed(tmp_path: Path) -> None:
    contents = set()
    for compression in Compression:
        path = tmp_path / compression
        saved(Memory().image(LAYERS, compression), path, tags=["a:b"])
        contents.add(path.read_bytes())
    assert len(contents) == 1


def test_layers_that_the_daemon_has_are_named_and_left_out(image: Image, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    lower, upper = (layer.diff_id.removeprefix("sha256:") for layer in image.layers)
    saved(image, path, without={f"sha256:{lower}"})
    assert f"{upper}.tar" in names(path)
    assert f"{lower}.tar" not in names(path)
    with tarfile.open(path) as archive:
        document = archive.extractfile("manifest.json")
        assert document is not None
        (said,) = json.load(document)
    assert said["Layers"] == [f"{lower}.tar", f"{upper}.tar"]
    with pytest.raises(Absent, match=lower):
        Archive(path).descriptor()


def test_a_layer_that_comes_twice_is_sent_once(tmp_path: Path) -> None:
    image = Memory().image([LAYERS[0], LAYERS[0]])
    saved(image, tmp_path / "archive")
    assert len(names(tmp_path / "archive")) == 3


def test_writing_needs_no_seek(image: Image) -> None:
    class Pipe(io.RawIOBase):
        written = 0

        def writable(self) -> bool:
            return True

        def write(self, content: Any) -> int:
            self.written += len(content)
            return len(content)

    pipe = Pipe()
    write_docker_archive(image, pipe)  # type: ignore[arg-type]
    assert pipe.written % 512 == 0


def test_a_packed_layout_is_read(image: Image, tmp_path: Path) -> None:
    write_layout(image.source, image.descriptor, tmp_path / "layout", "latest")
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tmp_path / f"archive-{form}"
        with tarfile.open(path, "w", format=form) as archive:
            archive.add(tmp_path / "layout", ".")
        read = Archive(path)
        assert read.descriptor("latest").digest == image.descriptor.digest
        assert validate(read, read.descriptor()) == []


CONFIG = Memory().image(LAYERS).config_bytes
ONE, TWO = (packed_layer for packed_layer in (member("a") + END, member("b") + END))


def config_of(*tars: bytes) -> bytes:
    return Memory().image_of(tars).config_bytes


def manifest(*layers: str, config: str = "config.json", tags: Sequence[str] | None = None) -> bytes:
    document = [{"Config": config, "RepoTags": tags, "Layers": layers}]
    return member("manifest.json", json.dumps(document).encode())


def test_a_layer_that_docker_saved_as_a_link_is_read(tmp_path: Path) -> None:
    """As Docker does with a layer that several images have."""
    path = tmp_path / "archive"
    path.write_bytes(
        manifest("1/layer.tar", "2/layer.tar", "3/layer.tar")
        + member("config.json", config_of(ONE, TWO, ONE))
        + member("1/layer.tar", ONE)
        + member("2/layer.tar", TWO)
        + link("3/layer.tar", "../1/layer.tar")
        + END
    )
    archive = Archive(path)
    (fault,) = validate(archive, archive.descriptor())
    assert "layer 2 is its layer 0 again" in fault


def test_a_layer_may_be_a_hard_link_and_compressed(tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(
        member("config.json", config_of(ONE))
        + member("one", packed(ONE, Compression.GZIP))
        + hard("1/layer.tar", "one")
        + manifest("1/layer.tar")
        + END
    )
    archive = Archive(path)
    assert validate(archive, archive.descriptor()) == []


def test_all_images_of_an_archive_are_named(tmp_path: Path) -> None:
    documents = [
        {"Config": "1.json", "RepoTags": ["one:a", "one:b"], "Layers": ["1"]},
        {"Config": "2.json", "RepoTags": ["two:a"], "Layers": ["2"]},
    ]
    path = tmp_path / "archive"
    path.write_bytes(
        member("manifest.json", json.dumps(documents).encode())
        + b"".join(member(f"{n}.json", config_of(tar)) for n, tar in ((1, ONE), (2, TWO)))
        + member("1", ONE)
        + member("2", TWO)
        + END
    )
    archive = Archive(path)
    assert archive.descriptor("one:a").digest == archive.descriptor("one:b").digest
    assert archive.descriptor("two:a").digest != archive.descriptor("one:a").digest
    with pytest.raises(Absent) as raised:
        archive.descriptor()
    assert "3 images: one:a, one:b, two:a" in str(raised.value.problem)


GOOD = manifest("1") + member("config.json", config_of(ONE))
HOSTILE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "holds no image"),
    "no tar": (b"no tar at all".ljust(1024), "is damaged"),
    "cut": ((GOOD + member("1", ONE))[:1500], "is cut short"),
    "cut in a layer": ((GOOD + member("1", ONE))[:-600], "is cut short"),
    "compressed": (gzip.compress(GOOD), "is compressed"),
    "no manifest": (member("config.json", CONFIG) + END, "holds no image"),
    "manifest twice": (GOOD + manifest("1") + END, "holds 'manifest.json' twice"),
    "manifest that is no list": (member("manifest.json", b"{}") + END, "is damaged"),
    "manifest of 10 MB": (
        member("manifest.json", b" " * 10_000_000) + END,
        "has more than 4194304 bytes",
    ),
    "manifest that is a link out": (link("manifest.json", "/etc/passwd") + END, "holds no"),
    "manifest that is a link to itself": (
        link("manifest.json", "manifest.json") + END,
        "holds no 'manifest.json'",
    ),
    "no config": (manifest("1") + member("1", ONE) + END, "holds no 'config.json'"),
    "config out of the archive": (
        manifest("1", config="../../etc/passwd") + member("1", ONE) + END,
        "holds no '../../etc/passwd'",
    ),
    "config that is none": (
        manifest("1") + member("config.json", b"[]") + member("1", ONE) + END,
        "config of image 0",
    ),
    "config that is a folder": (manifest("1", config="a") + member("a/b") + END, "holds no 'a'"),
    "no layer": (GOOD + END, "holds no '1'"),
    "layer that is an absolute link": (GOOD + link("1", "/etc/passwd") + END, "holds no '1'"),
    "layer that is a link out": (GOOD + link("1", "../../../etc/passwd") + END, "holds no '1'"),
    "layer that is a hard link out": (GOOD + hard("1", "../etc/passwd") + END, "holds no '1'"),
    "links in a circle": (GOOD + link("1", "2") + link("2", "1") + END, "holds no '1'"),
    "more layers than diff ids": (
        manifest("1", "1") + member("config.json", config_of(ONE)) + member("1", ONE) + END,
        "2 layers and 1 diff ids",
    ),
    "layout of another version": (
        member("oci-layout", b'{"imageLayoutVersion":"9"}') + END,
        "version '9'",
    ),
    "layout without an index": (
        member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}') + END,
        "holds no 'index.json'",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_refused(name: str, tmp_path: Path) -> None:
    content, told = HOSTILE[name]
    (tmp_path / "archive").write_bytes(content)
    with pytest.raises(OciError) as raised:
        Archive(tmp_path / "archive").descriptor()
    assert told in str(raised.value.problem)


def test_another_layer_than_the_config_names_is_told(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(GOOD + member("1", TWO) + END)
    archive = Archive(tmp_path / "archive")
    faults = "\n".join(validate(archive, archive.descriptor()))
    assert "its content has the digest" in faults
    assert "its diff id: " in faults


@pytest.mark.parametrize(("make", "kind"), [(lambda path: None, Absent), (Path.mkdir, Refused)])
def test_what_is_no_file_is_told(
    make: Callable[[Path], None], kind: type[OciError], tmp_path: Path
) -> None:
    make(tmp_path / "archive")
    with pytest.raises(kind):
        Archive(tmp_path / "archive").descriptor()


def test_an_archive_is_read_where_it_lies(tmp_path: Path) -> None:
    """A layer of 9 GiB is not touched to find what stands after it."""
    path = tmp_path / "archive"
    info = tarfile.TarInfo("unused")
    info.size = 9 << 30
    with path.open("wb") as file:
        file.write(GOOD + info.tobuf(tarfile.PAX_FORMAT))
        file.seek(info.size, 1)  # a hole
        file.write(member("1", ONE) + END)
    archive = Archive(path)
    assert validate(archive, archive.descriptor()) == []


def test_too_many_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tritonbuild.oci.packed._MOST", 3)
    path = tmp_path / "archive"
    path.write_bytes(b"".join(member(str(number)) for number in range(4)) + END)
    with pytest.raises(Invalid, match="more than 3 files"):
        Archive(path).descriptor()
