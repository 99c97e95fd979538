"""What stands in the place of a model without being one: pointers, error pages, archives."""

from __future__ import annotations

from tritonbuild.rule import Problem, is_pointer

from .signature import FormatError

HEAD = 1024
"""Bytes of a file that these are told by."""
_DVC = (b"outs:\n- md5:", b"outs:\n- hash:", b"md5:", b"outs:\r\n- md5:")
_FETCH_AGAIN = "fetch the file again; a browser or a plain download may have saved an error page"


def refuse_stand_in(head: bytes, name: str, expected: str) -> None:
    """Raises FormatError when a file begins as something that stands in a model's place.

    `head` is its first `HEAD` bytes, `name` its file name, `expected` what belongs there.
    """
    if not head:
        raise FormatError(Problem("the file is empty", expected))
    if is_pointer(head):
        found = "the file is a Git LFS pointer, not the content it stands for"
        raise FormatError(Problem(found, expected, "run `git lfs pull`, then build again"))
    if name.endswith(".dvc") or (head.startswith(_DVC) and b"\npath:" in head.replace(b" ", b"")):
        target = name.removesuffix(".dvc")
        found = "the file is a DVC pointer, not the content it stands for"
        remedy = f"run `dvc pull`, and name {target!r}" if target != name else "run `dvc pull`"
        raise FormatError(Problem(found, expected, remedy))
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        raise FormatError(Problem("the file is an HTML page", expected, _FETCH_AGAIN))
    if start.startswith(b"<?xml") and b"<Error>" in head:
        found = "the file is the error answer of an object store"
        raise FormatError(Problem(found, expected, "fetch the file again"))


def refuse_archive(head: bytes, kind: str) -> None:
    """Raises FormatError when a file begins as a compressed one or an archive."""
    for magic, name, remedy in _ARCHIVES:
        if head.startswith(magic):
            raise FormatError(Problem(f"the file is {name}", kind, remedy))
    if head[257:262] == b"ustar":
        raise FormatError(Problem("the file is a tar archive", kind, "unpack it first"))


_ARCHIVES = (
    (b"\x1f\x8b", "compressed with gzip", "decompress it first (`gunzip`)"),
    (b"PK\x03\x04", "a zip archive", "unpack it first, or name the backend that it is for"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", "decompress it first (`zstd -d`)"),
    (b"BZh", "compressed with bzip2", "decompress it first (`bunzip2`)"),
    (b"\xfd7zXZ\x00", "compressed with xz", "decompress it first (`xz -d`)"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first"),
    (b"Rar!\x1a\x07", "a RAR archive", "unpack it first"),
)
