"""Reads a tar that nobody vouches for, member by member and never back.

Python's `tarfile` takes headers of any size into memory and ends in silence at a damaged one; what
we read must be what Docker's reader reads, or be refused. Format: POSIX pax, with GNU's long names.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Literal

from tritonbuild.digest import CHUNK
from tritonbuild.oci.errors import Invalid

Kind = Literal["file", "folder", "link", "hardlink", "device"]
BLOCK = tarfile.BLOCKSIZE
HEADERS = 1 << 20
"""Bytes that may stand before a member's content: long names and pax records."""
PATH = 4096
"""Bytes that a system takes of a path, and of what a link says."""
_GNU_MAGIC = b"ustar  \0"
_KINDS: dict[bytes, Kind] = {
    tarfile.REGTYPE: "file",
    tarfile.AREGTYPE: "file",
    tarfile.DIRTYPE: "folder",
    tarfile.SYMTYPE: "link",
    tarfile.LNKTYPE: "hardlink",
    tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device",
    tarfile.FIFOTYPE: "device",
}
_LONG = {tarfile.GNUTYPE_LONGNAME: "path", tarfile.GNUTYPE_LONGLINK: "linkpath"}


@dataclass(frozen=True)
class Head:
    """A member without its content."""

    name: str
    """As the tar says; bytes that are no UTF-8 as `surrogateescape` keeps them."""
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int
    """Bytes of content."""
    mtime: int
    """Seconds since 1970."""
    target: str
    """Of a link."""
    number: tuple[int, int] | None
    """Of a character device."""
    begin: int
    """Where the member begins, in bytes of the tar: its first header."""
    offset: int
    """Where the content begins."""
    headers: bytes
    """What stands between both."""

    @property
    def end(self) -> int:
        """Where the next member begins."""
        return self.offset + self.size + -self.size % BLOCK


class Untar:
    """An iterator over a tar's members. Raises Invalid for a damaged one, and for one that goes on
    after its end with anything but zeros. What pads the last member and marks the end may be
    missing: umoci leaves it out."""

    def __init__(self, stream: BinaryIO, limit: int):
        """No more than `limit` bytes are read. In a file that can seek, content that nobody asks
        for is not read."""
        self._stream = stream
        self._limit = limit
        self._position = 0
        self._left = 0
        """Of the present member's content."""
        self._seeks = stream.seekable()

    def __iter__(self) -> Iterator[Head]:
        while (head := self._head()) is not None:
            self._left = head.size
            yield head
            self._skip(self._left)
            self._left = 0
            self._advance(len(self._stream.read(-head.size % BLOCK)))
        self._end()

    def content(self) -> Iterator[bytes]:
        """Of the present member."""
        while self._left:
            piece = self._read(min(self._left, CHUNK))
            self._left -= len(piece)
            yield piece

    def _head(self) -> Head | None:
        records: dict[str, str] = {}
        long: dict[str, str] = {}  # weaker than records, wherever it stands
        allowed, begin = HEADERS, self._position
        headers: list[bytes] = []
        while True:
            block = self._block()
            headers.append(block)
            if not block.strip(b"\0"):
                if records or long:
                    raise self._damaged("ends after a header that belongs to a member")
                return None
            info = self._parse(block)
            if info.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, *_LONG):
                allowed -= BLOCK + info.size
                if info.size < 0 or allowed < 0:
                    raise self._damaged(f"has more than {HEADERS >> 10} KiB of headers at once")
                headers.append(self._read(info.size + -info.size % BLOCK))
                content = headers[-1][: info.size]
                if info.type in _LONG:
                    long[_LONG[info.type]] = _text(content.rstrip(b"\0"))
                elif info.type == tarfile.XHDTYPE:
                    records |= self._records(content)
                continue  # what is said of all members at once, Docker does not heed either
            return self._member(info, long | records, begin, b"".join(headers))

    def _parse(self, block: bytes) -> tarfile.TarInfo:
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise self._damaged(f"is damaged: {error}") from None
        if block[257:265] == _GNU_MAGIC:  # there other things stand where tarfile sees a prefix
            info.name = _text(block[:100].partition(b"\0")[0])
        return info

    def _member(
        self, info: tarfile.TarInfo, said: dict[str, str], begin: int, headers: bytes
    ) -> Head:
        name = said.get("path", info.name)
        kind = _KINDS.get(info.type)
        target = said.get("linkpath", info.linkname)
        if max(len(name), len(target)) > PATH:
            raise self._damaged(f"holds a name of more than {PATH} bytes")
        if kind is None:
            raise self._damaged(f"holds {name!r}, of the unknown type {info.type!r}")
        if any(key.startswith("GNU.sparse.") for key in said):
            raise self._damaged(f"holds {name!r} with its holes left out")
        if info.type == tarfile.AREGTYPE and name.endswith("/"):  # as before there were folders
            kind = "folder"
        if "\0" in name or "\0" in target:
            raise self._damaged(f"holds {name!r}, a name with a zero byte")
        size = self._number(said, "size", info.size)
        if kind != "file" and size:
            raise self._damaged(f"holds {name!r}, a {kind} with content")
        character = info.type == tarfile.CHRTYPE
        return Head(
            name,
            kind,
            info.mode & 0o7777,
            self._number(said, "uid", info.uid),
            self._number(said, "gid", info.gid),
            size,
            int(info.mtime),
            target,
            (info.devmajor, info.devminor) if character else None,
            begin,
            self._position,
            headers,
        )

    def _records(self, content: bytes) -> dict[str, str]:
        """`LENGTH KEY=VALUE\\n`, the length counting itself."""
        records: dict[str, str] = {}
        while content:
            number, _, _ = content[:20].partition(b" ")
            length = int(number) if number.isdigit() else 0
            record = content[len(number) + 1 : length]
            key, separator, value = record[:-1].partition(b"=")
            if not separator or not key or length > len(content) or record[-1:] != b"\n":
                raise self._damaged("has a damaged pax header")
            records[_text(key)] = _text(value)
            content = content[length:]
        return records

    def _number(self, said: dict[str, str], key: str, value: int) -> int:
        text = said.get(key)
        if text is not None:
            value = int(text) if text.isdecimal() and text.isascii() and len(text) < 20 else -1
        if not 0 <= value < 1 << 63:
            raise self._damaged(f"has a member whose {key} is none")
        return value

    def _end(self) -> None:
        """The second block of zeros, and what pads the tar."""
        while piece := self._stream.read(CHUNK):
            self._advance(len(piece))
            if piece.strip(b"\0"):
                raise self._damaged("goes on after its end")

    def _skip(self, count: int) -> None:
        if self._seeks and count > CHUNK:
            self._advance(count - 1)
            self._stream.seek(count - 1, 1)
            count = 1
        while count:
            count -= len(self._read(min(count, CHUNK)))

    def _block(self) -> bytes:
        """A header, or nothing at the end."""
        block = self._stream.read(BLOCK)
        self._advance(len(block))
        if 0 < len(block) < BLOCK:
            raise self._damaged("is cut short")
        return block

    def _read(self, count: int) -> bytes:
        content = self._stream.read(count)
        self._advance(len(content))
        if len(content) < count:
            raise self._damaged("is cut short")
        return content

    def _advance(self, count: int) -> None:
        self._position += count
        if self._position > self._limit:
            raise self._damaged(f"has more than {self._limit} bytes")

    def _damaged(self, found: str) -> Invalid:
        return Invalid(f"the tar {found}, at byte {self._position}")


def _text(content: bytes) -> str:
    return content.decode(errors="surrogateescape")
