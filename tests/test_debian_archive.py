"""What is believed of a Debian archive: the real one, and some on this machine that lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from parts.debian import INDEX, Archive, paragraph
from parts.desk import resolved
from parts.web import Web, serve
from tritonbuild.rules.debian.archive import indexes
from tritonbuild.rules.debian.resolve import resolve_debian
from tritonbuild.rules.python.debian import MIRROR, archive_url

from tritonbuild.lock import LockedFile, Request
from tritonbuild.rule import EnvironmentFailure, UsageError

RELEASE = "/debian/dists/bookworm/InRelease"


@pytest.fixture
def archive() -> Archive:
    made = Archive()
    made.publish(paragraph("hello"))
    return made


@pytest.fixture
def web(archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    with serve(archive) as web:
        archive.trust(monkeypatch, web, tmp_path)
        # No other mirror is asked.
        monkeypatch.setattr("tritonbuild.rules.python.debian._CURRENT", web.url("nothing"))
        yield web


def locked(*packages: str, platform: str = "bookworm/amd64") -> list[LockedFile]:
    return list(resolved(resolve_debian, Request("debian", packages, platform=platform)))


def refused(error: type[Exception] = EnvironmentFailure, **request: str) -> str:
    with pytest.raises(error) as caught:
        locked("hello", **request)
    text = str(caught.value)
    assert "stack backtrace" not in text.lower()
    return text


def test_debians_own_signatures_are_good(tmp_path: Path) -> None:
    found = indexes("trixie", "amd64", tmp_path)
    assert [index.archive for index in found] == ["debian", "debian", "debian-security"]
    assert found[0].packages.startswith(b"Package: ")


def test_a_package_is_named_by_a_lasting_address(web: Web) -> None:
    url = archive_url("20260712T101637Z", "pool/hello_1_amd64.deb")
    assert locked("hello") == [LockedFile("hello_1_amd64.deb", url, "0" * 64, 3)]


def test_the_newest_version_of_all_suites_is_taken(web: Web, archive: Archive) -> None:
    archive.publish(paragraph("hello", "1+deb12u1"), "bookworm-updates")
    archive.publish(paragraph("hello", "1+deb12u2"), "bookworm-security", "debian-security")
    (file,) = locked("hello")
    assert file.url == archive_url(
        "20260712T101637Z", "pool/hello_1+deb12u2_amd64.deb", "debian-security"
    )
    assert locked("hello=1")[0].name == "hello_1_amd64.deb"


@pytest.mark.parametrize("at", [0, 60, 140, -100, -60])
def test_a_damaged_release_is_not_believed(web: Web, archive: Archive, at: int) -> None:
    good = archive.files[RELEASE]
    assert b"Codename" in good
    at %= len(good)
    archive.files[RELEASE] = good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :]
    assert "bookworm's InRelease is not believed" in refused()


def test_a_release_without_a_signature_is_not_believed(web: Web, archive: Archive) -> None:
    archive.files[RELEASE] = b"Codename: bookworm\n"
    assert "is not believed" in refused()


def test_what_stands_before_the_signed_text_is_not_read(web: Web, archive: Archive) -> None:
    good = archive.files[RELEASE]
    other = Archive()
    other.publish(paragraph("evil"))
    unsigned = other.files[RELEASE].partition(b"-----BEGIN PGP SIGNATURE")[0]
    archive.files[RELEASE] = unsigned + good
    archive.files[f"/debian/dists/bookworm/{INDEX}"] = other.files[
        f"/debian/dists/bookworm/{INDEX}"
    ]
    refused()


def test_another_key_is_not_believed(web: Web, archive: Archive) -> None:
    other = Archive()
    other.publish(paragraph("hello"))
    archive.files.update(other.files)
    assert "is not believed: " in refused()


def test_the_release_of_another_suite_is_not_believed(web: Web, archive: Archive) -> None:
    archive.publish(paragraph("hello"), Codename="trixie")
    assert "it is that of trixie" in refused()


def test_a_release_that_is_too_old_is_not_believed(web: Web, archive: Archive) -> None:
    archive.publish(paragraph("hello"), Valid_Until="Sat, 18 Jul 2020 10:16:37 UTC")
    assert "it was valid until Sat, 18 Jul 2020" in refused()


def test_an_index_that_the_release_does_not_name_is_not_believed(
    web: Web, archive: Archive
) -> None:
    other = Archive()
    other.publish(paragraph("hello", "6.6.6"))
    path = f"/debian/dists/bookworm/{INDEX}"
    archive.files[path] = other.files[path]
    said = refused()
    assert f"{INDEX} cannot be fetched" in said
    assert "expected " in said


def test_an_index_is_asked_for_by_its_digest_where_the_archive_says_so(
    web: Web, archive: Archive
) -> None:
    archive.publish(paragraph("hello"), Acquire_By_Hash="yes")
    refused()
    assert any("/by-hash/SHA256/" in path for path, _ in web.requests)


def test_an_architecture_that_is_not_there_is_told_with_those_that_are(web: Web) -> None:
    said = refused(UsageError, platform="bookworm/riscv64")
    assert "bookworm has no riscv64" in said
    assert "all amd64" in said


def test_an_unknown_suite_is_refused_before_anybody_is_asked(web: Web) -> None:
    assert "did you mean 'bookworm'" in refused(UsageError, platform="bokworm/amd64")
    assert not web.requests


def test_a_mirror_without_the_suite_is_told(web: Web, archive: Archive) -> None:
    archive.files.clear()
    said = refused()
    assert "no mirror has debian's dists/bookworm" in said
    assert MIRROR in said


def test_no_reachable_mirror_is_told(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lambda _: (200, b"")) as other:
        gone = other.url("debian", "user:secret")
    monkeypatch.setenv(MIRROR, gone)
    monkeypatch.setattr("tritonbuild.rules.python.debian._CURRENT", gone)
    said = refused()
    assert "Debian's archive cannot be read" in said
    assert "secret" not in said


def test_without_a_mirror_of_ones_own_security_updates_may_not_be_missing(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MIRROR)
    monkeypatch.setattr("tritonbuild.rules.python.debian._CURRENT", web.url("debian"))
    assert "no mirror has debian's dists/bookworm-updates" in refused()
