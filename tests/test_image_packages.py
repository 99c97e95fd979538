"""Debian packages that an image has besides its base, with real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from parts.bases import Standing, files_of, image, laid_out, root_of

ACCOUNTS = {"etc/passwd", "etc/group"}
"""To which the image adds its user."""
Make = Callable[[Sequence[str], Sequence[str]], Standing]


@pytest.fixture
def on(tmp_path: Path, shared_cache: Path) -> Make:
    """Makes a workspace: packages of its base, and of the image on it."""

    def make(below: Sequence[str], above: Sequence[str]) -> Standing:
        base = f'debian = "bookworm"\npackages = {list(below)}'
        return Standing(tmp_path / "workspace", shared_cache, base, f"packages = {list(above)}")

    return make


def test_packages_lie_on_top_and_leave_the_base_as_it_is(on: Make) -> None:
    workspace = on(["dash", "libc-bin"], ["libsqlite3-0"])
    workspace.build()
    base, server = workspace.elsewhere, workspace.server
    assert server.manifest.layers[: len(base.layers)] == base.manifest.layers
    root, before = root_of(server), root_of(base)
    library = "usr/lib/x86_64-linux-gnu/libsqlite3.so.0"
    assert root.find(library)
    assert before.find(library) is None
    status = root.text("var/lib/dpkg/status") or ""
    names = [line for line in status.splitlines() if line.startswith("Package: ")]
    assert names == sorted(set(names))
    assert {"Package: dash", "Package: libc6", "Package: libsqlite3-0"} <= set(names)
    assert "libsqlite3-0" not in (before.text("var/lib/dpkg/status") or "")
    # What finds libraries by the linker's cache (Python's ctypes) finds them all.
    cache = files_of(server, "etc/ld.so.cache")[-1]
    assert b"libsqlite3.so.0" in cache
    assert b"libc.so.6" in cache
    changed = {
        entry.path
        for entry in before.entries
        if (there := root.get(entry.path)) is None or there.digest != entry.digest
    }
    assert changed == {"etc/ld.so.cache", "var/lib/dpkg/status", *ACCOUNTS}


def test_what_the_base_has_adds_nothing(on: Make) -> None:
    workspace = on(["busybox-static"], ["busybox-static"])
    workspace.build()
    told = [layer["created_by"] for layer in workspace.server.config.history or ()]
    assert [text for text in told if "busybox" in text] == ["Debian package busybox-static"]


def test_packages_that_do_not_go_with_the_base_are_told(on: Make) -> None:
    workspace = on(["busybox-static"], ["busybox"])
    told = workspace.refused(2, "//:server")
    assert "cannot be installed together with busybox-static" in told
    workspace.say(workspace.base, 'packages = ["busybox-static=1:0.1"]')
    told = workspace.refused(7, "//:server")
    assert "busybox-static=1:0.1, and the base has busybox-static" in told
    assert "images.server.packages" in told


def test_a_base_that_is_not_of_debian_packages_takes_none(tmp_path: Path) -> None:
    workspace = Standing(
        tmp_path / "workspace", tmp_path / "cache", 'layout = "base"', 'packages = ["dash"]'
    )
    laid_out(image(), workspace.root / "base")
    told = workspace.refused(7, "//:server")
    assert "of which no Debian release is known" in told
    assert "a base with `debian`" in told
