"""Large files of which only the ends are kept."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts.linking import compile_library
from parts.missing import missing
from tritonbuild.rules.linking.elf import Elf, read_elf
from tritonbuild.rules.linking.ends import Ends, Lost
from tritonbuild.rules.linking.facts import Elves

from tritonbuild.oci.untar import Head

MEGABYTE = 1 << 20
FAR = """SECTIONS {
    . = SIZEOF_HEADERS;
    .before : { *(.before) }
    .hash : { *(.hash) } .gnu.hash : { *(.gnu.hash) }
    .dynsym : { *(.dynsym) } .dynstr : { *(.dynstr) }
    .text : { *(.text*) } .dynamic : { *(.dynamic) }
    .after : { *(.after) }
}
"""
"""For the linker: names lie between what is before and after."""


def far(folder: Path, before: int, after: int) -> bytes:
    """A library whose names lie amid it."""
    script = folder / "script"
    script.write_text(FAR)
    source = "".join(
        f'__attribute__((section(".{name}"))) const char {name}[{size}] = {{ 1 }};\n'
        for name, size in (("before", before), ("after", after))
    )
    options = (f"-Wl,-T,{script}", "-Wl,--build-id=none")
    made = compile_library(folder / "libfar.so.1", *options, soname="libfar.so.1", source=source)
    return made.read_bytes()


def gone_by(content: bytes, scratch: Path) -> Elves:
    """After a file has gone by in pieces."""
    elves = Elves(scratch, again=True)
    elves.member("file", Head("file", "file", 0, 0, 0, len(content), 0, "", None, 0, 512, b""))
    for start in range(0, len(content), MEGABYTE):
        elves.content(content[start : start + MEGABYTE])
    elves.finish()
    return elves


def whole(content: bytes) -> Elf | None:
    return read_elf(io.BytesIO(content))


def test_a_program_without_a_dynamic_section_is_not_read_again(tmp_path: Path) -> None:
    source, program = tmp_path / "source.c", tmp_path / "program"
    source.write_text("void _start(void) { for (;;); }\n")
    gcc = shutil.which("gcc") or missing("there is no gcc", "apt-get install gcc")
    options = ["-static", "-nostdlib", "-no-pie"]
    subprocess.run([gcc, *options, "-o", program, source], check=True)
    content = program.read_bytes() + bytes(12 * MEGABYTE)
    elves = gone_by(content, tmp_path)
    assert elves.missed == []
    assert elves.linkage["file"] == whole(content)
    assert elves.linkage["file"].needed == ()


@pytest.mark.parametrize(
    ("before", "after"), [(1, 12), (6, 30), (12, 1), (30, 0)], ids=lambda size: f"{size}"
)
def test_names_near_the_ends_are_read_as_they_go_by(
    tmp_path: Path, before: int, after: int
) -> None:
    content = far(tmp_path, before * MEGABYTE + 5, after * MEGABYTE + 5)
    elves = gone_by(content, tmp_path)
    assert elves.missed == []
    assert elves.linkage["file"] == whole(content)
    assert elves.linkage["file"].soname == "libfar.so.1"


def test_names_amid_are_looked_at_again(tmp_path: Path) -> None:
    content = far(tmp_path, 12 * MEGABYTE, 12 * MEGABYTE)
    elves = gone_by(content, tmp_path)
    assert elves.missed == ["file"]
    assert "file" not in elves.linkage
    elves.look("file", [content])
    assert elves.linkage["file"] == whole(content)


PATTERN = bytes(range(251)) * (20 * MEGABYTE // 251)


@given(
    size=st.integers(0, len(PATTERN)),
    piece=st.sampled_from([MEGABYTE, 3 * MEGABYTE, 700_001]),
    begin=st.integers(0, len(PATTERN)),
    count=st.integers(0, 3 * MEGABYTE),
)
def test_what_is_kept_is_what_was_written(size: int, piece: int, begin: int, count: int) -> None:
    ends = Ends()
    for start in range(0, size, piece):
        ends.write(PATTERN[start : min(start + piece, size)])
    wanted = PATTERN[begin : min(begin + count, size)]
    is_kept = begin + len(wanted) <= 8 * MEGABYTE or begin >= size - 2 * MEGABYTE
    ends.seek(min(begin, size))
    try:
        assert ends.read(count) == wanted
    except Lost:
        assert not is_kept


def test_what_is_kept_of_much_is_little() -> None:
    ends = Ends()
    for _ in range(200):
        ends.write(bytes(MEGABYTE))
    kept = [piece for pieces in vars(ends).values() if not isinstance(pieces, int | tuple)
            for piece in pieces]  # fmt: skip
    assert sum(map(len, kept)) < 12 * MEGABYTE
