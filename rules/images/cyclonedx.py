"""A bill as CycloneDX 1.6, in JSON: https://cyclonedx.org/docs/1.6/json/"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

from tritonbuild.oci.documents import encode

from .bill import Bill, Item

if TYPE_CHECKING:
    from cyclonedx.model import HashType
    from cyclonedx.model.component import Component

MEDIA_TYPE = "application/vnd.cyclonedx+json"
_TYPES = {
    "system": "operating-system", "package": "library", "wheel": "library", "core": "application",
    "backend": "library", "repoagent": "library", "cache": "library",
    "model": "machine-learning-model", "file": "file",
}  # fmt: skip


def to_cyclonedx(bill: Bill) -> bytes:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    image = _image(bill)
    ourselves = Component(
        name="tritonbuild", version=version("tritonbuild"), type=ComponentType.APPLICATION
    )
    metadata = BomMetaData(component=image, timestamp=datetime.fromisoformat(bill.created))
    metadata.tools.components.add(ourselves)
    bom = Bom(serial_number=bill.uuid, components=map(_component, bill.items), metadata=metadata)
    bom.register_dependency(image, bom.components)
    written = make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string()
    return encode(json.loads(written))


def _image(bill: Bill) -> Component:
    from cyclonedx.model.component import Pedigree

    image = _container("image", bill.name, bill.digest, bill.purl)
    if bill.base is not None:
        below = _container("base", bill.base.reference, bill.base.digest, bill.base.purl)
        image.pedigree = Pedigree(ancestors=[below])
    return image


def _container(key: str, name: str, digest: str, purl: str) -> Component:
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    return Component(
        name=name,
        version=digest,
        type=ComponentType.CONTAINER,
        bom_ref=key,
        hashes=_hashes(digest.removeprefix("sha256:")),
        purl=PackageURL.from_string(purl),
    )


def _component(item: Item) -> Component:
    from cyclonedx.model import (
        ExternalReference,
        ExternalReferenceType,
        Property,
        XsUri,
    )
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    url = ExternalReferenceType.DISTRIBUTION
    return Component(
        name=item.name,
        version=item.version or None,
        type=ComponentType(_TYPES[item.kind]),
        bom_ref=item.key,
        hashes=_hashes(item.sha256),
        purl=PackageURL.from_string(item.purl) if item.purl else None,
        external_references=[ExternalReference(type=url, url=XsUri(item.url))] if item.url else [],
        properties=[Property(name=f"tritonbuild:{name}", value=v) for name, v in _facts(item)],
        components=map(_component, item.items),
    )


def _hashes(sha256: str) -> list[HashType]:
    from cyclonedx.model import HashAlgorithm, HashType

    return [HashType(alg=HashAlgorithm.SHA_256, content=sha256)] if sha256 else []


def _facts(item: Item) -> Iterator[tuple[str, str]]:
    """What CycloneDX has no words for."""
    yield "kind", item.kind
    yield from (("layer", digest) for digest in item.layers)
    if item.size is not None:
        yield "size", str(item.size)
    if item.source and not item.url:
        yield "source", item.source
    if item.licence:
        yield "licence-file", f"/{item.licence}"
