"""What a layer holds, without its bytes: made once, read by all that builds on it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from tritonbuild.digest import Digest
from tritonbuild.oci.tar import Member

Kind = Literal["file", "folder", "link", "hardlink", "device", "whiteout", "opaque"]
"""`whiteout`: the path is removed; `opaque`: the folder at the path begins empty."""
TEXTS = (
    "etc/passwd", "etc/group", "etc/shadow", "etc/gshadow", "etc/os-release", "usr/lib/os-release",
    "etc/ld.so.conf", "var/lib/dpkg/status",
)  # fmt: skip
TEXT_FOLDERS = ("etc/ld.so.conf.d/", "var/lib/dpkg/status.d/")
"""Files whose content is kept too: what is installed, who there is, where libraries are found."""
TEXT_LIMIT = 16 << 20
"""Bytes of all of them in a layer."""


class Listed(NamedTuple):
    path: str
    """As the layer says it, without slashes at its ends; of a whiteout what it removes."""
    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    size: int = 0
    digest: str = ""
    """Hex SHA-256 of a file's content."""
    target: str = ""
    """Of a link, as it is written; of a hard link a path in the layer or below it."""


@dataclass(frozen=True)
class Listing:
    entries: tuple[Listed, ...]
    """In the layer's order."""
    texts: Mapping[str, str] = field(default_factory=dict)
    """Path → content, of those that `is_text` names."""

    @property
    def encoded(self) -> bytes:
        document = {"entries": self.entries, "texts": self.texts}
        return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()

    @classmethod
    def decode(cls, encoded: bytes) -> Listing:
        document = json.loads(encoded)
        return cls(tuple(map(Listed._make, document["entries"])), document["texts"])


def is_text(path: str) -> bool:
    return path in TEXTS or path.startswith(TEXT_FOLDERS)


def listing_of(members: Iterable[Member]) -> Listing:
    """Of a layer that we write ourselves. Texts are told of members whose content is in them."""
    entries = []
    texts: dict[str, str] = {}
    for member in members:
        digest = member.content
        if isinstance(digest, bytes):
            if member.kind == "file" and is_text(member.path):
                texts[member.path] = digest.decode(errors="surrogateescape")
            digest = Digest.of_bytes(digest)
        entries.append(
            Listed(
                member.path, member.kind, member.mode, member.uid, member.gid, member.size,
                digest.hash if member.kind == "file" else "", member.target,
            )
        )  # fmt: skip
    return Listing(tuple(entries), texts)
