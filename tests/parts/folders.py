"""Folders as values, for properties that must hold of all of them."""

from __future__ import annotations

from hypothesis import strategies as st

from tritonbuild.digest import Digest
from tritonbuild.merkle import Entry, File, Folder, Symlink

names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=4
).filter(lambda name: name not in (".", ".."))
digests = st.sampled_from([Digest.of_bytes(content) for content in (b"", b"a", b"b", b"c" * 300)])
files = st.builds(File, digests, st.booleans())
links = st.builds(Symlink, st.sampled_from(["a", "../b", "/usr/bin/sh"]))
folders: st.SearchStrategy[Folder] = st.recursive(
    st.builds(Folder, st.dictionaries(names, files | links, max_size=3)),
    lambda below: st.builds(Folder, st.dictionaries(names, files | links | below, max_size=3)),
    max_leaves=8,
)
entries: st.SearchStrategy[Entry] = files | links | folders


def flat(folder: Folder, prefix: str = "") -> dict[str, Entry]:
    """Every file and link by its path, and every empty folder: what makes two folders differ."""
    found: dict[str, Entry] = {}
    for name, entry in folder.entries.items():
        if isinstance(entry, Folder) and entry.entries:
            found |= flat(entry, f"{prefix}{name}/")
        elif isinstance(entry, Folder):
            found[f"{prefix}{name}/"] = Symlink("an empty folder")
        else:
            found[prefix + name] = entry
    return found
