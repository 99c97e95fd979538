"""Brings an image from a registry here, as an OCI layout."""

from __future__ import annotations

from pathlib import Path

from tritonbuild.errors import Problem, UsageError
from tritonbuild.events import Shipped
from tritonbuild.images.errors import told
from tritonbuild.oci.documents import Platform
from tritonbuild.oci.image import check_platform, image_in
from tritonbuild.oci.layout import write_layout
from tritonbuild.oci.registry import Mirrored, Reference
from tritonbuild.oci.walk import walk
from tritonbuild.redact import public
from tritonbuild.session import Session


def pull(session: Session, text: str, folder: Path, platform: Platform | None) -> int:
    """Bytes that came; of an index all platforms unless one is named. Raises ActionError,
    EnvironmentFailure, and UsageError for a folder that is there."""
    if folder.exists():
        found = f"{folder} is there already"
        raise UsageError(Problem(found, "a new folder", "remove it, or name another"))
    with told(place=public(text)):
        reference = Reference.parse(text)
        with Mirrored.of(reference) as repository:
            root = repository.resolve(reference.name)
            if platform is not None:
                image = image_in(repository, root, platform)
                check_platform(image, platform)
                root = image.descriptor
            write_layout(repository, root, folder, reference.tag)
            size = sum(descriptor.size for descriptor in walk(repository, root))
    session.listener(Shipped(text, str(folder), root.digest, moved=size))
    return size
