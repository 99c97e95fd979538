"""The search for libraries, held against the dynamic linker of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
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
)  # fmt: skip
from tritonbuild.rules.linking.loader import Files, Loader
from tritonbuild.rules.linking.rpath import passed_on

LIBRARIES = f"usr/lib/{TRIPLET}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return with_linker(tmp_path / "root")


def library(root: Path, path: str, *needs: str, options: tuple[str, ...] = ()) -> Path:
    """Its soname is its name; `needs` are paths of others."""
    file = root / path
    needed = [root / need for need in needs]
    return compile_library(file, *options, soname=file.name, needs=needed)


def found(
    root: Path, file: str, library_path: str = ""
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What we find for a file and for all that it needs, and what the dynamic linker finds: of
    each name the real path, "" for what nobody finds."""
    ldconfig("-X", "-r", root)
    files = files_in(root)
    loader = Loader(files, library_path.split(":"))
    ours: dict[str, str] = {}
    waiting: list[tuple[str, tuple[str, ...]]] = [(file, ())]
    while waiting:
        by, inherited = waiting.pop(0)
        elf = files.elf(by)
        assert elf is not None
        for name in elf.needed:
            if name not in ours:
                path = loader.find(name, by, elf, inherited)
                ours[name] = files.real(path) or "" if path else ""
                if path:
                    waiting.append((path, passed_on(by, elf, inherited)))
    env = {"LD_LIBRARY_PATH": library_path} if library_path else {}
    real = {n: (p and files.real(p)) or "" for n, p in found_by_linker(root, file, env).items()}
    return ours, {name: real[name] for name in ours}


def agreed(root: Path, file: str, library_path: str = "") -> Mapping[str, str]:
    ours, real = found(root, file, library_path)
    assert ours == real
    assert ours
    return ours


def rpath(folder: str) -> tuple[str, ...]:
    return (f"-Wl,-rpath,{folder},--disable-new-dtags",)


def runpath(folder: str) -> tuple[str, ...]:
    return (f"-Wl,-rpath,{folder},--enable-new-dtags",)


def test_runpath_counts_for_its_own_file_alone(root: Path) -> None:
    library(root, "deps/libc1.so")
    library(root, "deps/libb1.so", "deps/libc1.so")
    library(root, "liba1.so", "deps/libb1.so", options=runpath("/deps"))
    assert agreed(root, "liba1.so") == {"libb1.so": "deps/libb1.so", "libc1.so": ""}


def test_rpath_counts_for_what_is_loaded_too(root: Path) -> None:
    library(root, "deps/libc1.so")
    library(root, "deps/libb1.so", "deps/libc1.so")
    library(root, "liba1.so", "deps/libb1.so", options=rpath("/deps"))
    assert agreed(root, "liba1.so")["libc1.so"] == "deps/libc1.so"


def test_rpath_does_not_count_for_what_has_a_runpath(root: Path) -> None:
    library(root, "deps/libc1.so")
    library(root, "deps/libb1.so", "deps/libc1.so", options=runpath("/nowhere"))
    library(root, "liba1.so", "deps/libb1.so", options=rpath("/deps"))
    assert agreed(root, "liba1.so")["libc1.so"] == ""


@pytest.mark.parametrize("tag", [rpath, runpath])
def test_library_path_stands_between_the_two(
    root: Path, tag: Callable[[str], tuple[str, ...]]
) -> None:
    library(root, "own/libb1.so")
    library(root, "env/libb1.so")
    library(root, "liba1.so", "own/libb1.so", options=tag("/own"))
    path = "own/libb1.so" if tag is rpath else "env/libb1.so"
    assert agreed(root, "liba1.so", "/env") == {"libb1.so": path}


@pytest.mark.parametrize("said", ["$ORIGIN/../deps", "${ORIGIN}/../deps", "/opt/$LIB/../../deps"])
def test_what_stands_for_parts_of_folders(root: Path, said: str) -> None:
    (root / f"opt/lib/{TRIPLET}").mkdir(parents=True)
    library(root, "opt/deps/libb1.so")
    library(root, "opt/x/liba1.so", "opt/deps/libb1.so", options=runpath(said))
    assert agreed(root, "opt/x/liba1.so") == {"libb1.so": "opt/deps/libb1.so"}


