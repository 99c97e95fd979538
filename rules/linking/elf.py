"""What a program or shared library says to the dynamic linker.

https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html; symbol versions: LSB, 10.7.

Read as the dynamic linker reads it, by segments: section headers may be stripped, and take long.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from elftools.elf.structs import ELFStructs

MAGIC = b"\x7fELF"
_MOST = 10_000
"""Entries of all tables: more than any honest file has."""
_TEXT = 4096
"""Bytes of a name; C++ has longer ones, libraries and versions have not."""
_BASE, _WEAK, _NO_DEFAULT = 0x1, 0x2, 0x800
_MACHINES = {
    ("EM_X86_64", True): "x86_64", ("EM_AARCH64", True): "aarch64", ("EM_386", True): "i386",
    ("EM_PPC64", True): "ppc64le", ("EM_S390", False): "s390x", ("EM_RISCV", True): "riscv64",
}  # fmt: skip


class Elf(NamedTuple):
    machine: str
    """Such as `x86_64`, as Linux calls it."""
    bits: int
    soname: str
    needed: tuple[str, ...]
    rpath: tuple[str, ...]
    runpath: tuple[str, ...]
    """Folders as they are written."""
    wants: tuple[tuple[str, tuple[str, ...]], ...]
    """Library → versions of its symbols, but for weak ones."""
    gives: tuple[str, ...]
    """Versions of symbols that it defines."""
    interpreter: str = ""
    """The dynamic linker, of a program."""
    no_default: bool = False
    """Whether the system's folders are not for what it needs (DF_1_NODEFLIB)."""


def read_elf(file: BinaryIO) -> Elf | None:
    """Of a file that can seek; None for what is neither program nor shared library. Raises
    ValueError for one that is damaged."""
    from elftools.construct import ConstructError

    file.seek(0)
    ident = file.read(16)
    if ident[:4] != MAGIC:
        return None
    if len(ident) < 16 or ident[4] not in (1, 2) or ident[5] not in (1, 2):
        raise ValueError("damaged ELF file: its class and byte order are none")
    try:
        return _Reading(file, ident[4] * 32, ident[5] == 1).elf()
    except ConstructError:
        raise ValueError("damaged ELF file: it ends within a table") from None
    except OverflowError:
        raise ValueError("damaged ELF file: a table lies beyond any file's end") from None


@cache
def _structs(little: bool, bits: int) -> ELFStructs:
    from elftools.elf.structs import ELFStructs

    structs = ELFStructs(little_endian=little, elfclass=bits)
    structs.create_basic_structs()
    structs.create_advanced_structs()
    return structs


@cache
def _size(entry: Any) -> int:
    """Which takes as long as to read one."""
    size: int = entry.sizeof()
    return size


class _Reading:
    def __init__(self, file: BinaryIO, bits: int, little: bool):
        self._file = file
        self._bits = bits
        self._little = little
        self._structs = _structs(little, bits)
        self._left = _MOST
        self._loads: list[tuple[int, int, int]] = []
        """Of what is mapped: address, offset in the file, size."""

    def elf(self) -> Elf | None:
        header = self._at(self._structs.Elf_Ehdr, 0)
        if header["e_type"] not in ("ET_EXEC", "ET_DYN"):
            return None
        interpreter, dynamic = "", (0, 0)
        entry = self._structs.Elf_Phdr
        for number in range(header["e_phnum"]):
            segment = self._at(entry, header["e_phoff"] + number * header["e_phentsize"])
            place = segment["p_offset"], segment["p_filesz"]
            match segment["p_type"]:
                case "PT_LOAD":
                    self._loads.append((segment["p_vaddr"], *place))
                case "PT_DYNAMIC":
                    dynamic = place
                case "PT_INTERP":
                    interpreter = self._text(place[0])
        tags, said = self._tags(*dynamic)
        strings = self._offset(tags["DT_STRTAB"]) if "DT_STRTAB" in tags else 0

        def texts(kind: str) -> tuple[str, ...]:
            return tuple(self._text(strings + place) for place in said.get(kind, ()))

        return Elf(
            _MACHINES.get((header["e_machine"], self._little), str(header["e_machine"])),
            self._bits,
            next(iter(texts("DT_SONAME")), ""),
            texts("DT_NEEDED"),
            _folders(texts("DT_RPATH")),
            _folders(texts("DT_RUNPATH")),
            tuple(self._wants(tags, strings)),
            tuple(sorted(self._gives(tags, strings))),
            interpreter,
            bool(tags.get("DT_FLAGS_1", 0) & _NO_DEFAULT),
        )

    def _tags(self, offset: int, size: int) -> tuple[dict[str, int], dict[str, list[int]]]:
        """The last of each, as it counts, and all of each."""
        said: dict[str, list[int]] = {}
        entry = self._structs.Elf_Dyn
        for place in range(offset, offset + size, _size(entry)):
            tag = self._at(entry, place)
            if tag["d_tag"] == "DT_NULL":
                break
            said.setdefault(tag["d_tag"], []).append(tag["d_val"])
        return {kind: values[-1] for kind, values in said.items()}, said

    def _wants(self, tags: dict[str, int], strings: int) -> Iterator[tuple[str, tuple[str, ...]]]:
        structs = self._structs
        for place, need in self._chain(structs.Elf_Verneed, tags, "DT_VERNEED", "vn_next"):
            versions = self._list(
                structs.Elf_Vernaux, place + need["vn_aux"], need["vn_cnt"], "vna_next"
            )
            strong = [
                self._text(strings + version["vna_name"])
                for _, version in versions
                if not version["vna_flags"] & _WEAK
            ]
            yield self._text(strings + need["vn_file"]), tuple(sorted(strong))

    def _gives(self, tags: dict[str, int], strings: int) -> Iterator[str]:
        structs = self._structs
        for place, given in self._chain(structs.Elf_Verdef, tags, "DT_VERDEF", "vd_next"):
            if not given["vd_flags"] & _BASE:  # which is the library's own name
                name = self._at(structs.Elf_Verdaux, place + given["vd_aux"])
                yield self._text(strings + name["vda_name"])

    def _chain(
        self, entry: Any, tags: dict[str, int], kind: str, following: str
    ) -> Iterator[tuple[int, Any]]:
        if kind in tags:
            count = tags.get(f"{kind}NUM", 0)
            yield from self._list(entry, self._offset(tags[kind]), count, following)

    def _list(
        self, entry: Any, place: int, count: int, following: str
    ) -> Iterator[tuple[int, Any]]:
        for _ in range(count):
            found = self._at(entry, place)
            yield place, found
            if not found[following]:
                return
            place += found[following]

    def _at(self, entry: Any, offset: int) -> Any:
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"damaged ELF file: its tables have more than {_MOST} entries")
        self._file.seek(offset)
        return entry.parse(self._file.read(_size(entry)))

    def _text(self, offset: int) -> str:
        self._file.seek(offset)
        text, end, _ = self._file.read(_TEXT).partition(b"\0")
        if not end:
            raise ValueError(f"damaged ELF file: a name has no end within {_TEXT} bytes")
        return text.decode(errors="surrogateescape")

    def _offset(self, address: int) -> int:
        for start, offset, size in self._loads:
            if start <= address < start + size:
                return offset + address - start
        raise ValueError(f"damaged ELF file: nothing is at {address:#x}, where a table should be")


def _folders(texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(folder for text in texts for folder in text.split(":"))
