"""Copies an image that a registry has to another name, with all that is attached to it."""

from __future__ import annotations

from collections.abc import Iterator

from tritonbuild.images.errors import told
from tritonbuild.images.push import send
from tritonbuild.oci.documents import Descriptor
from tritonbuild.oci.registry import Mirrored, Reference, Repository, referrers
from tritonbuild.oci.registry.repository import DOCUMENTS
from tritonbuild.oci.walk import walk
from tritonbuild.redact import public
from tritonbuild.session import Session


def promote(session: Session, source: str, destination: str) -> int:
    """Bytes that were moved. What SOURCE means is read once, verified, and put under DESTINATION
    with the same digest; what refers to it comes along. Raises ActionError."""
    with told(place=f"{public(source)} to {public(destination)}"):
        here, there = Reference.parse(source), Reference.parse(destination)
        with Mirrored.of(here) as origin, Repository.of(there) as target:
            root = origin.resolve(here.name)
            mounts = [here.repository] if here.registry == there.registry else []
            moved = 0
            for document in _attached(origin, root):
                moved += send(session, str(here), origin, document, target, [], mounts)
            # The name last: what it means is whole then.
            moved += send(session, str(here), origin, root, target, [there.name], mounts)
    return moved


def _attached(origin: Mirrored, root: Descriptor) -> Iterator[Descriptor]:
    """What refers to an image, or to one of an index's; and what refers to that, such as the
    signature of a list. Each after what refers to it."""
    seen: set[str] = set()

    def of(digest: str) -> Iterator[Descriptor]:
        for document in referrers(origin.own, digest):
            if document.digest not in seen:
                seen.add(document.digest)
                yield from of(document.digest)
                yield document

    for descriptor in walk(origin, root):
        if descriptor.media_type in DOCUMENTS:
            yield from of(descriptor.digest)
