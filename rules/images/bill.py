"""What is in an image: the one list from which SPDX, CycloneDX and provenance are written."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from functools import cached_property
from typing import Literal
from urllib.parse import quote
from uuid import UUID, uuid5

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from tritonbuild.rule import Annotated, public

Kind = Literal[
    "system", "package", "wheel", "core", "backend", "repoagent", "cache", "model", "file",
]  # fmt: skip
"""`system`: the operating system; `package`: Debian's; `wheel`: a Python distribution; `file`: of a
model."""


def utf8(text: str) -> str:
    """What documents can hold of a name that may be no UTF-8."""
    return text.encode(errors="surrogatepass").decode(errors="replace")


Text = Annotated[str, BeforeValidator(utf8)]
Public = Annotated[Text, AfterValidator(public)]
"""Text that loses the secrets that its URLs may hold."""
_OURS = UUID("6f3c1c86-6f0f-4a52-9d0b-7a6b2b1c5f0e")


class _Value(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Item(_Value):
    kind: Kind
    name: Text
    """Of a file: its path, which begins with the model's name."""
    version: str = ""
    purl: str = ""
    """Package URL: https://github.com/package-url/purl-spec"""
    sha256: str = ""
    """Hex, of the file that it came as, or is."""
    size: int | None = None
    """Bytes of a file."""
    source: Public = ""
    """Where it came from: a URL, a package URL or a path in the workspace."""
    licence: Text = ""
    """Path in the image of the file that tells it."""
    layers: tuple[str, ...] = ()
    """Digests of the layers that it lies in; none: not in the image, or not known where."""
    items: tuple[Item, ...] = ()
    """A model's files."""

    @cached_property
    def key(self) -> str:
        """Tells it from all others of a bill; letters, digits, `.` and `-`."""
        digest = hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]
        return f"{self.kind}-{re.sub(r'[^A-Za-z0-9.]+', '-', self.name)}-{digest}"

    @property
    def url(self) -> str:
        """Its source, where that is one to fetch from."""
        fetched = re.match(r"[a-z][a-z0-9+.-]*://", self.source)
        return quote(self.source, safe=":/?#[]@!$&'()*+,;=%~") if fetched else ""


class Base(_Value):
    """The image that another is built on."""

    reference: Public
    digest: str

    @property
    def purl(self) -> str:
        return oci_purl(self.reference, self.digest)


class Bill(_Value):
    name: str
    """Of the image: the last part of its references."""
    digest: str
    """`sha256:…` of its manifest."""
    created: str
    """RFC 3339."""
    platform: str
    base: Base | None = None
    items: tuple[Item, ...]
    """Sorted, each once."""

    @property
    def encoded(self) -> bytes:
        return self.model_dump_json(exclude_defaults=True).encode()

    @classmethod
    def decode(cls, encoded: bytes) -> Bill:
        """The inverse of `encoded`. Raises pydantic's ValidationError."""
        return cls.model_validate_json(encoded)

    @property
    def uuid(self) -> UUID:
        """Of the documents written from it: another whenever they may differ."""
        return uuid5(_OURS, self.encoded.decode())

    @property
    def purl(self) -> str:
        return oci_purl(self.name, self.digest)


def in_order(items: Iterable[Item]) -> tuple[Item, ...]:
    """As a bill has them."""
    return tuple(
        sorted(set(items), key=lambda item: (item.kind, item.name, item.version, item.key))
    )


def oci_purl(reference: str, digest: str) -> str:
    """Package URL of an image: of its digest, whatever its tag."""
    from packageurl import PackageURL

    repository, _, name = reference.partition("@")[0].rpartition("/")
    where = {"repository_url": f"{repository}/{name.partition(':')[0]}"} if repository else {}
    return PackageURL("oci", None, name.partition(":")[0], digest, where).to_string()
