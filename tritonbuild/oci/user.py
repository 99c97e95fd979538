"""Who a program of an image runs as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tritonbuild.oci.errors import Invalid

_LAST = (1 << 32) - 2
"""Of the ids that the kernel takes."""


@dataclass(frozen=True)
class User:
    uid: int
    gid: int
    home: str

    def seen(self, mode: int, uid: int, gid: int) -> int:
        """The mode that lets this user, as owner of a file, do what it may do with one of that
        owner and group. User 0 may do what the owner may."""
        if self.uid in (0, uid):
            return mode
        allowed = mode >> 3 if gid == self.gid else mode
        return mode & ~0o700 | (allowed & 0o7) << 6


def user_of(text: str, passwd: str, group: str) -> User:
    """Of a config's `User` (`user`, `uid`, `user:group`, …; empty: root) and the content of the
    image's /etc/passwd and /etc/group. Raises Invalid for a name that is not there; a number need
    not be."""
    name, _, group_name = text.partition(":")
    entry = _entry(name or "0", passwd, 7)
    if entry is None and not _is_id(name or "0"):
        raise Invalid(f"user {name!r} is not in the image", expected="a user of its /etc/passwd")
    uid, gid, home = (entry[2], entry[3], entry[5]) if entry else (name or "0", "0", "")
    if group_name:
        found = _entry(group_name, group, 4)
        if found is None and not _is_id(group_name):
            raise Invalid(
                f"group {group_name!r} is not in the image", expected="a group of its /etc/group"
            )
        gid = found[2] if found else group_name
    return User(int(uid), int(gid), home or "/")


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) <= _LAST


def _entry(name: str, content: str, fields: int) -> Sequence[str] | None:
    """The line of a name or number; lines that are none are passed over."""
    lines = [line.split(":") for line in content.splitlines()]
    ids = slice(2, 4 if fields == 7 else 3)
    whole = [line for line in lines if len(line) >= fields and all(map(_is_id, line[ids]))]
    for column in (0, 2):
        for line in whole:
            if line[column] == name:
                return line
    return None
