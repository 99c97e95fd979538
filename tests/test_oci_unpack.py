"""Layers made real in a folder."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from parts import images
from parts.images import Memory, file, folder, link
from parts.recipes import sparse

from tritonbuild.atomic import remove_tree
from tritonbuild.cache.disk import DiskCache
from tritonbuild.digest import CHUNK
from tritonbuild.oci import Compression, Invalid, Member
from tritonbuild.oci.tar import recipe_of
from tritonbuild.oci.unpack import Unpacked, unpack
from tritonbuild.oci.user import User, user_of


def unpacked(at: Path, *layers: list[Member], compression: Compression = Compression.NONE) -> Path:
    """The folder that layers become."""
    unpack(Memory().image(layers, compression), at / "root")
    return at / "root"


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*")}


def tars(at: Path, *layers: bytes) -> Path:
    unpack(Memory().image_of(layers), at / "root")
    return at / "root"


def made(*entries: tuple[str, bytes, str, bytes]) -> bytes:
    """A tar of (name, type, link target, content), in that order and with no one's blessing."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, linkname, content in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, linkname, len(content)
            tar.addfile(info, io.BytesIO(content))
    return target.getvalue()


REG, DIR, SYM, LNK, CHR = (
    tarfile.REGTYPE,
    tarfile.DIRTYPE,
    tarfile.SYMTYPE,
    tarfile.LNKTYPE,
    tarfile.CHRTYPE,
)


@pytest.mark.parametrize("compression", list(Compression))
def test_files_folders_and_links_are_made(tmp_path: Path, compression: Compression) -> None:
    members = [folder("a"), file("a/f", "x" * 3_000_000), link("a/l", "f"), file("b/c/d", "deep")]
    hard = Member("h", "hardlink", target="a/f")
    root = unpacked(tmp_path, [*members, hard], compression=compression)
    assert names(root) == {"a", "a/f", "a/l", "b", "b/c", "b/c/d", "h"}
    assert (root / "a/l").readlink() == Path("f")
    assert (root / "a/f").read_text() == "x" * 3_000_000
    assert (root / "h").samefile(root / "a/f")


def test_an_upper_layer_replaces_and_removes(tmp_path: Path) -> None:
    lower = [file("keep"), file("gone"), file("dir/old"), file("tree/x"), file("f", "1")]
    upper = [file(".wh.gone"), file("f", "2"), file("dir/new"), file(".wh.tree")]
    root = unpacked(tmp_path, lower, upper)
    assert names(root) == {"keep", "dir", "dir/old", "dir/new", "f"}
    assert (root / "f").read_text() == "2"


def test_a_whiteout_hides_lower_layers_only(tmp_path: Path) -> None:
    lower = [file("a/old"), file("b/old"), file("c")]
    upper = made(
        ("a/new", REG, "", b""), ("a/.wh..wh..opq", REG, "", b""),
        ("b/sub/new", REG, "", b""), (".wh.b", REG, "", b""),
        ("c", REG, "", b"new"), (".wh.c", REG, "", b""),
    )  # fmt: skip
    root = tars(tmp_path, images.tar(lower), upper)
    assert names(root) == {"a", "a/new", "b", "b/sub", "b/sub/new", "c"}
    assert (root / "c").read_text() == "new"


def test_a_whiteout_of_nothing_makes_nothing(tmp_path: Path) -> None:
    assert names(unpacked(tmp_path, [file("x/.wh.y"), file(".wh.z")])) == set()


def test_a_path_leads_through_links_of_lower_layers(tmp_path: Path) -> None:
    lower = [
        folder("usr/bin"),
        link("bin", "usr/bin"),
        link("abs", "/usr"),
        link("up", "../../usr"),
    ]
    upper = [file("bin/a"), file("abs/b"), file("up/c"), file("abs/bin/.wh.none")]
    root = unpacked(tmp_path, lower, upper)
    assert names(root) == {"usr", "usr/bin", "usr/bin/a", "usr/b", "usr/c", "bin", "abs", "up"}


def test_a_folder_replaces_a_link_and_a_file_a_folder(tmp_path: Path) -> None:
    lower = [folder("usr/bin"), file("usr/bin/x"), link("bin", "usr/bin"), file("dir/x")]
    root = unpacked(tmp_path, lower, [folder("bin"), file("bin/y"), file("dir", "now")])
    assert not (root / "bin").is_symlink()
    assert names(root) == {"usr", "usr/bin", "usr/bin/x", "bin", "bin/y", "dir"}


