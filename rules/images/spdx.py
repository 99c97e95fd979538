"""A bill as SPDX 2.3, in JSON: https://spdx.github.io/spdx-spec/v2.3/

Files are packages of purpose FILE: an SPDX file needs a SHA-1, which nobody else wants.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from tritonbuild.oci.documents import encode

from .bill import Bill, Item

if TYPE_CHECKING:
    from spdx_tools.spdx.model import Document, Package

MEDIA_TYPE = "application/spdx+json"
_DOCUMENT, _IMAGE, _BASE = "SPDXRef-DOCUMENT", "SPDXRef-image", "SPDXRef-base"
_PURPOSES = {
    "system": "OPERATING_SYSTEM", "package": "LIBRARY", "wheel": "LIBRARY", "core": "APPLICATION",
    "backend": "LIBRARY", "repoagent": "LIBRARY", "cache": "LIBRARY", "model": "OTHER",
    "file": "FILE",
}  # fmt: skip


def to_spdx(bill: Bill) -> bytes:
    from spdx_tools.spdx.jsonschema.document_converter import DocumentConverter

    return encode(DocumentConverter().convert(document(bill)))


def document(bill: Bill) -> Document:
    from spdx_tools.spdx.model import (
        Actor,
        ActorType,
        CreationInfo,
        Document,
        Relationship,
        RelationshipType,
    )

    packages = [_image(_IMAGE, bill.name, bill.digest, bill.purl)]
    relations = [Relationship(_DOCUMENT, RelationshipType.DESCRIBES, _IMAGE)]
    if bill.base is not None:
        packages.append(_image(_BASE, bill.base.reference, bill.base.digest, bill.base.purl))
        relations.append(Relationship(_IMAGE, RelationshipType.DESCENDANT_OF, _BASE))
    for above, item in _with_above(_IMAGE, bill.items):
        packages.append(_package(item))
        relations.append(Relationship(above, RelationshipType.CONTAINS, _id(item)))
    return Document(
        CreationInfo(
            spdx_version="SPDX-2.3",
            spdx_id=_DOCUMENT,
            name=bill.name,
            document_namespace=f"https://spdx.org/spdxdocs/{bill.name}-{bill.uuid}",
            creators=[Actor(ActorType.TOOL, f"tritonbuild-{version('tritonbuild')}")],
            created=datetime.fromisoformat(bill.created),
        ),
        packages=packages,
        relationships=relations,
    )


def _with_above(above: str, items: tuple[Item, ...]) -> Iterator[tuple[str, Item]]:
    for item in items:
        yield above, item
        yield from _with_above(_id(item), item.items)


def _id(item: Item) -> str:
    return f"SPDXRef-{item.key}"


def _image(name: str, reference: str, digest: str, purl: str) -> Package:
    from spdx_tools.spdx.model import Package, PackagePurpose, SpdxNoAssertion

    return Package(
        name, reference, SpdxNoAssertion(), version=digest, files_analyzed=False,
        checksums=_checksums(digest.removeprefix("sha256:")), external_references=_purls(purl),
        primary_package_purpose=PackagePurpose.CONTAINER,
    )  # fmt: skip


def _package(item: Item) -> Package:
    from spdx_tools.spdx.model import Package, PackagePurpose, SpdxNoAssertion
    from spdx_tools.spdx.validation.uri_validators import validate_download_location

    fetched = item.url and not validate_download_location(item.url)  # SPDX knows no s3:// and such
    lies = f"in {', '.join(item.layers)}" if item.layers else None
    return Package(
        _id(item),
        item.name,
        item.url if fetched else SpdxNoAssertion(),
        version=item.version or None,
        files_analyzed=False,
        checksums=_checksums(item.sha256),
        source_info=item.source or None,
        license_comment=f"see /{item.licence}" if item.licence else None,
        comment=lies,
        external_references=_purls(item.purl),
        primary_package_purpose=PackagePurpose[_PURPOSES[item.kind]],
    )


def _checksums(sha256: str) -> list[Any]:
    from spdx_tools.spdx.model import Checksum, ChecksumAlgorithm

    return [Checksum(ChecksumAlgorithm.SHA256, sha256)] if sha256 else []


def _purls(purl: str) -> list[Any]:
    from spdx_tools.spdx.model import ExternalPackageRef, ExternalPackageRefCategory

    category = ExternalPackageRefCategory.PACKAGE_MANAGER
    return [ExternalPackageRef(category, "purl", purl)] if purl else []
