"""What Debian's archive has: its package indexes, believed because its keys signed them.

https://wiki.debian.org/DebianRepository/Format
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from tritonbuild.rule import EnvironmentFailure, Problem, UsageError, did_you_mean, public

from ..origins.source import Passing, Refused, source_of
from ..origins.transfer import Expected, WrongFileError, transfer
from ..python.debian import MIRROR, mirrors, need_lzma
from .suites import SUITES

KEYS = Path(__file__).with_name("keys")
"""The archive's public keys, as the package debian-archive-keyring has them."""
_MIRROR_REMEDY = f"name a Debian mirror that is current: {MIRROR}=http://mirror.example/debian"


@dataclass(frozen=True)
class Index:
    """The packages of one suite, for one architecture."""

    archive: str
    """`debian` or `debian-security`."""
    snapshot: str
    """A time at which snapshot.debian.org has all of them."""
    packages: bytes
    """Paragraphs, with an empty line between them."""


def indexes(suite: str, architecture: str, scratch: Path) -> list[Index]:
    """Of a release: the suite itself, its updates and its security updates. A mirror that the user
    names may lack the last two. Raises UsageError and EnvironmentFailure."""
    if suite not in SUITES:
        raise UsageError(
            Problem(f"no Debian suite {suite!r} is known", remedy=did_you_mean(suite, SUITES))
        )
    parts = (
        ("debian", suite),
        ("debian", f"{suite}-updates"),
        ("debian-security", f"{suite}-security"),
    )
    found = (_index(*part, architecture, scratch, main=part == parts[0]) for part in parts)
    return [index for index in found if index is not None]


def _index(
    archive: str, suite: str, architecture: str, scratch: Path, *, main: bool
) -> Index | None:
    place = f"dists/{suite}"
    signed, _ = _get(archive, f"{place}/InRelease", scratch / f"{suite}.InRelease", Expected())
    if signed is None:
        if main or len(mirrors(archive)) == 1:
            raise EnvironmentFailure(
                Problem(f"no mirror has {archive}'s {place}", "a Debian mirror", _MIRROR_REMEDY)
            )
        return None
    release = _release(signed, suite)
    path = f"main/binary-{architecture}/Packages.xz"
    entry = next((e for e in release["SHA256"] if e["name"] == path), None)
    if entry is None:
        raise UsageError(
            Problem(f"{suite} has no {architecture}", f"one of: {release['Architectures']}")
        )
    expected = Expected(entry["sha256"], int(entry["size"]))
    by_hash = release.get("Acquire-By-Hash") == "yes"
    name = f"main/binary-{architecture}/by-hash/SHA256/{expected.sha256}" if by_hash else path
    packed, why = _get(archive, f"{place}/{name}", scratch / f"{suite}.xz", expected)
    if packed is None:
        raise EnvironmentFailure(
            Problem(
                f"{suite}'s {path} cannot be fetched\n    {why}",
                "what its signed InRelease names",
                f"the mirror may be changing: try again, or {_MIRROR_REMEDY}",
            )
        )
    need_lzma()
    import lzma

    # The archive of all versions looks four times a day: a day later it has what was new.
    published = parsedate_to_datetime(release["Date"]) + timedelta(days=1)
    return Index(archive, published.strftime("%Y%m%dT%H%M%SZ"), lzma.decompress(packed))


def _get(archive: str, path: str, target: Path, expected: Expected) -> tuple[bytes | None, str]:
    """From the first mirror that has it, or what each says. Raises EnvironmentFailure where none
    can be asked."""
    failures: list[str] = []
    absent = False
    for mirror in mirrors(archive):
        url = f"{mirror}/{path}"
        source = source_of(url)
        if source is None:
            failures.append(f"{public(url)}: nothing is known of such addresses")
            continue
        try:
            transfer(source.opening(url), target, expected)
            return target.read_bytes(), ""
        except (Refused, Passing, WrongFileError) as error:
            failures.append(f"{public(url)}: {error}")
            absent |= not isinstance(error, Passing)
    said = "\n    ".join(failures)
    if not absent:
        raise EnvironmentFailure(
            Problem(f"Debian's archive cannot be read\n    {said}", "a mirror", _MIRROR_REMEDY)
        )
    return None, said


def _release(signed: bytes, suite: str) -> Mapping[str, Any]:
    """A suite's Release, after its signature was found good."""
    from debian.deb822 import Release
    from pysequoia import verify

    try:
        text = verify(signed, lambda _: _keys()).bytes
    except (RuntimeError, ValueError) as error:
        raise _untrusted(suite, str(error).partition("\n")[0]) from None
    release = Release(text)
    if release.get("Codename") != suite:
        raise _untrusted(suite, f"it is that of {release.get('Codename')}")
    until = release.get("Valid-Until")
    if until and parsedate_to_datetime(until) < datetime.now(UTC):
        raise _untrusted(suite, f"it was valid until {until}")
    return release


def _keys() -> Sequence[Any]:
    from pysequoia import Cert

    return [cert for file in sorted(KEYS.iterdir()) for cert in Cert.split_file(str(file))]


def _untrusted(suite: str, why: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        Problem(
            f"{suite}'s InRelease is not believed: {why}",
            "one that Debian has signed, and that is current",
            f"is this machine's clock right? {_MIRROR_REMEDY}",
        )
    )
