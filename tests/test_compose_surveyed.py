"""What layers make together, and what is kept of those that were read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonbuild.rules.composing.early import found, keep
from tritonbuild.rules.composing.selection import Selection
from tritonbuild.rules.composing.surveyed import Survey, left

from tritonbuild.digest import Digest
from tritonbuild.oci import Listed, Listing
from tritonbuild.oci.listing import Kind
from tritonbuild.oci.slices import Slice


class Folder:
    """Of a tool's context what is used here."""

    def __init__(self, listing: Listing | None = None, kept: Path | None = None):
        self._listing = listing
        self._kept = kept

    def read(self, path: str) -> bytes:
        assert self._listing is not None
        return self._listing.encoded

    def kept(self, name: str, make: Callable[[Path], None]) -> Path:
        assert self._kept is not None
        path = self._kept / name
        if not path.exists():
            make(path)
        return path

    def has(self, digest: Digest) -> bool:
        return True


def survey(entries: Sequence[Listed]) -> Survey:
    context: Any = Folder(Listing(tuple(entries)))
    return Survey(context, "surveys/000", "0" * 64)


ALL = Selection(("a", "b"))
KINDS: Sequence[Kind] = ("file", "folder", "link", "whiteout", "opaque")
PATHS = st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join)
LAYERS = st.lists(
    st.dictionaries(PATHS, st.tuples(st.sampled_from(KINDS), st.sampled_from([0o644, 0o755]))),
    max_size=4,
)


def naive(layers: Sequence[Sequence[Listed]]) -> dict[str, tuple[int, Listed]]:
    """Likewise, by looking at all for each."""
    there: dict[str, tuple[int, Listed]] = {}
    for number, entries in enumerate(layers):
        for entry in entries:
            if entry.kind in ("whiteout", "opaque"):
                gone = [path for path in there if path.startswith(f"{entry.path}/")]
                gone += [entry.path] if entry.kind == "whiteout" else []
                for path in gone:
                    there.pop(path, None)
        for entry in entries:
            if entry.kind in ("whiteout", "opaque"):
                continue
            if entry.kind != "folder":
                for path in [path for path in there if path.startswith(f"{entry.path}/")]:
                    del there[path]
            old = there.get(entry.path)
            same = old and (old[1].kind, old[1].mode) == ("folder", entry.mode)
            if entry.kind != "folder" or not same:
                there[entry.path] = number, entry
    return {path: it for path, it in there.items() if ALL.takes(path)}


@given(made=LAYERS)
def test_what_layers_make_together(made: Sequence[dict[str, tuple[Kind, int]]]) -> None:
    layers = [[Listed(path, *it) for path, it in sorted(one.items())] for one in made]
    surveys = [survey(entries) for entries in layers]
    members = left(surveys, ALL)
    got = {path: (surveys.index(m.survey), m.entry) for path, m in members.items()}
    assert got == naive(layers)


@pytest.mark.parametrize("kind", ["file", "whiteout", "folder"])
def test_many_files_that_a_layer_replaces_are_each_looked_at_once(kind: Kind) -> None:
    paths = [f"a/{number % 40}/{number}" for number in range(2000)]
    surveys = [survey([Listed(path, "file") for path in paths]),
               survey([Listed(path, kind) for path in paths])]  # fmt: skip
    for one in surveys:
        assert len(one.listing.entries) == len(paths)
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        members = left(surveys, ALL)
    finally:
        sys.setprofile(None)
    assert len(members) == (0 if kind == "whiteout" else len(paths))
    assert calls < 40 * len(paths)


def test_what_another_version_of_a_library_made_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context: Any = Folder(kept=tmp_path)
    made = Slice(Digest("1" * 64, 5), f"sha256:{'2' * 64}")
    keep(context, "0" * 64, ALL, made)
    assert found(context, "0" * 64, ALL) == made
    version = metadata.version

    def other(name: str) -> str:
        return "99.0" if name == "zlib-ng" else version(name)

    monkeypatch.setattr(metadata, "version", other)
    assert found(context, "0" * 64, ALL) is None
