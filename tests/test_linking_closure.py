"""What is brought from one file system to another, judged by the dynamic linker of this machine in
what came about."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from parts.linking import TRIPLET, compile_library, files_in, found_by_linker, with_linker
from tritonbuild.rules.linking.closure import Found, Terms, closure
from tritonbuild.rules.linking.ldcache import CACHE, ld_cache

from tritonbuild.rule import Problem

LIBRARIES = f"usr/lib/{TRIPLET}"
TWO = "int f(void) { return 1; }\nint g(void) { return 2; }\n"
OLD = "GLIBCXX_3.4.9 { global: f; };\n"
NEW = OLD + "GLIBCXX_3.4.32 { global: g; } GLIBCXX_3.4.9;\n"
USES_NEW = "int g(void); int h(void) { return g(); }\n"


class Roots:
    def __init__(self, folder: Path):
        self.here = with_linker(folder / "here")
        self.there = with_linker(folder / "there")

    def library(
        self, path: str, *needs: str, at: str = "there", soname: str = "", source: str = "",
        versions: str = "", options: Sequence[str] = (),
    ) -> None:  # fmt: skip
        """`needs` are paths in `there`."""
        compile_library(
            getattr(self, at) / path, *options, soname=soname or path.rpartition("/")[2],
            needs=[self.there / need for need in needs], versions=versions,
            source=source or f"int f(void) {{ return {len(path)}; }}\n",
        )  # fmt: skip

    def component(
        self, path: str, *needs: str, options: Sequence[str] = (), source: str = ""
    ) -> None:
        """In both: it was cut out."""
        self.library(path, *needs, options=options, source=source)
        (self.here / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.there / path, self.here / path)

    def closure(
        self, *start: str, more: Iterable[str] = (), brought: str = "libcuda.*",
        opens: Sequence[tuple[str, str]] = (), library_path: Sequence[str] = (),
    ) -> Found:  # fmt: skip
        terms = Terms(
            re.compile(brought), frozenset(["libtritonserver.so"]),
            [(re.compile(one), re.compile(other)) for one, other in opens], library_path,
        )  # fmt: skip
        return closure(files_in(self.here), files_in(self.there), start, more, terms)

    def composed(self, found: Found) -> None:
        """Puts it into `here`, as a layer would be."""
        assert not found.problems, "\n".join(map(str, found.problems))
        for path in found.copied:
            to = self.here / path
            to.parent.mkdir(parents=True, exist_ok=True)
            assert not os.path.lexists(to), path
            shutil.copy2(self.there / path, to, follow_symlinks=False)
        (self.here / CACHE).write_bytes(ld_cache(files_in(self.here)))

    def proven(self, found: Found, path: str) -> dict[str, str]:
        """What the dynamic linker finds then for a file."""
        self.composed(found)
        real = found_by_linker(self.here, path)
        assert all(real.values()), real
        return real


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return Roots(tmp_path)


def only(problems: Sequence[Problem]) -> str:
    (problem,) = problems
    return str(problem)


def test_what_is_lacking_is_copied_with_what_that_lacks(roots: Roots) -> None:
    roots.library(f"{LIBRARIES}/libc1.so")
    roots.library(f"{LIBRARIES}/libb1.so.1.2", f"{LIBRARIES}/libc1.so", soname="libb1.so.1")
    (roots.there / f"{LIBRARIES}/libb1.so.1").symlink_to("libb1.so.1.2")
    roots.component("opt/a.so", f"{LIBRARIES}/libb1.so.1.2")
    found = roots.closure("opt/a.so")
    names = ("libb1.so.1", "libb1.so.1.2", "libc1.so")
    assert found.copied == [f"{LIBRARIES}/{name}" for name in names]
    assert roots.proven(found, "opt/a.so").keys() >= {"libb1.so.1", "libc1.so"}


def test_what_the_base_has_stays(roots: Roots) -> None:
    for at in ("here", "there"):
        roots.library(f"{LIBRARIES}/libb1.so", at=at)
    roots.component("opt/a.so", f"{LIBRARIES}/libb1.so")
    assert roots.closure("opt/a.so") == Found()


def test_what_a_library_of_the_base_lacks_is_copied(roots: Roots) -> None:
    roots.library(f"{LIBRARIES}/libc1.so")
    for at in ("there", "here"):
        roots.library(f"{LIBRARIES}/libb1.so", f"{LIBRARIES}/libc1.so", at=at)
    roots.component("opt/a.so", f"{LIBRARIES}/libb1.so")
    found = roots.closure("opt/a.so")
    assert found.copied == [f"{LIBRARIES}/libc1.so"]
    roots.proven(found, "opt/a.so")


def test_links_of_folders_come_along(roots: Roots) -> None:
    roots.library("usr/local/cuda-12.6/lib/libb1.so")
    (roots.there / "usr/local/cuda").symlink_to("/etc/alternatives/cuda")
    (roots.there / "etc/alternatives").mkdir()
    (roots.there / "etc/alternatives/cuda").symlink_to("/usr/local/cuda-12.6")
    roots.component(
        "opt/a.so", "usr/local/cuda-12.6/lib/libb1.so", options=["-Wl,-rpath,/usr/local/cuda/lib"]
    )
    found = roots.closure("opt/a.so")
    assert found.copied == [
        "etc/alternatives/cuda", "usr/local/cuda", "usr/local/cuda-12.6/lib/libb1.so",
    ]  # fmt: skip
    assert roots.proven(found, "opt/a.so")["libb1.so"] == "usr/local/cuda/lib/libb1.so"


def test_what_names_a_folder_to_ldconfig_comes_along(roots: Roots) -> None:
    roots.library("opt/hpcx/lib/libb1.so")
    (roots.there / "etc/ld.so.conf.d/hpcx.conf").write_text("/opt/hpcx/lib\n")
    roots.component("opt/a.so", "opt/hpcx/lib/libb1.so")
    found = roots.closure("opt/a.so")
    assert found.copied == ["etc/ld.so.conf.d/hpcx.conf", "opt/hpcx/lib/libb1.so"]
    roots.proven(found, "opt/a.so")


def test_libraries_for_newer_cpus_come_along_with_what_they_need(roots: Roots) -> None:
    roots.library(f"{LIBRARIES}/libc1.so")
    roots.library(f"{LIBRARIES}/libb1.so")
    newer = f"{LIBRARIES}/glibc-hwcaps/x86-64-v2/libb1.so"
    roots.library(newer, f"{LIBRARIES}/libc1.so")
    roots.component("opt/a.so", f"{LIBRARIES}/libb1.so")
    found = roots.closure("opt/a.so")
    assert found.copied == [newer, f"{LIBRARIES}/libb1.so", f"{LIBRARIES}/libc1.so"]
    assert roots.proven(found, "opt/a.so")["libb1.so"] == f"lib/{newer.removeprefix('usr/lib/')}"


def test_what_is_opened_by_name_comes_along(roots: Roots) -> None:
    roots.library(f"{LIBRARIES}/libc1.so")
    roots.library(f"{LIBRARIES}/libb1.so.9")
    roots.library(f"{LIBRARIES}/libb1_ops.so.9", f"{LIBRARIES}/libc1.so")
    roots.library(f"{LIBRARIES}/plugins/libb1_net.so")
    roots.component("opt/a.so", f"{LIBRARIES}/libb1.so.9")
    opens = [(r"libb1\.so.*", r"libb1_.*|plugins/.*")]
    found = roots.closure("opt/a.so", opens=opens)
    names = ("libb1.so.9", "libb1_ops.so.9", "libc1.so", "plugins/libb1_net.so")
    assert found.copied == [f"{LIBRARIES}/{name}" for name in names]


def test_what_comes_along_in_any_case_has_needs_too(roots: Roots) -> None:
    roots.library(f"{LIBRARIES}/libc1.so")
    roots.library("opt/more.so", f"{LIBRARIES}/libc1.so")
    found = roots.closure(more=["opt/more.so"])
    assert found.copied == ["opt/more.so", f"{LIBRARIES}/libc1.so"]


def test_the_drivers_and_what_is_loaded_are_neither_copied_nor_lacking(roots: Roots) -> None:
    roots.library(f"{LIBRARIES}/libcuda.so.1")
    roots.library("opt/lib/libtritonserver.so")
    roots.component("opt/a.so", f"{LIBRARIES}/libcuda.so.1", "opt/lib/libtritonserver.so")
    assert roots.closure("opt/a.so") == Found()


def test_what_nobody_has_is_told_with_who_needs_it(roots: Roots) -> None:
    roots.library("gone/libdeep1.so.3")
    roots.library(f"{LIBRARIES}/libb1.so", "gone/libdeep1.so.3")
    roots.component("opt/a.so", f"{LIBRARIES}/libb1.so", options=["-Wl,-rpath,/deps"])
    (roots.there / "gone/libdeep1.so.3").unlink()
    roots.library(f"{LIBRARIES}/libdeep1.so.2", at="here")
    told = only(roots.closure("opt/a.so").problems)
    assert f"/{LIBRARIES}/libb1.so needs libdeep1.so.3 (for /opt/a.so)" in told.replace(
        "/lib/", "/usr/lib/"
    ).replace("/usr/usr", "/usr")
    assert "looked for in /" in told
    assert "/deps" not in told  # which is a's own
    assert f"nearest: /{LIBRARIES}/libdeep1.so.2 of the base" in told


def test_what_many_lack_is_told_once(roots: Roots) -> None:
    roots.library("gone/libb1.so")
    start = [f"opt/a{number}.so" for number in range(5)]
    for path in start:
        roots.component(path, "gone/libb1.so")
    (roots.there / "gone/libb1.so").unlink()
    assert "/opt/a0.so and 4 more need libb1.so" in only(roots.closure(*start).problems)


def test_one_that_lies_where_nobody_looks_is_the_nearest(roots: Roots) -> None:
    roots.library("hidden/libb1.so")
    roots.component("opt/a.so", "hidden/libb1.so")
    told = only(roots.closure("opt/a.so").problems)
    assert "nearest: /hidden/libb1.so of `full`, where it is not looked for" in told


def test_a_link_in_a_circle_is_told(roots: Roots) -> None:
    roots.library(f"{LIBRARIES}/libb1.so")
    roots.component("opt/a.so", f"{LIBRARIES}/libb1.so")
    (roots.there / f"{LIBRARIES}/libb1.so").unlink()
    (roots.there / f"{LIBRARIES}/libb1.so").symlink_to("libb2.so")
    (roots.there / f"{LIBRARIES}/libb2.so").symlink_to("libb1.so")
    told = only(roots.closure("opt/a.so").problems)
    assert f"/{LIBRARIES}/libb1.so of `full`, a link to libb2.so, which leads to no file" in told


def test_a_library_of_another_machine_is_told(roots: Roots) -> None:
    roots.library(f"{LIBRARIES}/libb1.so")
    roots.component("opt/a.so", f"{LIBRARIES}/libb1.so")
    library = roots.there / f"{LIBRARIES}/libb1.so"
    content = bytearray(library.read_bytes())
    content[18] = 183
    library.write_bytes(content)
    assert "but for aarch64, 64 bits" in only(roots.closure("opt/a.so").problems)


def test_a_base_that_is_too_old_is_told_with_both(roots: Roots) -> None:
    path = f"{LIBRARIES}/libb1.so.6"
    roots.library(path, source=TWO, versions=NEW)
    roots.library(path, at="here", versions=OLD)
    roots.component("opt/a.so", path, source=USES_NEW)
    found = roots.closure("opt/a.so")
    told = only(found.problems)
    assert found.copied == []
    assert "/opt/a.so needs libb1.so.6 with GLIBCXX_3.4.32" in told
    assert f"the base's /{path} goes up to GLIBCXX_3.4.9" in told
    assert f"`full`'s /{path} would do, but nothing of a base is replaced" in told
    assert found.problems[0].key == "base"


def test_a_library_without_versions_is_good_enough(roots: Roots) -> None:
    path = f"{LIBRARIES}/libb1.so.6"
    roots.library(path, source=TWO, versions=NEW)
    roots.library(path, at="here", source=TWO)
    roots.component("opt/a.so", path, source=USES_NEW)
    found = roots.closure("opt/a.so")
    assert found == Found()
    roots.proven(found, "opt/a.so")


def test_a_newer_one_that_all_find_first_comes_along(roots: Roots) -> None:
    roots.library("opt/new/libb1.so.6", source=TWO, versions=NEW)
    roots.library(f"{LIBRARIES}/libb1.so.6", at="here", versions=OLD)
    roots.component(
        "opt/a.so", "opt/new/libb1.so.6", source=USES_NEW, options=["-Wl,-rpath,/opt/new"]
    )
    found = roots.closure("opt/a.so")
    assert found.copied == ["opt/new/libb1.so.6"]
    assert roots.proven(found, "opt/a.so")["libb1.so.6"] == "opt/new/libb1.so.6"


def test_a_newer_one_is_told_where_another_loads_that_of_the_base(roots: Roots) -> None:
    roots.library("opt/new/libb1.so.6", source=TWO, versions=NEW)
    roots.library(f"{LIBRARIES}/libb1.so.6", at="here", versions=OLD)
    roots.component(
        "opt/a.so", "opt/new/libb1.so.6", source=USES_NEW, options=["-Wl,-rpath,/opt/new"]
    )
    roots.component("opt/server.so", "opt/new/libb1.so.6", source="int h(void) { return 0; }")
    (told,) = roots.closure("opt/a.so", "opt/server.so").problems
    assert f"the base's /{LIBRARIES}/libb1.so.6 goes up to GLIBCXX_3.4.9" in str(told)
    assert "/opt/new/libb1.so.6 would do, but a process loads a name once" in str(told)
    assert told.key == "base"


def test_a_file_of_the_base_is_never_replaced(roots: Roots) -> None:
    roots.library("usr/local/real/libb1.so")
    roots.component("opt/a.so", "usr/local/real/libb1.so", options=["-Wl,-rpath,/usr/local/now"])
    (roots.there / "usr/local/now").symlink_to("real")
    (roots.here / "usr/local").mkdir()
    (roots.here / "usr/local/now").symlink_to("other")
    told = only(roots.closure("opt/a.so").problems)
    assert "/usr/local/now is a link to other in the base and a link to real in `full`" in told


def test_what_another_component_has_does_not_count(roots: Roots) -> None:
    """It is not loaded where that component is not used."""
    roots.component("opt/b/libb1.so")
    roots.library(f"{LIBRARIES}/libb1.so")
    roots.component("opt/a/a.so", f"{LIBRARIES}/libb1.so")
    found = roots.closure("opt/a/a.so", "opt/b/libb1.so")
    assert found.copied == [f"{LIBRARIES}/libb1.so"]
    assert roots.proven(found, "opt/a/a.so")["libb1.so"].endswith(f"{TRIPLET}/libb1.so")


def test_what_lies_beside_is_loaded_before(roots: Roots) -> None:
    roots.component("opt/a/libb1.so")
    roots.library(f"{LIBRARIES}/libb1.so")
    roots.component("opt/a/plugins/p.so", f"{LIBRARIES}/libb1.so")
    assert roots.closure("opt/a/libb1.so", "opt/a/plugins/p.so") == Found()


def test_one_name_of_two_contents_is_told_with_versions(roots: Roots) -> None:
    for backend, version in (("openvino", "2024.5"), ("onnxruntime", "2024.4")):
        folder = f"opt/{backend}"
        roots.library(f"{folder}/libopenvino.so.{version}", soname="libopenvino.so.2024")
        for root in (roots.here, roots.there):
            (root / folder).mkdir(parents=True, exist_ok=True)
            (root / folder / "libopenvino.so.2024").symlink_to(f"libopenvino.so.{version}")
        shutil.copy(roots.there / f"{folder}/libopenvino.so.{version}", roots.here / folder)
        roots.component(
            f"{folder}/b.so", f"{folder}/libopenvino.so.{version}",
            options=["-Wl,-rpath,$ORIGIN"], source=f"int b{backend[:2]}(void) {{ return 0; }}",
        )  # fmt: skip
    found = roots.closure("opt/openvino/b.so", "opt/onnxruntime/b.so")
    assert not found.problems
    (told,) = found.told
    assert "libopenvino.so.2024 is 2 different files" in told
    assert "(version 2024.4) for /opt/onnxruntime/b.so" in told
    assert "(version 2024.5) for /opt/openvino/b.so" in told


def test_a_program_needs_its_linker(roots: Roots) -> None:
    roots.component("opt/a.so")
    shutil.copy("/usr/bin/env", roots.here / "opt/env")
    (roots.here / "lib64/ld-linux-x86-64.so.2").unlink()
    (roots.here / f"{LIBRARIES}/libc.so.6").unlink()
    found = roots.closure("opt/env")
    assert found.copied == ["lib64/ld-linux-x86-64.so.2", f"{LIBRARIES}/libc.so.6"]
    roots.proven(found, "opt/env")


def test_libraries_that_need_one_another_end(roots: Roots) -> None:
    one, two = (f"{LIBRARIES}/lib{name}1.so" for name in "xy")
    roots.library(one)
    roots.library(two, one)
    roots.library(one, two)
    roots.component("opt/a.so", one)
    found = roots.closure("opt/a.so")
    assert found.copied == [one, two]
    roots.proven(found, "opt/a.so")


def test_the_result_does_not_hang_on_the_order_of_its_start(roots: Roots) -> None:
    names = [f"lib{letter}1.so" for letter in "defg"]
    for name in names:
        roots.library(f"{LIBRARIES}/{name}")
        roots.component(f"opt/a{name}", f"{LIBRARIES}/{name}")
    start = [f"opt/a{name}" for name in names]
    assert roots.closure(*start) == roots.closure(*reversed(start))