def test_the_origin_is_where_a_link_lies(root: Path) -> None:
    library(root, "links/libc1.so")
    library(root, "real/libb1.so", "links/libc1.so", options=runpath("$ORIGIN"))
    (root / "links/libb1.so").symlink_to("../real/libb1.so")
    library(root, "liba1.so", "real/libb1.so", options=runpath("/links"))
    assert agreed(root, "liba1.so")["libc1.so"] == "links/libc1.so"


def test_configured_folders_come_before_the_systems(root: Path) -> None:
    (root / "etc/ld.so.conf.d/a.conf").write_text("# mine\n/opt/a   # first\n")
    library(root, "opt/a/libb1.so")
    library(root, f"{LIBRARIES}/libb1.so")
    library(root, "liba1.so", "opt/a/libb1.so")
    assert agreed(root, "liba1.so") == {"libb1.so": "opt/a/libb1.so"}


def test_an_include_may_be_relative(root: Path) -> None:
    (root / "etc/ld.so.conf").write_text("include ld.so.conf.d/*.conf\n")
    (root / "etc/ld.so.conf.d/a.conf").write_text("/opt/a\n")
    (root / "etc/ld.so.conf.d/.hidden.conf").write_text("/opt/b\n")
    library(root, "opt/a/libb1.so")
    library(root, "opt/b/libc1.so")
    library(root, "liba1.so", "opt/a/libb1.so", "opt/b/libc1.so")
    assert agreed(root, "liba1.so") == {"libb1.so": "opt/a/libb1.so", "libc1.so": ""}


def test_files_that_include_one_another_end(root: Path) -> None:
    (root / "etc/ld.so.conf.d/a.conf").write_text("include /etc/ld.so.conf.d/*.conf\n/opt/a\n")
    assert next(iter(files_in(root).folders)) == "opt/a"


def test_a_library_goes_by_its_soname(root: Path) -> None:
    (root / "etc/ld.so.conf.d/a.conf").write_text("/opt/a\n")
    compile_library(root / "opt/a/libb1-9.so", soname="libb1.so.1")
    compile_library(root / "opt/a/libb1-10.so", soname="libb1.so.1")
    compile_library(root / "liba1.so", needs=[root / "opt/a/libb1-9.so"])
    ldconfig("-r", root)  # which makes a link by the soname, to the newest
    assert agreed(root, "liba1.so") == {"libb1.so.1": "opt/a/libb1-10.so"}


def test_a_file_name_alone_is_found_in_the_systems_folders_only(root: Path) -> None:
    (root / "etc/ld.so.conf.d/a.conf").write_text("/opt/a\n")
    for path in ("opt/a/libb1.so", f"{LIBRARIES}/libc1.so"):
        library(root, path)
    library(root, "liba1.so", "opt/a/libb1.so", f"{LIBRARIES}/libc1.so")
    for path in ("opt/a/libb1.so", f"{LIBRARIES}/libc1.so"):  # under another soname
        compile_library(root / path, soname="libelse.so")
    assert agreed(root, "liba1.so") == {"libb1.so": "", "libc1.so": f"{LIBRARIES}/libc1.so"}


def test_the_systems_folders_can_be_ruled_out(root: Path) -> None:
    library(root, f"{LIBRARIES}/libb1.so")
    library(root, "liba1.so", f"{LIBRARIES}/libb1.so", options=("-Wl,-z,nodefaultlib",))
    assert agreed(root, "liba1.so") == {"libb1.so": ""}


def test_a_library_of_another_machine_is_passed_by(root: Path) -> None:
    library(root, "one/libb1.so")
    library(root, "two/libb1.so")
    library(root, "liba1.so", "one/libb1.so", options=runpath("/one:/two"))
    content = bytearray((root / "one/libb1.so").read_bytes())
    content[18] = 183  # EM_AARCH64
    (root / "one/libb1.so").write_bytes(content)
    assert agreed(root, "liba1.so") == {"libb1.so": "two/libb1.so"}


def test_a_link_in_a_circle_ends_the_search_of_its_list(root: Path) -> None:
    library(root, "one/libb1.so")
    library(root, "two/libb1.so")
    library(root, "liba1.so", "one/libb1.so", options=runpath("/one:/two"))
    (root / "one/libb1.so").unlink()
    (root / "one/libb1.so").symlink_to("libb2.so")
    (root / "one/libb2.so").symlink_to("libb1.so")
    assert agreed(root, "liba1.so") == {"libb1.so": ""}
    library(root, f"{LIBRARIES}/libb1.so")
    assert agreed(root, "liba1.so") == {"libb1.so": f"{LIBRARIES}/libb1.so"}


