"""Folders as values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts.folders import entries, flat, folders, names

from tritonbuild import reapi
from tritonbuild.digest import EMPTY, Digest
from tritonbuild.merkle import Conflict, Entry, File, Folder, Symlink, folder_of, merge

A, B = File(Digest.of_bytes(b"a")), File(Digest.of_bytes(b"b"))


def test_an_empty_folder_has_the_digest_of_nothing() -> None:
    assert Folder().digest == EMPTY


@given(st.dictionaries(names, entries, max_size=4))
def test_the_order_of_entries_does_not_count(some: dict[str, Entry]) -> None:
    backwards = Folder(dict(reversed(some.items())))
    assert backwards.digest == Folder(some).digest
    assert backwards.tree_digest == Folder(some).tree_digest


@given(folders, folders)
def test_folders_have_equal_digests_only_when_they_hold_the_same(one: Folder, two: Folder) -> None:
    assert (one.digest == two.digest) == (flat(one) == flat(two))
    assert (one.tree_digest == two.tree_digest) == (flat(one) == flat(two))


@given(folders)
def test_each_kind_of_entry_is_sorted_by_name_in_the_message(folder: Folder) -> None:
    for below in folder.folders():
        message = below.message
        for nodes in (message.files, message.directories, message.symlinks):
            found = [node.name for node in nodes]
            assert found == sorted(found)


def test_the_message_is_the_remote_execution_apis_directory() -> None:
    below = Folder({"f": B})
    folder = Folder({"x": File(A.digest, executable=True), "link": Symlink("x"), "below": below})
    message = reapi.Directory.FromString(folder.encoded)
    (file,) = message.files
    assert (file.name, file.digest.hash, file.digest.size_bytes) == ("x", A.digest.hash, 1)
    assert file.is_executable
    assert [(link.name, link.target) for link in message.symlinks] == [("link", "x")]
    (directory,) = message.directories
    assert (directory.name, directory.digest.hash) == ("below", below.digest.hash)
    assert folder.digest == Digest.of_bytes(folder.encoded)


def test_a_folder_cannot_be_changed_through_what_it_was_made_of() -> None:
    given_entries: dict[str, Entry] = {"a": A}
    folder = Folder(given_entries)
    before = folder.digest
    given_entries["b"] = B
    assert Folder(folder.entries).digest == before


@given(folders)
def test_a_tree_message_gives_the_folder_back(folder: Folder) -> None:
    back = Folder.from_tree(folder.tree)
    assert flat(back) == flat(folder)
    assert back.digest == folder.digest
    assert back.tree == folder.tree


def test_a_folder_that_appears_twice_is_in_the_tree_once() -> None:
    below = Folder({"f": A})
    tree = reapi.Tree.FromString(Folder({"one": below, "two": below}).tree)
    assert len(tree.children) == 1


def test_folders_of_equal_content_are_visited_once() -> None:
    folder = Folder({"one": Folder({"f": A}), "two": Folder({"f": A}), "f": A})
    assert len(list(folder.folders())) == 2


def test_a_tree_without_one_of_its_folders_is_refused() -> None:
    tree = reapi.Tree.FromString(Folder({"below": Folder({"f": A})}).tree)
    tree.ClearField("children")
    with pytest.raises(ValueError, match="tree lacks its folder"):
        Folder.from_tree(tree.SerializeToString())


@given(folders)
def test_files_are_told_with_their_paths_in_order(folder: Folder) -> None:
    told = list(folder.files())
    assert dict(told) == {k: v for k, v in flat(folder).items() if not k.endswith("/")}
    assert [path.split("/") for path, _ in told] == sorted(path.split("/") for path, _ in told)
    assert all(folder.get(path) == entry for path, entry in told)


def test_a_path_leads_to_what_lies_there() -> None:
    folder = Folder({"a": A, "d": Folder({"e": Folder({"b": B})})})
    assert folder.get("") is folder
    assert folder.get("a") == A
    assert folder.get("d/e/b") == B
    assert isinstance(folder.get("d/e"), Folder)


@pytest.mark.parametrize("path", ["b", "a/b", "d/x", "d/e/b/c", "d//e", "/a", "."])
def test_a_path_to_nothing_leads_nowhere(path: str) -> None:
    assert Folder({"a": A, "d": Folder({"e": Folder({"b": B})})}).get(path) is None


@given(folders)
def test_a_folder_can_be_made_of_its_paths(folder: Folder) -> None:
    paths = {
        path.rstrip("/"): Folder() if path.endswith("/") else entry
        for path, entry in flat(folder).items()
    }
    assert folder_of(paths).digest == folder.digest


def test_paths_are_put_below_folders_that_lie_there_too() -> None:
    folder = folder_of({"d": Folder({"a": A}), "d/e/b": B, "": Folder({"c": A})})
    assert flat(folder) == {"d/a": A, "d/e/b": B, "c": A}


@pytest.mark.parametrize(
    ("given_entries", "path"),
    [
        ({"a": A, "a/b": B}, "a"),
        ({"a/b": A, "a/b/c": B}, "a/b"),
        ({"d": Folder({"x": A}), "d/x": B}, "d/x"),
        ({"d/e": Folder({"x": A}), "d": Folder({"e": Folder({"x": B})})}, "d/e/x"),
        ({"d": Folder({"x": A}), "d/x/y": B}, "d/x"),
        ({"d": Folder({"x": A}), "d/x": File(A.digest, executable=True)}, "d/x"),
        ({"d": Folder({"x": Symlink("a")}), "d/x": Symlink("b")}, "d/x"),
    ],
)
def test_two_different_things_at_one_path_conflict(
    given_entries: dict[str, Entry], path: str
) -> None:
    with pytest.raises(Conflict) as caught:
        folder_of(given_entries)
    assert caught.value.path == path
    assert str(caught.value) == f"two different things at {path!r}"


def test_the_same_thing_twice_at_one_path_is_no_conflict() -> None:
    assert flat(folder_of({"d": Folder({"x": A}), "d/x": A})) == {"d/x": A}


@given(folders, folders)
def test_a_union_holds_both_or_tells_where_they_differ(one: Folder, two: Folder) -> None:
    try:
        both = merge(one, two)
    except Conflict as conflict:
        here, there = one.get(conflict.path), two.get(conflict.path)
        assert here is not None
        assert there is not None
        assert here != there
        return
    for folder in (one, two):
        for path, entry in folder.files():
            assert both.get(path) == entry
    assert merge(two, one).digest == both.digest


@given(folders)
def test_a_union_with_itself_or_with_nothing_changes_nothing(folder: Folder) -> None:
    assert merge(folder, folder).digest == folder.digest
    assert merge(folder, Folder()).digest == folder.digest
    assert merge(Folder(), folder).digest == folder.digest
