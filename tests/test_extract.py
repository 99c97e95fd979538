"""Archives, honest and hostile."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from parts.bench import Bench
from parts.folders import flat
from tritonbuild.rules.origins import extract
from tritonbuild.rules.origins.extract import (
    Hostile,
    unpack,
    unpack_archive,
    without_ending,
)
from tritonbuild.rules.origins.members import Unreadable

from tritonbuild.merkle import Folder
from tritonbuild.rule import ActionError


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def tar(path: Path, members: list[tarfile.TarInfo], mode: str = "w") -> Path:
    """Files hold their own name, as often as their size says."""
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for member in members:
            archive.addfile(member, io.BytesIO(os.fsencode(member.name) * (member.size + 1)))
    return path


def info(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type = kind
    made.size = len(os.fsencode(name)) if kind == tarfile.REGTYPE else 0
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def zipped(path: Path, members: Mapping[str, bytes], mode: int = 0) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED)
    return path


def content(tree: Path) -> dict[str, str]:
    return {
        file.relative_to(tree).as_posix(): file.read_text()
        for file in sorted(tree.rglob("*"))
        if file.is_file()
    }


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_unpacked_however_it_is_compressed(tmp_path: Path, tree: Path, mode: str) -> None:
    members = [info("./", tarfile.DIRTYPE), info("./a/b é.txt"), info("c", mode=0o755)]
    unpack(tar(tmp_path / "archive", members, mode), tree)
    assert content(tree) == {"a/b é.txt": "./a/b é.txt", "c": "c"}
    assert (tree / "c").stat().st_mode & 0o777 == 0o755
    assert (tree / "a/b é.txt").stat().st_mode & 0o777 == 0o644


def test_a_zip_is_unpacked(tmp_path: Path, tree: Path) -> None:
    unpack(zipped(tmp_path / "archive", {"a/": b"", "a/b é.txt": b"1", "c": b"2"}), tree)
    assert content(tree) == {"a/b é.txt": "1", "c": "2"}


def test_the_first_names_are_taken_off(tmp_path: Path, tree: Path) -> None:
    members = [info("top", tarfile.DIRTYPE), info("top/a"), info("top/b/c")]
    unpack(tar(tmp_path / "archive", members), tree, 1)
    assert sorted(content(tree)) == ["a", "b/c"]


def test_what_would_be_stripped_away_is_told(tmp_path: Path, tree: Path) -> None:
    with pytest.raises(Hostile, match="strip = 1 leaves nothing of 'README'"):
        unpack(tar(tmp_path / "archive", [info("top/a"), info("README")]), tree, 1)


def test_links_inside_of_it_stay(tmp_path: Path, tree: Path) -> None:
    members = [
        info("lib/x.so.1"),
        info("lib/x.so", tarfile.SYMTYPE, linkname="x.so.1"),
        info("again", tarfile.LNKTYPE, linkname="lib/x.so.1"),
    ]
    unpack(tar(tmp_path / "archive", members), tree)
    assert (tree / "lib/x.so").is_symlink()
    assert (tree / "lib/x.so").read_text() == "lib/x.so.1"
    assert (tree / "again").read_text() == "lib/x.so.1"
    assert not (tree / "again").is_symlink()
    assert (tree / "again").stat().st_nlink == 1


def test_a_link_in_a_zip_is_one(tmp_path: Path, tree: Path) -> None:
    path = tmp_path / "archive"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"1")
        member = zipfile.ZipInfo("link")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, b"a")
    unpack(path, tree)
    assert (tree / "link").is_symlink()
    assert (tree / "link").read_text() == "1"


HOSTILE: dict[str, tuple[list[tarfile.TarInfo], str]] = {
    "absolute": ([info("/etc/x")], "'/etc/x', which is not a path below"),
    "above": ([info("../x")], r"'\.\./x', which is not a path below"),
    "above in the middle": ([info("a/../../x")], "which is not a path below"),
    "dot in the middle": ([info("a/./x")], "which is not a path below"),
    "above as a folder": ([info("..", tarfile.DIRTYPE)], "which is not a path below"),
    "backslash": ([info("..\\x")], "which is not a path below"),
    "newline": ([info("a\nb")], "which is not a path below"),
    "no text": ([info("a\udcffb")], "which is not a path below"),
    "twice": ([info("a"), info("a")], "it holds 'a' twice"),
    "twice in two spellings": ([info("a"), info("./a")], "it holds 'a' twice"),
    "file and folder": ([info("a"), info("a", tarfile.DIRTYPE)], "it holds 'a' twice"),
    "below a file": ([info("a"), info("a/b")], "'a/b' below what is no folder"),
    "through a link": (
        [info("a", tarfile.SYMTYPE, linkname="."), info("a/b")],
        "'a/b' below what is no folder",
    ),
    "over a link": ([info("a", tarfile.SYMTYPE, linkname="b"), info("a")], "it holds 'a' twice"),
    "link out": (
        [info("a", tarfile.SYMTYPE, linkname="../x")],
        r"'a' is a link to '\.\./x', which leaves it",
    ),
    "absolute link": ([info("a", tarfile.SYMTYPE, linkname="/etc")], "which leaves it"),
    "link to itself from above": ([info("a", tarfile.SYMTYPE, linkname=".")], "which leaves it"),
    "links that lead out together": (
        [
            info("d/e/up", tarfile.SYMTYPE, linkname="../.."),
            info("d/e/out", tarfile.SYMTYPE, linkname="up/../x"),
        ],
        "which leaves it",
    ),
    "hard link out": (
        [info("a", tarfile.LNKTYPE, linkname="../x")],
        "which is not a path below",
    ),
    "hard link to what is not there": (
        [info("a", tarfile.LNKTYPE, linkname="b")],
        "'a' is a link to 'b', which is no file of it",
    ),
    "hard link to a link": (
        [info("a", tarfile.SYMTYPE, linkname="b"), info("c", tarfile.LNKTYPE, linkname="a")],
        "'c' is a link to 'a', which is no file of it",
    ),
    "device": ([info("a", tarfile.CHRTYPE)], "'a' is a device"),
    "block device": ([info("a", tarfile.BLKTYPE)], "'a' is a device"),
    "pipe": ([info("a", tarfile.FIFOTYPE)], "'a' is a device"),
    "setuid": ([info("a", mode=0o4755)], "'a' is setuid"),
    "setgid": ([info("a", mode=0o2755)], "'a' is setuid or setgid"),
    "empty": ([], "there is nothing in it"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_tar_is_refused(tmp_path: Path, tree: Path, name: str) -> None:
    members, found = HOSTILE[name]
    with pytest.raises(Hostile, match=found):
        unpack(tar(tmp_path / "archive", members), tree)
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "tree"}


@pytest.mark.parametrize(
    ("members", "mode", "found"),
    [
        ({"/etc/x": b""}, 0, "'/etc/x'"),
        ({"../x": b""}, 0, r"'\.\./x'"),
        ({"a/../../x": b""}, 0, "not a path below"),
        ({"..\\x": b""}, 0, "not a path below"),
        ({"a": b"../x"}, stat.S_IFLNK | 0o777, r"a link to '\.\./x', which leaves it"),
        ({"a": b""}, stat.S_IFCHR, "is a device"),
        ({"a": b""}, stat.S_IFREG | 0o4755, "is setuid"),
        ({"a": b"", "A/../a": b""}, 0, "not a path below"),
        ({}, 0, "nothing in it"),
    ],
)
def test_a_hostile_zip_is_refused(
    tmp_path: Path, tree: Path, members: dict[str, bytes], mode: int, found: str
) -> None:
    with pytest.raises(Hostile, match=found):
        unpack(zipped(tmp_path / "archive", members, mode), tree)
    assert {path.name for path in tmp_path.iterdir()} == {"archive", "tree"}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_name_twice_in_a_zip_is_refused(tmp_path: Path, tree: Path) -> None:
    path = tmp_path / "archive"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a", b"1")
        archive.writestr("a", b"2")
    with pytest.raises(Hostile, match="it holds 'a' twice"):
        unpack(path, tree)


@pytest.mark.parametrize("make", [
    lambda path: zipped(path, {"a": bytes(3 << 20)}),
    lambda path: tar(path, [info("a", size=3 << 20)], "w:gz"),
])  # fmt: skip
def test_a_bomb_is_not_unpacked(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path]
) -> None:
    monkeypatch.setattr(extract, "_FREE", 1 << 20)
    with pytest.raises(Hostile, match="more than 1 MiB"):
        unpack(make(tmp_path / "archive"), tree)
    assert not list(tree.iterdir())


def test_a_zip_that_understates_itself_yields_no_more_than_it_states(
    tmp_path: Path, tree: Path
) -> None:
    path = zipped(tmp_path / "archive", {"a": bytes(1 << 20)})
    content = path.read_bytes().replace((1 << 20).to_bytes(4, "little"), (9).to_bytes(4, "little"))
    path.write_bytes(content)
    with pytest.raises(Unreadable):
        unpack(path, tree)
    assert (tree / "a").stat().st_size <= 9


@pytest.mark.parametrize("body", [b"", b"no archive", b"PK\x03\x04 no zip", b"\x1f\x8b no gzip"])
def test_what_is_no_archive_is_told(tmp_path: Path, tree: Path, body: bytes) -> None:
    (tmp_path / "archive").write_bytes(body)
    with pytest.raises(Unreadable):
        unpack(tmp_path / "archive", tree)


@pytest.mark.parametrize("make", [
    lambda path: zipped(path, {"a": b"x" * 9000, "b": b"y" * 9000}),
    lambda path: tar(path, [info("a", size=9000), info("b", size=9000)]),
    lambda path: tar(path, [info("a", size=9000), info("b", size=9000)], "w:gz"),
])  # fmt: skip
def test_an_archive_that_was_cut_is_told(
    tmp_path: Path, tree: Path, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path / "archive")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(Unreadable):
        unpack(path, tree)


def test_an_encrypted_zip_is_told(tmp_path: Path, tree: Path) -> None:
    path = zipped(tmp_path / "archive", {"a": b"1"})
    body = bytearray(path.read_bytes())
    body[6] |= 1
    body[body.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(body)
    with pytest.raises(Unreadable, match="'a' is encrypted"):
        unpack(path, tree)


def test_zstd_is_told(tmp_path: Path, tree: Path) -> None:
    (tmp_path / "archive").write_bytes(b"\x28\xb5\x2f\xfd and so on")
    with pytest.raises(Unreadable, match="zstd"):
        unpack(tmp_path / "archive", tree)


def test_the_tool_makes_a_folder_that_is_the_same_each_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "cache")
    archive = bench.take(tar(tmp_path / "archive", [info("top/a"), info("top/b", mode=0o755)]))
    parameters = {"name": "a.tar", "strip": 1}
    made = bench.run(
        unpack_archive, parameters=parameters, inputs={"archive": archive}, outputs=["tree"]
    ).outputs["tree"]
    assert isinstance(made, Folder)
    assert flat(made) == {
        "a": bench.file(b"top/a"),
        "b": type(archive)(bench.file(b"top/b").digest, executable=True),
    }


def test_the_tool_says_which_archive_it_refuses(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "cache")
    archive = bench.take(tar(tmp_path / "archive", [info("/x")]))
    with pytest.raises(ActionError, match=r"a\.tar is refused"):
        bench.run(
            unpack_archive, parameters={"name": "a.tar", "strip": 0},
            inputs={"archive": archive}, outputs=["tree"],
        )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "without"),
    [("a.zip", "a"), ("a.b.tar.gz", "a.b"), ("A.TGZ", "A"), ("a", "a"), (".zip", ".zip")],
)
def test_a_folder_has_the_archives_name_without_its_ending(name: str, without: str) -> None:
    assert without_ending(name) == without


def test_hard_links_count_as_the_files_that_they_become(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "_FREE", 3 << 20)
    links = [info(f"l{n}", tarfile.LNKTYPE, linkname="a") for n in range(9)]
    path = tar(tmp_path / "archive", [info("a", size=1 << 20), *links], "w:gz")
    with pytest.raises(Hostile, match="more than 3 MiB"):
        unpack(path, tree)
    assert len(list(tree.iterdir())) == 3


def peak(work: Callable[[], object]) -> int:
    """Bytes of memory that Python takes for it at most."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def refused(path: Path, tree: Path, found: str) -> Callable[[], None]:
    def work() -> None:
        with pytest.raises(Unreadable, match=found):
            unpack(path, tree)

    return work


