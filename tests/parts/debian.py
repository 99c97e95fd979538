"""A Debian archive on this machine, signed by a key of our own, and packages made for a test."""

from __future__ import annotations

import hashlib
import io
import lzma
import tarfile
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from pysequoia import SignatureMode, Tsk, sign
from tritonbuild.rules.debian import archive
from tritonbuild.rules.python.debian import MIRROR

from parts.web import Web

INDEX = "main/binary-amd64/Packages.xz"


@dataclass
class Archive:
    """Answers a web server's requests for `/debian` and `/debian-security`."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Path → content; a test may change it."""
    key: Tsk = field(default_factory=lambda: Tsk.generate("Test <test@example.org>"))

    def publish(
        self, packages: str, suite: str = "bookworm", part: str = "debian", **release: str
    ) -> None:
        """A suite of paragraphs, with more fields of its Release."""
        index = lzma.compress(textwrap.dedent(packages).encode())
        digest = hashlib.sha256(index).hexdigest()
        fields = {
            "Codename": suite,
            "Date": "Sat, 11 Jul 2026 10:16:37 UTC",
            "Architectures": "all amd64",
            **{name.replace("_", "-"): value for name, value in release.items()},
        }
        text = "".join(f"{name}: {value}\n" for name, value in fields.items())
        text += f"SHA256:\n {digest} {len(index)} {INDEX}\n"
        place = f"/{part}/dists/{suite}"
        self.files[f"{place}/InRelease"] = self.signed(text)
        self.files[f"{place}/{INDEX}"] = index

    def signed(self, text: str) -> bytes:
        return sign(self.key.signer(), text.encode(), mode=SignatureMode.CLEAR)

    def __call__(self, handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        content = self.files.get(handler.path)
        return (404, b"") if content is None else (200, content)

    def trust(self, patch: pytest.MonkeyPatch, web: Web, folder: Path) -> None:
        """Makes it the one mirror, and its key the only one."""
        keys = folder / "keys"
        keys.mkdir()
        (keys / "test.pgp").write_bytes(bytes(self.key.extract_certificate()))
        patch.setattr(archive, "KEYS", keys)
        patch.setenv(MIRROR, web.url("debian"))


def paragraph(name: str, version: str = "1", **fields: str) -> str:
    """Of an index; `Pre_Depends` stands for `Pre-Depends`."""
    more = {
        "Architecture": "amd64",
        "Filename": f"pool/{name}_{version}_amd64.deb",
        "Size": "3",
        "SHA256": "0" * 64,
        **{key.replace("_", "-"): value for key, value in fields.items()},
    }
    lines = [f"Package: {name}", f"Version: {version}"]
    return "\n".join([*lines, *(f"{key}: {value}" for key, value in more.items())]) + "\n"


def entry(
    name: str, content: bytes | str = b"", mode: int = 0o644, kind: bytes = tarfile.REGTYPE
) -> tuple[tarfile.TarInfo, bytes]:
    """A member of a package: `content` is that of a file, or where a link leads."""
    info = tarfile.TarInfo(f"./{name}")
    info.type, info.mode = kind, mode
    if isinstance(content, str):
        info.linkname = content
        return info, b""
    info.size = len(content)
    return info, content


def make_deb(
    name: str,
    members: Iterable[tuple[tarfile.TarInfo, bytes]],
    control: Mapping[str, str] | None = None,
    **files: str,
) -> bytes:
    """A .deb; `files` are more of its control files."""
    fields = {"Package": name, "Version": "1", "Architecture": "amd64", **(control or {})}
    text = "".join(f"{key}: {value}\n" for key, value in fields.items())
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar.xz": _tar(
            entry(key, value.encode()) for key, value in {"control": text, **files}.items()
        ),
        "data.tar.xz": _tar(members),
    }
    made = b"!<arch>\n"
    for key, content in parts.items():
        made += f"{key:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        made += content + b"\n" * (len(content) % 2)
    return made


def _tar(members: Iterable[tuple[tarfile.TarInfo, bytes]]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return packed.getvalue()
