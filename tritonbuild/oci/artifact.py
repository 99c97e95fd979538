"""Documents that are attached to an image: artifacts whose `subject` it is, as the OCI image
specification 1.1 has them. https://github.com/opencontainers/image-spec/blob/main/manifest.md"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

from tritonbuild.digest import Digest
from tritonbuild.oci.documents import EMPTY, MANIFEST, Descriptor, Manifest
from tritonbuild.oci.errors import Absent

NOTHING = b"{}"
"""The config of what needs none."""


@dataclass(frozen=True)
class Attachment:
    """A manifest and the blobs that it names. Implements Content."""

    manifest: bytes
    blobs: tuple[tuple[Descriptor, bytes], ...]
    """In the order in which a registry wants them; before the manifest."""
    artifact_type: str

    @property
    def descriptor(self) -> Descriptor:
        """Of the manifest, as an index of referrers has it."""
        return Descriptor.of(
            MANIFEST, Digest.of_bytes(self.manifest), artifact_type=self.artifact_type
        )

    def open(self, descriptor: Descriptor) -> BinaryIO:
        for known, content in ((self.descriptor, self.manifest), *self.blobs):
            if known.digest == descriptor.digest:
                return io.BytesIO(content)
        raise Absent(f"no blob {descriptor.digest}")


def attachment(
    subject: Descriptor, artifact_type: str, payload: bytes, media_type: str
) -> Attachment:
    """Of one document to an image or an index. The same bytes for the same subject, whatever else
    its descriptor says."""
    config = Descriptor.of(EMPTY, Digest.of_bytes(NOTHING))
    layer = Descriptor.of(media_type, Digest.of_bytes(payload))
    manifest = Manifest(
        artifact_type=artifact_type,
        config=config,
        layers=[layer],
        subject=Descriptor.of(subject.media_type, subject.content),
    )
    return Attachment(manifest.encoded, ((config, NOTHING), (layer, payload)), artifact_type)
