"""Loads built images into a Docker daemon, sending only what it lacks."""

from __future__ import annotations

from collections.abc import Sequence

from tritonbuild.events import Shipped
from tritonbuild.images.built import BuiltImage
from tritonbuild.images.errors import told
from tritonbuild.oci import daemon
from tritonbuild.oci.documents import Platform
from tritonbuild.session import Session


def load(session: Session, image: BuiltImage, platform: Platform, to: Sequence[str] = ()) -> int:
    """Under its tags, or `to` instead; bytes that were sent. Raises EnvironmentFailure where there
    is no daemon, ActionError."""
    label = str(image.label)
    names = list(to or image.tags) or [_name(image)]
    with told(label):
        client = daemon.connect()
        one = image.sparse.image(platform)
        loaded = daemon.load(one, names, client, cancelled=lambda: bool(session.cancellation))
    sizes = [layer.descriptor.size for layer in one.layers]
    session.listener(
        Shipped(
            label, names[0], loaded.identity, moved=loaded.bytes_sent,
            there=sum(sizes[: loaded.layers_there]),
        )
    )  # fmt: skip
    return loaded.bytes_sent


def _name(image: BuiltImage) -> str:
    """Of an image without tags: as its label says."""
    words = [*image.label.package.lower().split("/"), image.label.base.lower()]
    return "/".join(filter(None, words)) + ":latest"