def test_times_are_kept_since_bytecode_names_them(tmp_path: Path) -> None:
    root = unpacked(tmp_path, [file("m.py", mtime=1234567)])
    assert (root / "m.py").stat().st_mtime == 1234567


def test_a_file_over_a_hard_link_leaves_the_other_name_alone(tmp_path: Path) -> None:
    lower = [file("a", "old"), Member("b", "hardlink", target="a")]
    root = unpacked(tmp_path, lower, [file("b", "new")])
    assert ((root / "a").read_text(), (root / "b").read_text()) == ("old", "new")


def test_devices_and_setuid_are_left_out(tmp_path: Path) -> None:
    layer = made(("dev/null", CHR, "", b""))
    image = Memory().image_of([layer, images.tar([file("su", mode=0o6755)])])
    unpack(image, tmp_path / "root").settle(lambda mode, uid, gid: mode)
    assert names(tmp_path / "root") == {"dev", "su"}
    assert (tmp_path / "root/su").stat().st_mode & 0o7777 == 0o755


OUTSIDE = "outside"


@pytest.mark.parametrize(
    "entries",
    [
        [("../outside/x", REG, "", b"bad")],
        [("a/../../outside/x", REG, "", b"bad")],
        [("l", LNK, "../outside/victim", b""), ("l", REG, "", b"bad")],
        [("l", LNK, "{abs}/victim", b"")],
        [("s", SYM, "{abs}/victim", b""), ("h", LNK, "s/../victim", b"")],
        [("a", REG, "", b""), ("a/b", REG, "", b"")],
        [("loop", SYM, "loop", b""), ("loop/x", REG, "", b"")],
        [("a", SYM, "b", b""), ("b", SYM, "a", b""), ("a/x", REG, "", b"")],
        [("none", LNK, "nothing", b"")],
        [("d", DIR, "", b""), ("h", LNK, "d", b"")],
        [(".", REG, "", b"bad")],
        [("/", SYM, "{abs}", b"")],
        [(".wh.", REG, "", b"")],
        [(".wh...", REG, "", b"")],
        [("x" * 300, REG, "", b"")],
        [("empty", SYM, "", b"")],
    ],
    ids=lambda entries: "|".join(f"{name[:20]}{kind.decode()}" for name, kind, _, _ in entries),
)
def test_a_hostile_layer_is_refused(
    tmp_path: Path, entries: list[tuple[str, bytes, str, bytes]]
) -> None:
    victim = outside(tmp_path)
    with pytest.raises(Invalid, match="sha256:"):
        tars(tmp_path, made(*[(n, k, t.format(abs=victim.parent), c) for n, k, t, c in entries]))
    assert untouched(victim)


@pytest.mark.parametrize(
    "entries",
    [
        [("s", SYM, "{abs}", b""), ("s/x", REG, "", b"bad")],
        [("s", SYM, "{abs}/victim", b""), ("s", REG, "", b"bad")],
        [("s", SYM, "{up}", b""), ("s/x", REG, "", b"bad")],
        [("a", SYM, "/", b""), ("a/b", SYM, "{up}", b""), ("a/b/x", REG, "", b"bad")],
        [("s", SYM, "{abs}", b""), ("s/.wh.victim", REG, "", b"")],
        [("s", SYM, "{abs}", b""), ("s/.wh..wh..opq", REG, "", b"")],
        [("s", SYM, "{abs}", b""), ("s", DIR, "", b"")],
        [("s", SYM, "{abs}/victim", b""), ("h", LNK, "s", b""), ("h", REG, "", b"bad")],
        [
            ("d", DIR, "", b""),
            ("d/y", DIR, "", b""),
            ("d", SYM, "{abs}", b""),
            ("d/y", DIR, "", b""),
        ],
        [("/{abs}/x", REG, "", b"bad")],
    ],
    ids=lambda entries: "|".join(f"{name[:20]}{kind.decode()}" for name, kind, _, _ in entries),
)
def test_a_layer_with_links_outside_writes_inside_only(
    tmp_path: Path, entries: list[tuple[str, bytes, str, bytes]]
) -> None:
    victim = outside(tmp_path)
    words = {"abs": str(victim.parent), "up": "../" * 30 + str(victim.parent).lstrip("/")}
    image = Memory().image_of(
        [made(*[(n.format(**words), k, t.format(**words), c) for n, k, t, c in entries])]
    )
    unpack(image, tmp_path / "root").settle(lambda mode, uid, gid: 0o777)
    assert untouched(victim)


def outside(at: Path) -> Path:
    (at / OUTSIDE).mkdir()
    victim = at / OUTSIDE / "victim"
    victim.write_text("kept")
    victim.chmod(0o600)
    return victim


