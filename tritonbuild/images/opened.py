"""Images by the words of a command line: a target's label, a layout or archive on disk, an image in
the Docker daemon (`docker-daemon:NAME`), or one in a registry."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tritonbuild.errors import Problem, UsageError
from tritonbuild.images.built import BuildFailed, built
from tritonbuild.images.errors import told
from tritonbuild.label import Pattern
from tritonbuild.oci import daemon
from tritonbuild.oci.archive import Archive
from tritonbuild.oci.content import Content
from tritonbuild.oci.documents import Descriptor, Platform
from tritonbuild.oci.errors import Absent, OciError
from tritonbuild.oci.image import Image, Layer, check_platform, image_in
from tritonbuild.oci.indexing import allowed, index_layer
from tritonbuild.oci.layout import Layout
from tritonbuild.oci.listing import Listing
from tritonbuild.oci.registry import Mirrored, Reference
from tritonbuild.oci.registry.reference import DOCKER
from tritonbuild.oci.sparse import LAYOUT
from tritonbuild.oci.view import View
from tritonbuild.redact import public
from tritonbuild.session import Session

DAEMON = "docker-daemon:"
MOST = Platform(os="linux", architecture="amd64")
_KINDS = (
    "a target (//PACKAGE:NAME), an OCI layout or an archive of one, docker-daemon:NAME, or a "
    "reference ([HOST/]REPOSITORY:TAG)"
)


@dataclass(frozen=True)
class Opened:
    name: str
    """As it was asked for."""
    view: View

    @property
    def image(self) -> Image:
        return self.view.image


@contextmanager
def opened(
    session: Session, text: str, package: str, wanted: Platform | None = None
) -> Iterator[Opened]:
    """Holds an image as long as it is looked at; without `wanted` whatever platform an image is
    for, of an index that of most. Raises BuildFailed, ActionError, EnvironmentFailure,
    UsageError."""
    platform = wanted or MOST
    if text.startswith(("//", ":")):
        with built(session, [Pattern.parse(text, package)]) as (report, images):
            if report.exit_code:
                raise BuildFailed(report)
            if len(images) != 1:
                raise UsageError(Problem(f"{text} means {len(images)} images", "exactly one"))
            sparse = images[0].sparse
            with told(text):
                image = sparse.image(platform)
                if wanted is not None:
                    check_platform(image, wanted)
                yield Opened(text, View(image, lambda layer: sparse.listing(layer.diff_id)))
        return
    with told(place=public(text)), _foreign(session, text, platform) as (source, descriptor):
        image = image_in(source, descriptor, platform)
        if wanted is not None:
            check_platform(image, wanted)
        yield Opened(text, View(image, _listing))


@contextmanager
def _foreign(
    session: Session, text: str, platform: Platform
) -> Iterator[tuple[Content, Descriptor]]:
    path, _, name = text.partition("@")
    if text.startswith(DAEMON):
        with TemporaryDirectory(dir=session.cache.tmp) as scratch:
            client = daemon.connect()
            identity = daemon.identify(client, text.removeprefix(DAEMON))
            image = daemon.save(client, identity, platform, Path(scratch))
            yield image.source, image.descriptor
    elif Path(path).is_dir():
        if not Path(path, LAYOUT).exists():
            raise Absent(f"{path} is no OCI layout: it holds no {LAYOUT!r}", _KINDS)
        layout = Layout(Path(path))
        yield layout, layout.descriptor(name)
    elif Path(path).is_file():
        archive = Archive(Path(path))
        yield archive, archive.descriptor(name)
    else:
        with _not_here(text):
            reference = Reference.parse(text)
        with Mirrored.of(reference) as repository:
            with _not_here(text, reference):
                descriptor = repository.resolve(reference.name)
            yield repository, descriptor


@contextmanager
def _not_here(text: str, reference: Reference | None = None) -> Iterator[None]:
    """What has no host and no tag may be a path that was mistyped."""
    try:
        yield
    except OciError as error:
        hub = reference is None or (reference.registry == DOCKER and not text.startswith(DOCKER))
        if not hub or re.search("[:@]", text):
            raise
        as_reference = f"as the reference {reference}: " if reference else ""
        found = f"no file or folder {text!r} here; {as_reference}{error.problem.found}"
        remedy = "is the path right?"
        if reference and error.problem.remedy:
            remedy += f" If a reference is meant: {error.problem.remedy}"
        raise type(error)(found, expected=_KINDS, remedy=remedy) from None


def _listing(layer: Layer) -> Listing:
    """Of an image that others made: each layer is read once, to its end."""
    with layer.uncompressed() as tar:
        return index_layer(tar, allowed(layer.descriptor.size))
