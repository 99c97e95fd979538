"""What a layer holds, from tars that nobody vouches for."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path
from typing import Any, BinaryIO, Literal, cast

import pytest
from parts.bench import Bench
from parts.hostile import END, LAYERS, folder, hard, head, link, member, pax
from parts.images import Memory, packed
from tritonbuild.rules.bases.index import index_blob

from tritonbuild.oci import Compression, Invalid, Listed, Listing, Root, indexing
from tritonbuild.oci.archive import Archive, write_docker_archive
from tritonbuild.oci.indexing import index_layer
from tritonbuild.oci.layout import Layout, write_layout
from tritonbuild.oci.listing import TEXT_LIMIT
from tritonbuild.oci.validate import validate
from tritonbuild.rule import ActionError


def index(tar: bytes) -> Listing:
    return index_layer(io.BytesIO(tar), len(tar))


def listed(tar: bytes) -> dict[str, Listed]:
    return {entry.path: entry for entry in index(tar).entries}


@pytest.mark.parametrize("name", LAYERS)
def test_a_hostile_layer_is_refused(name: str) -> None:
    tar, told = LAYERS[name]
    with pytest.raises(Invalid) as raised:
        index(tar)
    assert told in str(raised.value)


@pytest.mark.parametrize("name", LAYERS)
def test_a_hostile_layer_is_told_of_a_layout(name: str, tmp_path: Path) -> None:
    tar, told = LAYERS[name]
    image = Memory().image_of([member("good") + END, tar], Compression.GZIP)
    write_layout(image.source, image.descriptor, tmp_path / "layout")
    layout = Layout(tmp_path / "layout")
    faults = validate(layout, layout.descriptor())
    assert faults
    assert all(fault.startswith(f"layer 1, {image.manifest.layers[1].digest}") for fault in faults)
    assert told in faults[0]


@pytest.mark.parametrize("name", LAYERS)
def test_a_hostile_layer_is_told_of_an_archive(name: str, tmp_path: Path) -> None:
    tar, told = LAYERS[name]
    image = Memory().image_of([tar])
    with (tmp_path / "archive").open("wb") as file:
        write_docker_archive(image, file)
    archive = Archive(tmp_path / "archive")
    faults = validate(archive, archive.descriptor())
    assert faults
    assert told in faults[0]


def test_all_faults_of_a_layers_members_are_told_at_once() -> None:
    with pytest.raises(Invalid) as raised:
        index(member("../x") + member("good") + hard("h", "h") + END)
    assert len(raised.value.faults) == 2


def test_everything_that_a_member_says_is_listed() -> None:
    tar = (
        folder("etc/")
        + member("etc/passwd", b"root:x:0:0\n", mode=0o4755, uid=7, gid=8)
        + link("etc/link", "../../somewhere")
        + hard("etc/hard", "./etc/passwd")
        + head("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3)
        + head("pipe", tarfile.FIFOTYPE)
        + END
    )
    assert index(tar).entries == (
        Listed("etc", "folder", 0o644),
        Listed("etc/passwd", "file", 0o4755, 7, 8, 11, hashlib.sha256(b"root:x:0:0\n").hexdigest()),
        Listed("etc/link", "link", 0o644, target="../../somewhere"),
        Listed("etc/hard", "hardlink", 0o644, target="etc/passwd"),
        Listed("dev/null", "device", 0o644),
        Listed("pipe", "device", 0o644),
    )
    assert index(tar).texts == {"etc/passwd": "root:x:0:0\n"}


def test_a_layer_that_we_write_is_listed_as_it_was_written() -> None:
    from parts.images import busybox, tar

    from tritonbuild.oci.listing import listing_of

    members = busybox()
    entries = listing_of(members)
    made = index(tar(members))
    assert sorted(made.entries, key=lambda e: e.path) == sorted(
        entries.entries, key=lambda e: e.path
    )
    assert made.texts == entries.texts


@pytest.mark.parametrize("said", ["a/b", "./a/b", "/a/b", "a//b/", "//a/./b", "./././a/b"])
def test_a_path_has_one_form(said: str) -> None:
    assert list(listed(pax({"path": said}) + member("x") + END)) == ["a/b"]


def test_the_root_itself_is_not_listed() -> None:
    assert list(listed(folder("./") + member("./a") + END)) == ["a"]


def test_a_name_that_is_no_utf_8_is_kept() -> None:
    tar = member(b"a\xff".decode(errors="surrogateescape")) + END
    made = index(tar)
    assert made.entries[0].path.encode(errors="surrogateescape") == b"a\xff"
    assert Listing.decode(made.encoded) == made


def test_long_names_are_read_however_they_are_written() -> None:
    long, target = f"{'d' * 200}/{'n' * 200}", "t" * 300
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        info = tarfile.TarInfo(long)
        info.type, info.linkname = tarfile.SYMTYPE, target
        assert listed(info.tobuf(form) + END)[long].target == target
    info = tarfile.TarInfo(f"{'p' * 150}/{'n' * 90}")
    assert list(listed(info.tobuf(tarfile.USTAR_FORMAT) + END)) == [info.name]


def test_what_gnu_keeps_in_the_place_of_a_prefix_is_no_name() -> None:
    block = bytearray(member("a")[:512])
    block[345:357] = b"14000000000\0"  # a time of last access
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    assert list(listed(bytes(block) + member("a")[512:] + END)) == ["a"]


def test_extended_attributes_and_what_is_said_of_all_members_change_nothing() -> None:
    tar = pax({"comment": "x", "path": "all"}, tarfile.XGLTYPE)
    tar += pax({"SCHILY.xattr.security.capability": "\1\0\0\2", "mtime": "1.5"}) + member("ping")
    assert list(listed(tar + END)) == ["ping"]


def test_whiteouts_are_told_from_files() -> None:
    made = index(member("a/.wh.b") + member("a/.wh..wh..opq") + member("a/b", b"new") + END)
    assert [(entry.kind, entry.path) for entry in made.entries] == [
        ("whiteout", "a/b"), ("opaque", "a"), ("file", "a/b"),
    ]  # fmt: skip


def test_what_aufs_left_is_passed_over() -> None:
    assert index(folder(".wh..wh.plnk") + member(".wh..wh.plnk/1.2") + END).entries == ()


def test_a_tar_may_end_without_a_mark_and_with_any_padding() -> None:
    for end in (b"", END[:512], END, END * 20):
        assert list(listed(member("a") + end)) == ["a"]
    assert list(listed(member("a")[:513])) == ["a"]
    assert index(b"").entries == ()


def test_a_file_through_a_link_stays_in_the_root() -> None:
    root = Root()
    root.put(index(link("a", "../../../etc") + member("a/passwd") + END))
    assert [entry.path for entry in root.entries] == ["a", "etc/passwd"]


def test_a_folder_with_another_mode_keeps_what_lies_in_it() -> None:
    root = Root()
    root.put(index(folder("a") + member("a/b") + END))
    clashes = root.put(index(head("a", tarfile.DIRTYPE, mode=0o700) + END))
    assert [clash.path for clash in clashes] == ["a"]
    assert [entry.path for entry in root.entries] == ["a", "a/b"]


class Zeros(io.RawIOBase):
    """Pieces of bytes, and numbers of zeros, one after the other."""

    def __init__(self, *parts: bytes | int):
        self._parts = list(parts)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while self._parts and not self._parts[0]:
            del self._parts[0]
        if not self._parts:
            return 0
        part = self._parts[0]
        count = min(len(buffer), part if isinstance(part, int) else len(part))
        if isinstance(part, int):
            buffer[:count] = bytes(count)
            self._parts[0] = part - count
        else:
            buffer[:count], self._parts[0] = part[:count], part[count:]
        return count


class Large(Zeros):
    """One that seeks over zeros."""

    def seekable(self) -> bool:
        return True

    def seek(self, count: int, whence: int = 0) -> int:
        assert whence == 1
        self._parts = [part for part in self._parts if part]
        assert isinstance(self._parts[0], int)
        self._parts[0] -= count
        assert self._parts[0] >= 0
        return 0


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_a_size_beyond_8_gib_is_read(form: Literal[1, 2]) -> None:
    from tritonbuild.oci.untar import Untar

    size = 9 << 30
    info = tarfile.TarInfo("weights")
    info.size = size
    stream = Large(info.tobuf(form), size, member("after") + END)
    heads = list(Untar(cast(BinaryIO, stream), 1 << 40))
    assert [(head.name, head.size) for head in heads] == [("weights", size), ("after", 1)]


def test_a_layer_that_inflates_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_FREE", 1 << 20)
    tar = member("zeros", bytes(8 << 20)) + END
    for compression in (Compression.GZIP, Compression.ZSTD):
        image = Memory().image_of([tar], compression)
        (fault,) = validate(image.source, image.descriptor)
        size = image.manifest.layers[0].size
        assert f"the tar has more than {indexing.allowed(size)} bytes" in fault


def test_as_many_members_as_there_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "MOST", 3)
    index(b"".join(member(f"{number}") for number in range(3)) + END)
    with pytest.raises(Invalid, match="more than 3 members"):
        index(b"".join(member(f"{number}") for number in range(4)) + END)


def test_names_have_a_limit_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(indexing, "_NAMES", 4096)
    deep = "/".join("abcdefgh" * 4)
    with pytest.raises(Invalid, match="the names in a layer"):
        index(b"".join(member(f"{n}/{deep}") for n in range(5)) + END)


def test_system_files_have_a_limit_together() -> None:
    half = bytes(TEXT_LIMIT // 2)
    tar = member("etc/passwd", half) + member("etc/group", half) + member("etc/shadow") + END
    with pytest.raises(Invalid, match="'etc/shadow' makes more than 16 MiB"):
        index(tar)


@pytest.mark.parametrize("compression", Compression)
def test_the_tool_lists_a_blob(compression: Compression, tmp_path: Path) -> None:
    bench = Bench(tmp_path / "cache")
    tar = member("etc/passwd", b"root") + END
    blob = bench.file(packed(tar, compression))
    made = bench.run(index_blob, inputs={"blob": blob}, outputs=["listing"]).outputs["listing"]
    assert Listing.decode(bench.path(made).read_bytes()) == index(tar)


def test_the_tool_says_what_is_wrong_with_a_blob(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "cache")
    blob = bench.file(packed(member("../x") + END, Compression.GZIP))
    with pytest.raises(ActionError, match="leads out of the root"):
        bench.run(index_blob, inputs={"blob": blob}, outputs=["listing"])
