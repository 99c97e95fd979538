"""The `image-bill` tool: an image's contents and origin, as documents to attach to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tritonbuild.rule import Folder, ToolContext, tool

if TYPE_CHECKING:
    from tritonbuild.oci import Image

    from .bill import Base

BILL, SPDX, CYCLONEDX = "bill.json", "sbom.spdx.json", "sbom.cdx.json"
PROVENANCE = "provenance.json"
BASE_NAME = "org.opencontainers.image.base.name"
BASE_DIGEST = "org.opencontainers.image.base.digest"
"""Annotations of an image: https://github.com/opencontainers/image-spec/blob/main/annotations.md"""


@tool(
    "image-bill",
    version=1,
    libraries=(
        "tritonbuild", "cyclonedx-python-lib", "in-toto-attestation", "packageurl-python",
        "protobuf", "python-debian", "spdx-tools",
    ),
)  # fmt: skip
def describe(ctx: ToolContext) -> None:
    """Inputs `image` (a sparse layout) and, of models whose versions are not in it,
    `external/NAME`: their folders. Parameters: `Facts`. Outputs bill.json, sbom.spdx.json,
    sbom.cdx.json, provenance.json."""
    from ..layouts import image_of, view_of
    from .bill import Bill, in_order
    from .cyclonedx import to_cyclonedx
    from .facts import Facts
    from .inventory import Inventory
    from .items import items_of
    from .provenance import to_provenance
    from .spdx import to_spdx

    facts = Facts.model_validate(ctx.parameters)
    folder = ctx.inputs.get("image")
    assert isinstance(folder, Folder)
    sparse, image = image_of(folder, ctx, facts.platform)
    bill = Bill(
        name=facts.name,
        digest=image.descriptor.digest,
        created=image.config.created or "1970-01-01T00:00:00Z",
        platform=facts.platform,
        base=_base(image),
        items=in_order(items_of(ctx, Inventory(view_of(sparse, image)), facts)),
    )
    ctx.write(BILL, bill.encoded)
    ctx.write(SPDX, to_spdx(bill))
    ctx.write(CYCLONEDX, to_cyclonedx(bill))
    ctx.write(PROVENANCE, to_provenance(bill, facts.build))


def _base(image: Image) -> Base | None:
    from .bill import Base

    said = image.manifest.annotations or {}
    if BASE_DIGEST not in said:
        return None
    return Base(reference=said.get(BASE_NAME, "base"), digest=said[BASE_DIGEST])