def test_links_to_nothing_and_folders_in_a_circle_are_passed_by(root: Path) -> None:
    library(root, "two/libb1.so")
    library(root, "liba1.so", "two/libb1.so", options=runpath("/round/x:/one:/two"))
    (root / "round").symlink_to("round")
    (root / "one").mkdir()
    (root / "one/libb1.so").symlink_to("gone")
    assert agreed(root, "liba1.so") == {"libb1.so": "two/libb1.so"}


def test_a_configured_folder_of_links_in_a_circle_is_none(root: Path) -> None:
    (root / "etc/ld.so.conf.d/a.conf").write_text("/round/x\n/opt/a\n")
    (root / "round").symlink_to("round")
    library(root, "opt/a/libb1.so")
    library(root, "liba1.so", "opt/a/libb1.so")
    assert agreed(root, "liba1.so") == {"libb1.so": "opt/a/libb1.so"}


def test_a_name_with_a_slash_is_a_path(root: Path) -> None:
    compile_library(root / "opt/libb1.so")  # no soname: it is needed as it was given
    compile_library(root / "liba1.so", "-Wl,-soname,x", needs=[root / "opt/libb1.so"])
    files = files_in(root)
    (name,) = files.elves["liba1.so"].needed
    assert name == str(root / "opt/libb1.so")
    elf = files.elves["liba1.so"]._replace(needed=("/opt/libb1.so",))
    assert Loader(files).find("/opt/libb1.so", "liba1.so", elf) == "opt/libb1.so"


def test_libraries_for_newer_cpus_come_along(root: Path) -> None:
    library(root, f"{LIBRARIES}/libb1.so")
    for level in ("x86-64-v2", "x86-64-v4"):
        library(root, f"{LIBRARIES}/glibc-hwcaps/{level}/libb1.so")
    files = files_in(root)
    assert Loader(files).newer(f"{LIBRARIES}/libb1.so") == [
        f"{LIBRARIES}/glibc-hwcaps/x86-64-v2/libb1.so",
        f"{LIBRARIES}/glibc-hwcaps/x86-64-v4/libb1.so",
    ]


def test_links_of_folders_on_the_way_are_told(root: Path) -> None:
    library(root, "usr/local/cuda-12.6/targets/x/lib/libb1.so.1.2")
    (root / "usr/local/cuda").symlink_to("/etc/alternatives/cuda")
    (root / "etc/alternatives").mkdir()
    (root / "etc/alternatives/cuda").symlink_to("/usr/local/cuda-12.6")
    (root / "usr/local/cuda-12.6/lib64").symlink_to("targets/x/lib")
    (root / "usr/local/cuda-12.6/targets/x/lib/libb1.so.1").symlink_to("libb1.so.1.2")
    assert list(files_in(root).links("usr/local/cuda/lib64/libb1.so.1")) == [
        "usr/local/cuda",
        "etc/alternatives/cuda",
        "usr/local/cuda-12.6/lib64",
        "usr/local/cuda-12.6/targets/x/lib/libb1.so.1",
        "usr/local/cuda-12.6/targets/x/lib/libb1.so.1.2",
    ]


def test_a_copy_is_independent_and_equal(root: Path) -> None:
    library(root, f"{LIBRARIES}/libb1.so")
    files = files_in(root)
    copy = files.copy()
    assert copy.root.entries == files.root.entries
    assert list(copy.folders) == list(files.folders)
    assert copy.libraries == files.libraries


@pytest.fixture(scope="module")
def here() -> Files:
    """This machine's libraries, and some of its programs."""
    return this_machine()


@pytest.mark.parametrize("program", ["python3", "openssl", "git", "gcc", "skopeo"])
def test_programs_of_this_machine(here: Files, program: str) -> None:
    path = os.path.realpath(f"/usr/bin/{program}").strip("/")
    real = found_by_linker(Path("/"), path)
    elf = here.elves[path]
    assert elf.needed
    for name in set(elf.needed) & real.keys():  # without the linker's own name
        mine = Loader(here).find(name, path, elf)
        assert mine is not None
        assert os.path.realpath(f"/{mine}") == os.path.realpath(f"/{real[name]}")
