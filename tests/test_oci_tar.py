"""The tar of a layer: the same bytes for the same members, and what others read in it."""

from __future__ import annotations

import hashlib
import io
import random
import subprocess
import tarfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from parts.images import tar

from tritonbuild.digest import Digest
from tritonbuild.merkle import File, Folder, Symlink
from tritonbuild.oci import Listed, Member
from tritonbuild.oci.indexing import index_layer
from tritonbuild.oci.listing import listing_of
from tritonbuild.oci.tar import Kind, members_of, recipe_of

NAMES = st.binary(min_size=1, max_size=60).map(
    lambda name: name.replace(b"\0", b"x").replace(b"/", b"y").decode(errors="surrogateescape")
)
PATHS = (
    st.lists(NAMES.filter(lambda name: name not in (".", "..")), min_size=1, max_size=5)
    .map("/".join)
    .filter(lambda path: ".wh." not in path)
)
IDS = st.integers(0, 2**31)
VALUES = st.binary(max_size=30)
KINDS: tuple[Kind, ...] = ("file", "folder", "link")


@st.composite
def members(draw: st.DrawFn) -> list[Member]:
    """Files, folders and links, with paths of all lengths and letters."""
    found = []
    for path in draw(st.lists(PATHS, unique=True, max_size=6)):
        kind = draw(st.sampled_from(KINDS))
        found.append(
            Member(
                path,
                kind,
                draw(st.integers(0, 0o7777)),
                draw(IDS),
                draw(IDS),
                draw(st.integers(0, 2**34)),
                draw(st.binary(max_size=1200)) if kind == "file" else b"",
                draw(PATHS) if kind == "link" else "",
                draw(st.dictionaries(st.sampled_from(["user.a", "security.capability"]), VALUES)),
            )
        )
    return found


@settings(max_examples=40)
@given(members())
def test_python_reads_every_member_as_it_was_given(given_members: list[Member]) -> None:
    with tarfile.open(
        fileobj=io.BytesIO(tar(given_members)), encoding="utf-8", errors="surrogateescape"
    ) as opened:
        read = opened.getmembers()
        assert [one.name for one in read] == sorted(member.path for member in given_members)
        for info in read:
            (member,) = [one for one in given_members if one.path == info.name]
            assert (info.mode, info.uid, info.gid, info.mtime) == (
                member.mode, member.uid, member.gid, member.mtime,
            )  # fmt: skip
            assert {"file": info.isreg(), "folder": info.isdir(), "link": info.issym()}[member.kind]
            assert info.linkname == member.target
            if member.kind == "file":
                content = opened.extractfile(info)
                assert content is not None
                assert content.read() == member.content
            told = {
                name.removeprefix("SCHILY.xattr."): value.encode(errors="surrogateescape")
                for name, value in info.pax_headers.items()
                if name.startswith("SCHILY.xattr.")
            }
            assert told == member.xattrs


@settings(max_examples=40)
@given(members(), st.randoms())
def test_the_order_of_members_makes_no_difference(
    given_members: list[Member], chance: random.Random
) -> None:
    shuffled = list(given_members)
    chance.shuffle(shuffled)
    assert recipe_of(shuffled) == recipe_of(given_members)


def test_the_bytes_are_those_that_every_release_has_written() -> None:
    layer = [
        Member("a", "folder", 0o755),
        Member("a/ü" + "x" * 120, content=b"content", uid=2**21, mtime=1),
        Member("a/link", "link", 0o777, target="y" * 120),
        Member("b", "hardlink", target="a/ü" + "x" * 120),
    ]
    digest = "d4e262f68b4737699ed93b4318c186af9af25497782406b4949356b26045dba7"
    assert hashlib.sha256(tar(layer)).hexdigest() == digest


def test_a_hard_link_stands_after_its_target() -> None:
    layer = [Member("a", "hardlink", target="z"), Member("z", content=b"content")]
    with tarfile.open(fileobj=io.BytesIO(tar(layer))) as opened:
        assert [info.name for info in opened] == ["z", "a"]
        content = opened.extractfile("a")
        assert content is not None
        assert content.read() == b"content"


def test_a_size_above_8_gib_is_told() -> None:
    large = Member("weights", content=Digest("0" * 64, 9 << 30))
    recipe = recipe_of([large, Member("z", content=b"after")])
    header, content = recipe.parts[0], recipe.parts[1]
    assert isinstance(header, bytes)
    assert content == large.content
    with tarfile.open(fileobj=io.BytesIO(header)) as opened:
        info = opened.next()
    assert info is not None
    assert (info.name, info.size) == ("weights", 9 << 30)
    assert recipe.size % 512 == 0


def test_gnu_tar_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "layer.tar"
    file.write_bytes(tar([Member("d", "folder", 0o755), Member("d/ü" + "x" * 200, content=b"1")]))
    listed = subprocess.run(
        ["tar", "--numeric-owner", "-tvf", file],
        capture_output=True, text=True, check=True, env={"LC_ALL": "C.UTF-8", "TZ": "UTC"},
    )  # fmt: skip
    assert listed.stderr == ""
    rows = [line.split() for line in listed.stdout.splitlines()]
    assert [(row[0], row[1], row[-1]) for row in rows] == [
        ("drwxr-xr-x", "0/0", "d/"),
        ("-rw-r--r--", "0/0", "d/ü" + "x" * 200),
    ]


def test_a_folder_becomes_members_that_everyone_may_read() -> None:
    file = File(Digest.of_bytes(b"content"))
    program = File(Digest.of_bytes(b"program"), executable=True)
    tree = Folder(
        {"b": Folder({"run": program, "link": Symlink("../a")}), "a": file, "e": Folder()}
    )
    found = {
        member.path: (member.kind, member.mode, member.uid, member.mtime)
        for member in members_of(tree, "opt/x", uid=7, mtime=5)
    }
    assert found == {
        "opt/x": ("folder", 0o755, 7, 5),
        "opt/x/a": ("file", 0o644, 7, 5),
        "opt/x/b": ("folder", 0o755, 7, 5),
        "opt/x/b/link": ("link", 0o777, 7, 5),
        "opt/x/b/run": ("file", 0o755, 7, 5),
        "opt/x/e": ("folder", 0o755, 7, 5),
    }


@settings(max_examples=40)
@given(members())
def test_what_we_say_of_a_layer_is_what_is_read_in_it(given_members: list[Member]) -> None:
    layer = _possible(given_members)
    content = tar(layer)
    said = listing_of(sorted(layer, key=lambda member: member.path))
    read = index_layer(io.BytesIO(content), len(content))
    assert [_without_mode_of_links(one) for one in read.entries] == [
        _without_mode_of_links(one) for one in said.entries
    ]
    assert read.texts == said.texts


def _possible(layer: list[Member]) -> list[Member]:
    """Without what no file system takes: something below a file, names that are too long."""
    files = [member.path for member in layer if member.kind != "folder"]
    return [m for m in layer if not any(m.path.startswith(f"{file}/") for file in files)]


def _without_mode_of_links(one: Listed) -> object:
    return one if one.kind != "link" else (one.path, one.target)
