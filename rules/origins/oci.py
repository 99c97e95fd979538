"""Files in an OCI registry: `oci://REGISTRY/REPOSITORY:TAG` (or `@sha256:…`), an artifact whose
layers are files that their titles name, as `oras push` makes them. In a Remote's URL the digest is
that of the file itself. Credentials are Docker's (`docker login`, its helpers)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from tritonbuild.oci import Descriptor, Index, Invalid, Manifest, OciError, Passing
from tritonbuild.oci.content import read
from tritonbuild.oci.documents import INDEXES
from tritonbuild.oci.registry import Download, Mirrored, Reference

from . import source
from .answers import REMEDY
from .https import CHUNK
from .source import SILENCE, Broken, Refused, Remote, Stream, Wanted

_TITLE = "org.opencontainers.image.title"


def check(url: str) -> str:
    try:
        reference = Reference.parse(url)
    except Invalid:
        reference = None
    if reference is None or not (reference.tag or reference.digest):
        return "it is not oci://REGISTRY/REPOSITORY:TAG"
    return ""


def name(url: str) -> str:
    return Reference.parse(url).repository.rpartition("/")[2]


def direct(wanted: Wanted) -> str:
    return ""


def files(wanted: Wanted) -> list[Remote]:
    reference = Reference.parse(wanted.url)
    with _told(), Mirrored.of(reference, silence=SILENCE) as place:
        found = _manifest(place, place.resolve(reference.name)).layers
    layers = {(layer.annotations or {}).get(_TITLE, ""): layer for layer in found}
    titles = sorted(layers)
    if wanted.path:
        if wanted.path not in layers:
            raise Refused(f"it has no file {wanted.path!r}, but {', '.join(titles) or 'none'}")
        return [_remote(reference, wanted.path.rpartition("/")[2], layers[wanted.path])]
    if len(found) == 1:
        title = titles[0] or name(wanted.url)
        return [_remote(reference, title.rpartition("/")[2], layers[titles[0]])]
    if not layers or "" in layers or len(layers) != len(found):
        raise Refused(
            "it is not an artifact of files: its layers have no titles of their own",
            "push files with `oras push`; a container image cannot be downloaded as files",
        )
    folder = name(wanted.url)
    return [_remote(reference, f"{folder}/{title}", layers[title]) for title in titles]


def opening(url: str) -> _Blob:
    return _Blob(Reference.parse(url))


class _Blob:
    """Implements Opening."""

    def __init__(self, reference: Reference):
        self._digest = reference.digest
        with _told():
            self._place = Mirrored.of(reference, silence=SILENCE)

    def open(self, start: int, validator: str) -> Stream:
        with _told():
            blob = self._place.download(self._digest, start, attempts=1)
        return Stream(_chunks(blob), start, blob.total)

    def close(self) -> None:
        self._place.close()


def _chunks(blob: Download) -> Iterator[bytes]:
    with closing(blob), _told(Broken):
        while chunk := blob.read(CHUNK):
            yield chunk


def _manifest(place: Mirrored, found: Descriptor) -> Manifest:
    for _ in range(2):
        content, what = read(place, found), f"{place}@{found.digest}"
        if found.media_type not in INDEXES:
            return Manifest.parse(content, what)
        artifacts = Index.parse(content, what).manifests
        if len(artifacts) != 1:
            raise Refused("it is an index of several artifacts", "name one by its digest")
        (found,) = artifacts
    raise Refused("it is an index of indexes", "name an artifact by its digest")


def _remote(reference: Reference, name: str, layer: Descriptor) -> Remote:
    url = f"oci://{reference.registry}/{reference.repository}@{layer.digest}"
    return Remote(name, url, layer.content.hash, layer.size)


@contextmanager
def _told(passing: type[source.Passing] = source.Passing) -> Iterator[None]:
    """Turns what registries raise into Refused, and `passing`."""
    try:
        yield
    except Passing as error:
        raise passing(error.problem.found) from None
    except Invalid as error:
        raise Refused(error.problem.found, error.problem.remedy or REMEDY) from None
    except OciError as error:
        raise Refused(error.problem.found, error.problem.remedy) from None
