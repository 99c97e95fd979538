"""/etc/ld.so.cache, held against `ldconfig` and read by the dynamic linker."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from parts.linking import (
    TRIPLET,
    compile_library,
    files_in,
    found_by_linker,
    ldconfig,
    this_machine,
    with_linker,
)
from tritonbuild.rules.linking.elf import Elf
from tritonbuild.rules.linking.ldcache import CACHE, ld_cache
from tritonbuild.rules.linking.linkage import Linkage
from tritonbuild.rules.linking.loader import Files, files_of

from tritonbuild.oci import Listed, Listing

LIBRARIES = f"usr/lib/{TRIPLET}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return with_linker(tmp_path / "root")


def printed(cache: Path) -> list[str]:
    """The entries, in their order."""
    return [line for line in ldconfig("-p", "-C", cache) if line.startswith("\t")]


def ours(files: Files, folder: Path) -> list[str]:
    cache = folder / "ours"
    cache.write_bytes(ld_cache(files))
    return printed(cache)


def real(root: Path) -> list[str]:
    ldconfig("-X", "-r", root)
    return printed(root / CACHE)


def test_entries_of_this_machine(tmp_path: Path) -> None:
    ldconfig("-X", "-C", tmp_path / "real")
    entries = ours(this_machine(), tmp_path)
    assert len(entries) > 100
    assert entries == printed(tmp_path / "real")


def test_entries_of_all_kinds(root: Path, tmp_path: Path) -> None:
    (root / "etc/ld.so.conf.d/a.conf").write_text("/opt/a\n/opt/again/../a\n/opt/gone\n")
    compile_library(root / f"{LIBRARIES}/libone.so.1.2", soname="libone.so.1")
    for link, target in (
        ("libone.so.1", "libone.so.1.2"), ("libone.so", "libone.so.1"), ("libelse.so", "libone.so"),
        ("libloop.so.1", "libloop.so.2"), ("libloop.so.2", "libloop.so.1"), ("libgone.so", "gone"),
    ):  # fmt: skip
        (root / LIBRARIES / link).symlink_to(target)
    for level in ("x86-64-v2", "x86-64-v3"):
        above = root / f"{LIBRARIES}/glibc-hwcaps/{level}"
        compile_library(above / "libone.so.1.2", soname="libone.so.1")
        compile_library(above / f"libonly{level}.so.1", soname=f"libonly{level}.so.1")
    for version in (2, 9, 10):
        compile_library(root / f"opt/a/libnum.so.{version}", soname=f"libnum.so.{version}")
    compile_library(root / "opt/a/libnosoname.so")
    compile_library(root / "opt/a/plugin.so", soname="plugin.so")
    compile_library(root / "opt/a/libtwice.so.2", soname="libtwice.so.2")
    compile_library(root / "usr/lib/libtwice.so.2", soname="libtwice.so.2")
    (root / "opt/a/libscript.so").write_text("/* GNU ld script */\n")
    assert ours(files_in(root), tmp_path) == real(root)


def test_a_soname_that_is_no_file_leads_to_the_file_itself(root: Path, tmp_path: Path) -> None:
    """ldconfig would make a link; where it may not, its own entry leads nowhere."""
    (root / "etc/ld.so.conf.d/a.conf").write_text("/opt/a\n")
    compile_library(root / "opt/a/libmine-7.so", soname="libmine.so.7")
    assert any(
        "libmine.so.7 (libc6,x86-64) => /opt/a/libmine-7.so" in line
        for line in ours(files_in(root), tmp_path)
    )
    compile_library(root / "a.so", needs=[root / "opt/a/libmine-7.so"])
    (root / CACHE).write_bytes(ld_cache(files_in(root)))
    assert found_by_linker(root, "a.so")["libmine.so.7"] == "opt/a/libmine-7.so"


@pytest.mark.parametrize("level", ["x86-64-v2", ""])
def test_the_dynamic_linker_reads_it(root: Path, level: str) -> None:
    (root / "etc/ld.so.conf.d/a.conf").write_text("/opt/a\n")
    path = "opt/a/libb1.so.1"
    compile_library(root / path, soname="libb1.so.1")
    compile_library(root / "a.so", needs=[root / path])
    if level:
        path = f"opt/a/glibc-hwcaps/{level}/libb1.so.1"
        compile_library(root / path, soname="libb1.so.1")
    assert found_by_linker(root, "a.so")["libb1.so.1"] == ""
    (root / CACHE).write_bytes(ld_cache(files_in(root)))
    assert found_by_linker(root, "a.so")["libb1.so.1"] == path


def test_another_machine(tmp_path: Path) -> None:
    elf = Elf("aarch64", 64, "libb1.so.1", (), (), (), (), ())
    path = "usr/lib/aarch64-linux-gnu/libb1.so.1"
    listing = Listing((Listed("lib", "link", target="usr/lib"), Listed(path, "file")))
    files = files_of([listing], [Linkage({path: elf})])
    assert ours(files, tmp_path) == [
        "\tlibb1.so.1 (libc6,AArch64) => /lib/aarch64-linux-gnu/libb1.so.1"
    ]


def test_no_library_at_all(root: Path, tmp_path: Path) -> None:
    shutil.rmtree(root / "usr")
    (root / "lib64/ld-linux-x86-64.so.2").unlink()
    assert ours(files_in(root), tmp_path) == []


def test_bytes_are_the_same_each_time(root: Path) -> None:
    compile_library(root / f"{LIBRARIES}/libb1.so", soname="libb1.so")
    assert ld_cache(files_in(root)) == ld_cache(files_in(root))
