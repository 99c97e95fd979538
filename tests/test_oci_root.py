"""The root file system that layers make, from what they list alone."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tritonbuild.oci import Invalid, Listed, Listing, Root


def layer(*entries: Listed, **texts: str) -> Listing:
    return Listing(entries, {path.replace("_", "/"): text for path, text in texts.items()})


def file(path: str, digest: str = "1", mode: int = 0o644, size: int = 0) -> Listed:
    return Listed(path, "file", mode, size=size, digest=digest)


def folder(path: str, mode: int = 0o755) -> Listed:
    return Listed(path, "folder", mode)


def link(path: str, target: str) -> Listed:
    return Listed(path, "link", 0o777, target=target)


def whiteout(path: str) -> Listed:
    return Listed(path, "whiteout")


def root_of(*layers: Listing) -> Root:
    root = Root()
    for one in layers:
        root.put(one)
    return root


def paths(root: Root) -> list[str]:
    return [entry.path for entry in root.entries]


MERGED = layer(folder("usr"), folder("usr/lib"), link("lib", "usr/lib"), link("lib64", "/lib"))


@pytest.mark.parametrize(
    ("path", "real"),
    [
        ("lib/a", "usr/lib/a"),
        ("/lib64/a/b", "usr/lib/a/b"),
        ("lib", "lib"),
        ("lib/", "lib"),
        ("lib/.", "lib"),
        ("lib/..", "usr"),
        ("../../lib/x", "usr/lib/x"),
        ("nothing/../lib/x", "usr/lib/x"),
        ("", ""),
    ],
)
def test_a_path_is_followed_through_links_in_its_folders(path: str, real: str) -> None:
    assert root_of(MERGED).canonical(path) == real


def test_links_in_a_circle_are_an_error() -> None:
    root = root_of(layer(link("a", "b"), link("b", "a")))
    with pytest.raises(Invalid, match="circle"):
        root.canonical("a/x")
    assert root.find("a") is None
    assert root.get("a/x") is None


NAMES = ["a", "b", "c"]
TARGETS = st.lists(st.sampled_from([*NAMES, ".."]), min_size=1, max_size=3).map("/".join)


@settings(max_examples=60)
@given(
    st.dictionaries(st.sampled_from(NAMES), TARGETS), st.lists(st.sampled_from(NAMES), min_size=1)
)
def test_links_lead_where_the_kernel_leads_us(links: dict[str, str], names: list[str]) -> None:
    root = root_of(
        layer(
            *(folder(f"{one}{two}") for one in ("", "a/", "a/b/") for two in NAMES),
            *(link(f"a/b/c/{name}", to) for name, to in links.items()),
        )
    )
    path = f"a/b/c/{'/'.join(names)}/end"
    with TemporaryDirectory() as temporary:
        for entry in root.entries:
            if entry.kind == "folder":
                Path(temporary, entry.path).mkdir(exist_ok=True)
            else:
                Path(temporary, entry.path).symlink_to(entry.target)
        try:
            there = os.path.realpath(f"{temporary}/{os.path.dirname(path)}", strict=True)
        except OSError:
            return
        base = os.path.realpath(temporary)
        assert f"{base}/{root.canonical(path)}" == f"{there}/end"


def test_find_follows_the_last_link_too() -> None:
    root = root_of(MERGED, layer(file("usr/lib/a"), link("usr/lib/b", "a"), link("c", "lib/b")))
    found = root.find("c")
    assert found is not None
    assert found.path == "usr/lib/a"
    got = root.get("lib/b")
    assert got is not None
    assert got.kind == "link"


def test_what_is_put_below_a_link_lies_in_the_folder_it_leads_to() -> None:
    root = root_of(MERGED, layer(file("lib/a")))
    assert root.names("usr/lib") == ["a"]
    assert root.names("lib64") == []
    assert root.names("lib64/.") == []
    assert "usr/lib/a" in paths(root)


def test_a_whiteout_removes_a_folder_with_all_in_it() -> None:
    below = layer(folder("d"), file("d/a"), folder("d/e"), file("d/e/f"), file("z"))
    assert paths(root_of(below, layer(whiteout("d")))) == ["z"]
    again = root_of(below, layer(whiteout("d"), file("d/new")))
    assert paths(again) == ["d/new", "z"]
    assert again.names("d") == ["new"]


def test_an_opaque_folder_begins_empty() -> None:
    below = layer(folder("d"), file("d/a"), folder("d/e"), file("d/e/f"))
    opaque = Listed("d", "opaque")
    assert paths(root_of(below, layer(folder("d"), opaque, file("d/b")))) == ["d", "d/b"]


def test_a_file_in_the_place_of_a_folder_removes_what_was_in_it() -> None:
    root = root_of(layer(folder("d"), file("d/a")), layer(file("d")))
    assert paths(root) == ["d"]
    assert root.names("d") == []


def test_a_hard_link_is_the_file_that_it_leads_to() -> None:
    shared = Listed("b", "hardlink", target="a")
    root = root_of(layer(file("a", "7", size=3), shared))
    found = root.get("b")
    assert found is not None
    assert (found.kind, found.digest, found.size) == ("file", "7", 3)
    across = root_of(layer(file("a", "7")), layer(Listed("c", "hardlink", target="a")))
    assert across.get("c") is not None
    with pytest.raises(Invalid, match="hard link to nothing"):
        root_of(layer(Listed("b", "hardlink", target="nothing")))


def test_texts_are_those_of_the_topmost_layer() -> None:
    root = root_of(
        MERGED,
        layer(file("etc/passwd"), etc_passwd="old"),
        layer(file("etc/passwd", "2"), link("etc/group", "passwd"), etc_passwd="new"),
    )
    assert (root.text("etc/passwd"), root.text("etc/group")) == ("new", "new")
    assert root.text("etc/shadow") is None
    root.put(layer(whiteout("etc/passwd")))
    assert root.text("etc/passwd") is None


@pytest.mark.parametrize(
    ("below", "above"),
    [
        (file("x"), file("x", "2")),
        (file("x"), file("x", mode=0o755)),
        (file("x"), Listed("x", "file", 0o644, uid=5, digest="1")),
        (file("x"), folder("x")),
        (folder("x"), file("x")),
        (folder("x"), link("x", "y")),
        (folder("x", 0o1777), folder("x")),
        (link("x", "y"), link("x", "z")),
        (link("x", "y"), folder("x")),
        (file("x"), Listed("x", "device")),
    ],
)
def test_a_layer_that_changes_something_is_told(below: Listed, above: Listed) -> None:
    (clash,) = root_of(layer(below)).put(layer(above))
    assert (clash.path, clash.below, clash.above) == ("x", below, above)


@pytest.mark.parametrize("same", [file("x"), folder("x"), link("x", "y")])
def test_the_same_twice_is_no_clash(same: Listed) -> None:
    assert root_of(layer(same)).put(layer(same)) == []


def test_a_clash_is_told_where_the_path_really_leads() -> None:
    (clash,) = root_of(MERGED, layer(file("usr/lib/a"))).put(layer(file("lib64/a", "2")))
    assert clash.path == "usr/lib/a"


def test_what_a_layer_removes_first_does_not_clash() -> None:
    assert root_of(layer(file("a"))).put(layer(whiteout("a"), file("a", "2"))) == []
