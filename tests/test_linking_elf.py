"""What ELF files say, also those that are stripped, damaged or made to hurt."""

from __future__ import annotations

import io
import random
import re
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from parts.linking import LD_SO, TRIPLET, compile_library
from tritonbuild.rules.linking.elf import Elf, read_elf
from tritonbuild.rules.linking.linkage import Linkage

VERSIONS = "OLD_1.0 { global: f; };\nNEW_1.10 { global: g; } OLD_1.0;\n"
SOURCE = "int f(void) { return 1; }\nint g(void) { return 2; }\n"


def read(file: Path) -> Elf | None:
    with file.open("rb") as opened:
        return read_elf(opened)


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """One that says all there is to say."""
    needed = compile_library(
        tmp_path / "libneeded.so.2", soname="libneeded.so.2", source=SOURCE, versions=VERSIONS
    )
    return compile_library(
        tmp_path / "libf.so.1.2", "-Wl,-rpath,/a:$ORIGIN/../b", "-Wl,--enable-new-dtags",
        "-Wl,-z,nodefaultlib", soname="libf.so.1", needs=[needed], versions="MINE_3 { *; };",
        source="int g(void); int old(void) { return g(); }\n",
    )  # fmt: skip


def test_what_a_library_says(library: Path) -> None:
    assert read(library) == Elf(
        "x86_64", 64, "libf.so.1", ("libneeded.so.2",), (), ("/a", "$ORIGIN/../b"),
        (("libneeded.so.2", ("NEW_1.10",)),), ("MINE_3",), "", True,
    )  # fmt: skip


def test_what_a_library_gives_is_without_its_own_name(library: Path) -> None:
    elf = read(library.with_name("libneeded.so.2"))
    assert elf is not None
    assert elf.gives == ("NEW_1.10", "OLD_1.0")


def test_the_older_tag_for_folders(tmp_path: Path) -> None:
    elf = read(compile_library(tmp_path / "libf.so", "-Wl,-rpath,/a,--disable-new-dtags"))
    assert elf is not None
    assert (elf.rpath, elf.runpath) == (("/a",), ())


def test_a_program_names_its_linker() -> None:
    elf = read(Path("/usr/bin/env"))
    assert elf is not None
    assert elf.interpreter == f"/{LD_SO}"


def test_section_headers_are_not_read(library: Path) -> None:
    content = bytearray(library.read_bytes())
    said = read_elf(io.BytesIO(content))
    (offset,) = struct.unpack_from("<Q", content, 40)
    struct.pack_into("<Q", content, 40, 0)
    struct.pack_into("<3H", content, 58, 0, 0, 0)
    assert read_elf(io.BytesIO(content[:offset])) == said


def test_versions_that_are_weak_are_not_wanted(library: Path) -> None:
    content = bytearray(library.read_bytes())
    (need,) = struct.unpack_from("<Q", content, _tag(content, 0x6FFFFFFE) + 8)  # DT_VERNEED
    struct.pack_into("<H", content, need + 16 + 4, 2)  # VER_FLG_WEAK of its first version
    elf = read_elf(io.BytesIO(content))
    assert elf is not None
    assert elf.wants == (("libneeded.so.2", ()),)


def test_what_readelf_says_of_this_machines_libraries() -> None:
    found = sorted(Path(f"/usr/lib/{TRIPLET}").glob("lib[a-c]*.so.*"))
    libraries = [file for file in found if file.is_file() and not file.is_symlink()]
    assert len(libraries) > 10
    for file in libraries:
        command = ["readelf", "--wide", "--dynamic", str(file)]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        elf = read(file)
        assert elf is not None
        assert list(elf.needed) == re.findall(r"\(NEEDED\).*\[(.*)\]", said)
        assert [elf.soname] == re.findall(r"\(SONAME\).*\[(.*)\]", said)


@pytest.mark.parametrize("content", [b"", b"\x7fEL", b"#!/bin/sh\n", b"!<arch>\n"])
def test_what_is_no_elf_file(content: bytes) -> None:
    assert read_elf(io.BytesIO(content)) is None


def test_an_object_for_linking_is_neither(tmp_path: Path) -> None:
    made = tmp_path / "f.o"
    subprocess.run(["gcc", "-c", "-x", "c", "-", "-o", made], input=SOURCE.encode(), check=True)
    assert read(made) is None


@pytest.mark.parametrize("length", [4, 15, 40, 64, 100, 500, 1000])
def test_one_that_ends_too_early_is_damaged(library: Path, length: int) -> None:
    with pytest.raises(ValueError, match="damaged ELF file: "):
        read_elf(io.BytesIO(library.read_bytes()[:length]))


def test_damage_anywhere_is_told_or_harmless(library: Path) -> None:
    whole = library.read_bytes()
    chance = random.Random(1)
    told = 0
    for _ in range(1000):
        content = bytearray(whole)
        for _ in range(chance.randint(1, 30)):
            content[chance.randrange(min(len(content), 4096))] = chance.randrange(256)
        with suppress(ValueError):
            read_elf(io.BytesIO(content))
            continue
        told += 1
    assert told > 100


class Counted(io.BytesIO):
    count = 0

    def read(self, size: int | None = -1, /) -> bytes:
        assert size is not None
        assert 0 <= size <= 4096
        self.count += 1
        return super().read(size)


def _tag(content: bytearray, wanted: int) -> int:
    """Where an entry of the dynamic section is."""
    (start, count) = struct.unpack_from("<Q", content, 32)[0], 0
    (count,) = struct.unpack_from("<H", content, 56)
    for number in range(count):
        kind, _, offset = struct.unpack_from("<IIQ", content, start + 56 * number)
        if kind == 2:
            while struct.unpack_from("<Q", content, offset)[0] != wanted:
                offset += 16
            return int(offset)
    raise AssertionError("no dynamic section")


def test_a_table_that_goes_round_ends(library: Path) -> None:
    """Its next entry is itself, as often as it can say."""
    content = bytearray(library.read_bytes())
    number = _tag(content, 0x6FFFFFFF)  # DT_VERNEEDNUM
    struct.pack_into("<Q", content, number + 8, 1 << 40)
    elf_offset = struct.unpack_from("<Q", content, _tag(content, 0x6FFFFFFE) + 8)[0]
    struct.pack_into("<H", content, elf_offset + 2, 1)
    struct.pack_into("<I", content, elf_offset + 12, 1 << 31)
    with pytest.raises(ValueError, match="damaged"):
        read_elf(io.BytesIO(content))


def test_a_table_of_more_entries_than_honest_files_have_is_refused() -> None:
    header = bytearray(64)
    header[:7] = b"\x7fELF\x02\x01\x01"
    struct.pack_into("<HHI", header, 16, 3, 62, 1)
    struct.pack_into("<Q", header, 32, 0)
    struct.pack_into("<HHH", header, 52, 64, 0, 65535)  # all in one place
    file = Counted(bytes(header))
    with pytest.raises(ValueError, match="more than"):
        read_elf(file)
    assert file.count < 20_000


def test_linkage_comes_back_as_it_was(library: Path) -> None:
    elf = read(library)
    assert elf is not None
    linkage = Linkage({"a/libf.so.1": elf, "b": elf._replace(soname="not UTF-8: \udcff")})
    assert Linkage.decode(linkage.encoded) == linkage
