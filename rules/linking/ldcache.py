"""/etc/ld.so.cache, as `ldconfig` makes it, for a file system of any machine.

Format: `glibc-ld.so.cache1.1`, glibc's sysdeps/generic/dl-cache.h.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from .ldconfig import Library, order
from .loader import Files

CACHE = "etc/ld.so.cache"
_MAGIC = b"glibc-ld.so.cache1.1"
_LITTLE_ENDIAN = 2
_HEADER = struct.Struct("<20s2I4B4I")
_ENTRY = struct.Struct("<i3IQ")
_EXTENSIONS = struct.Struct("<2I")
_EXTENSION = struct.Struct("<4I")
_EXTENSION_MAGIC, _HWCAPS_TAG = 0xEAA42174, 1
_LEVEL = 1 << 62
"""Says that the rest of the field is a number of a level."""
_FLAGS = {"x86_64": 0x0303, "aarch64": 0x0A03, "i386": 0x0003, "ppc64le": 0x0503}
"""Of machines whose caches are little-endian."""


def ld_cache(files: Files) -> bytes:
    """What is for another machine than these is not in it."""
    entries = [one for one in files.libraries if one.elf.machine in _FLAGS]
    entries.sort(key=lambda one: (not one.level, one.level))
    entries.sort(key=lambda one: (order(one.name), _FLAGS[one.elf.machine]), reverse=True)
    # which leaves those that are equal in the order of their folders
    levels = sorted({one.level for one in entries if one.level})
    start = _HEADER.size + _ENTRY.size * len(entries)
    strings = _Strings(start)
    packed = b"".join(_packed(one, levels, strings) for one in entries)
    numbers = [strings.place(level) for level in levels]
    text = bytes(strings.content)
    end = start + len(text)
    more = _extensions(numbers, end + -end % 4) if levels else b""
    header = _HEADER.pack(
        _MAGIC, len(entries), len(text), _LITTLE_ENDIAN, 0, 0, 0,
        end + -end % 4 if more else 0, 0, 0, 0,
    )  # fmt: skip
    return header + packed + text + (bytes(-end % 4) + more if more else b"")


class _Strings:
    def __init__(self, start: int):
        self.content = bytearray()
        self._start = start
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        """Where it is in the file."""
        if text not in self._places:
            self._places[text] = self._start + len(self.content)
            self.content += text.encode(errors="surrogateescape") + b"\0"
        return self._places[text]


def _packed(one: Library, levels: list[str], strings: _Strings) -> bytes:
    name, path = strings.place(one.name), strings.place(f"/{one.path}")
    level = _LEVEL | levels.index(one.level) if one.level else 0
    return _ENTRY.pack(_FLAGS[one.elf.machine], name, path, 0, level)


def _extensions(numbers: Iterable[int], start: int) -> bytes:
    """The one that names levels."""
    content = b"".join(number.to_bytes(4, "little") for number in numbers)
    place = start + _EXTENSIONS.size + _EXTENSION.size
    head = _EXTENSION.pack(_HWCAPS_TAG, 0, place, len(content))
    return _EXTENSIONS.pack(_EXTENSION_MAGIC, 1) + head + content