def untouched(victim: Path) -> bool:
    status = victim.stat()
    return (
        os.listdir(victim.parent) == ["victim"]
        and victim.read_text() == "kept"
        and (status.st_mode & 0o777, status.st_nlink) == (0o600, 1)
        and victim.parent.stat().st_mode & 0o777 == 0o755
    )


def test_a_damaged_blob_is_refused(tmp_path: Path) -> None:
    memory = Memory()
    image = memory.image([[file("a", "x" * 5000)]])
    digest = image.manifest.layers[0].digest
    memory.blobs[digest] = memory.blobs[digest].replace(b"xx", b"xy", 1)
    with pytest.raises(Invalid, match="content has the digest"):
        unpack(image, tmp_path / "root")


def test_a_folder_s_group_is_not_that_of_what_is_made_in_it(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(tmp_path, -1, 12345)
    tmp_path.chmod(0o2755)
    root = unpacked(tmp_path, [file("a/b")])
    for path in (root, root / "a", root / "a/b"):
        assert (path.stat().st_gid, path.stat().st_mode & 0o2000) == (os.getegid(), 0)


def test_a_check_that_raises_ends_it(tmp_path: Path) -> None:
    def check() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(Memory().image([[file("a")]]), tmp_path / "root", check)


def test_large_contents_of_recipes_stay_where_they_are(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path / "cache")
    weights = cache.put(b"w" * CHUNK)
    other = cache.put(b"o" * CHUNK)
    members = [
        Member("models/w", content=weights),
        Member("models/program", mode=0o755, content=weights),
        Member("models/small", content=cache.put(b"small")),
        Member("old", content=other),
        Member("models/twice", "hardlink", target="models/w"),
    ]
    image = sparse(cache, recipe_of(members), recipe_of([file(".wh.old")]))
    for path in cache.root.glob(f"blobs/*/{weights.hash}"):
        path.chmod(0o644)
    found = unpack(image, tmp_path / "root")
    assert found.apart == {"models/w": weights, "models/twice": weights}
    assert (tmp_path / "root/models/w").stat().st_size == 0
    assert (tmp_path / "root/models/program").stat().st_size == CHUNK
    assert (tmp_path / "root/models/small").read_text() == "small"


def test_modes_are_what_the_image_s_user_may_do(tmp_path: Path) -> None:
    members = [
        file("root-only", mode=0o600),
        file("own", mode=0o600, uid=7),
        file("group", mode=0o640, gid=8),
        file("all", mode=0o644),
        folder("shut", mode=0o700),
        file("shut/x"),
    ]
    image = Memory().image([members])

    def modes(at: Path, user: User) -> dict[str, int]:
        unpack(image, at).settle(user.seen)
        with os.scandir(at) as entries:
            found = {entry.name: entry.stat().st_mode >> 6 & 0o7 for entry in entries}
        remove_tree(at)
        return found

    assert modes(tmp_path / "a", User(7, 8, "/")) == {
        "root-only": 0, "own": 6, "group": 4, "all": 4, "shut": 0,
    }  # fmt: skip
    assert modes(tmp_path / "b", User(0, 0, "/")) == {
        "root-only": 6, "own": 6, "group": 6, "all": 6, "shut": 7,
    }  # fmt: skip


def test_a_file_is_read_through_the_image_s_links_only(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("host")
    layer = [
        file("etc/real", "in"),
        link("etc/passwd", "/etc/real"),
        link("x", f"{tmp_path}/secret"),
    ]
    found: Unpacked = unpack(Memory().image([layer]), tmp_path / "root")
    assert found.text("etc/passwd") == "in"
    assert found.text("x") == ""


PASSWD = "root:x:0:0::/root:/bin/sh\nbroken\nweb:x:33:34::/var/www:/bin/sh\n"
GROUP = "root:x:0:\nstaff:x:50:web\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", User(0, 0, "/root")),
        ("web", User(33, 34, "/var/www")),
        ("33", User(33, 34, "/var/www")),
        ("web:staff", User(33, 50, "/var/www")),
        ("web:7", User(33, 7, "/var/www")),
        ("12345", User(12345, 0, "/")),
        ("12345:54321", User(12345, 54321, "/")),
    ],
)
def test_a_user_is_found(text: str, expected: User) -> None:
    assert user_of(text, PASSWD, GROUP) == expected


@pytest.mark.parametrize("text", ["nobody", "web:none", "-1", "web:-1", "²", "4294967296"])
def test_an_unknown_user_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="in the image"):
        user_of(text, PASSWD, GROUP)