def test_a_link_in_a_zip_is_read_no_longer_than_a_path(tmp_path: Path, tree: Path) -> None:
    path = zipped(tmp_path / "archive", {"a": b"x" * (64 << 20)}, stat.S_IFLNK | 0o777)
    assert peak(refused(path, tree, "a link to more than 4096 bytes")) < 8 << 20


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_python_decompresses_at_once_is_refused(
    tmp_path: Path, tree: Path, method: int
) -> None:
    path = tmp_path / "archive"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("a", bytes(64 << 20))
    assert peak(refused(path, tree, "'a' is neither stored nor deflated")) < 8 << 20


def test_headers_of_a_tar_are_bounded(tmp_path: Path, tree: Path) -> None:
    member = info("a", pax_headers={"comment": "x" * (64 << 20)})
    path = tar(tmp_path / "archive", [member], "w:gz")
    assert peak(refused(path, tree, "more than 1024 KiB of headers")) < 8 << 20


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_headers_without_end_are_refused(tmp_path: Path, tree: Path, kind: bytes) -> None:
    path = tar(tmp_path / "archive", [info("a", kind, size=9)] * 5000 + [info("a")])
    with pytest.raises(Unreadable):
        unpack(path, tree)


def test_what_a_tar_says_of_all_members_is_bounded(tmp_path: Path, tree: Path) -> None:
    path = tmp_path / "archive"
    with tarfile.open(path, "w", pax_headers={f"k{n}": "x" for n in range(200)}) as archive:
        archive.addfile(info("a"), io.BytesIO(b"a"))
    with pytest.raises(Unreadable, match="more than 100 things of all members"):
        unpack(path, tree)


def test_long_names_are_honest(tmp_path: Path, tree: Path) -> None:
    name = "/".join(["n" * 200] * 5)
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        with tarfile.open(tmp_path / "archive", "w:xz", format=form) as archive:
            for number in range(3):
                archive.addfile(info(f"{name}{form}{number}", size=9), io.BytesIO(b"123456789"))
        unpack(tmp_path / "archive", tree)
    assert set(content(tree).values()) == {"123456789"}
    assert len(content(tree)) == 6
