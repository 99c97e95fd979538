"""Debian packages, with a real one."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import requests
from tritonbuild.rules.python.debian import MIRROR, addresses, archive_url, members

PATH = "pool/main/z/zlib/zlib1g_1.2.13.dfsg-1_amd64.deb"


@pytest.fixture(scope="module")
def zlib() -> bytes:
    response = requests.get(f"http://deb.debian.org/debian/{PATH}", timeout=60)
    response.raise_for_status()
    return response.content


def test_a_mirror_is_asked_before_the_archive_of_all_versions() -> None:
    url = archive_url("20261121T000000Z", PATH)
    assert addresses(url) == [f"http://deb.debian.org/debian/{PATH}", url]


def test_the_mirror_that_the_user_names_is_asked_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MIRROR, "http://mirror.example/debian/")
    url = archive_url("20261121T000000Z", PATH)
    assert addresses(url)[0] == f"http://mirror.example/debian/{PATH}"


def test_what_is_not_debians_is_asked_for_at_its_own_address() -> None:
    assert addresses("https://example.org/model.onnx") == ["https://example.org/model.onnx"]


def test_the_files_of_a_package_are_listed_with_their_content(zlib: bytes) -> None:
    found = {member.path: member.content.read() for member in members(io.BytesIO(zlib))}
    library = found["lib/x86_64-linux-gnu/libz.so.1.2.13"]
    assert library.startswith(b"\x7fELF")
    assert found["lib/x86_64-linux-gnu/libz.so.1"] == library
    assert not any(path.startswith(("/", "./")) for path in found)


def test_links_are_told_from_files(zlib: bytes) -> None:
    aliases = {Path(member.path).name for member in members(io.BytesIO(zlib)) if member.alias}
    assert aliases == {"libz.so.1"}
