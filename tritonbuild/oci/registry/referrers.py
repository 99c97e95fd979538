"""What refers to an image: signatures, lists of what is in it, provenance.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tritonbuild.oci.content import read
from tritonbuild.oci.documents import INDEX, INDEXES, LIMIT, Descriptor, Index, Manifest
from tritonbuild.oci.errors import Absent, Refused
from tritonbuild.oci.registry.repository import Repository
from tritonbuild.oci.registry.transport import place

_PAGES = 100
_UNKNOWN = (400, 405, 406, 501)
"""What a registry answers, besides 404, that does not know the question."""


def referrers(repository: Repository, digest: str, artifact_type: str = "") -> Sequence[Descriptor]:
    """Of a document, which need not be there; of one artifact type, or all. Raises Refused,
    Passing, Invalid."""
    try:
        found = [entry for index in _pages(repository, digest) for entry in index.manifests]
    except Absent:
        found = _noted(repository, digest).manifests
    return [entry for entry in found if artifact_type in ("", entry.artifact_type)]


def note(repository: Repository, entry: Descriptor, content: bytes, subject: Descriptor) -> None:
    """Writes a referrer down where a registry does not keep track itself: in an index whose tag is
    the subject's digest. Of two who do so at the same moment one may be lost; the specification
    knows no better."""
    index = _noted(repository, subject.digest)
    entry = _described(entry, content)
    if entry not in index.manifests:
        others = [known for known in index.manifests if known.digest != entry.digest]
        written = index.model_copy(update={"manifests": [*others, entry]})
        repository.put(written.encoded, INDEX, _tag(subject.digest))


def _described(entry: Descriptor, content: bytes) -> Descriptor:
    """As the registry itself would list it."""
    kind: type[Index] | type[Manifest] = Index if entry.media_type in INDEXES else Manifest
    document = kind.parse(content, entry.digest)
    artifact_type = document.artifact_type
    if artifact_type is None and isinstance(document, Manifest):
        artifact_type = document.config.media_type
    return Descriptor.of(
        entry.media_type, entry.content, artifact_type=artifact_type,
        annotations=document.annotations,
    )  # fmt: skip


def _pages(repository: Repository, digest: str) -> Iterator[Index]:
    address = f"referrers/{digest}"
    for _ in range(_PAGES):
        response = repository.ask("GET", address, headers={"Accept": INDEX}, also=_UNKNOWN)
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        if response.status_code in _UNKNOWN or (response.ok and kind != INDEX):
            response.close()
            raise Absent(f"{repository} does not know referrers")
        content = repository.registry.body(response, LIMIT)
        yield Index.parse(content, place(response.url))
        link = response.links.get("next")
        if link is None:
            return
        address = repository.registry.resolved(response, link["url"])
    raise Refused(f"{repository}: it lists referrers of {digest} without end")


def _noted(repository: Repository, digest: str) -> Index:
    try:
        index = repository.resolve(_tag(digest))
    except Absent:
        return Index(manifests=[])
    return Index.parse(read(repository, index), f"{repository}:{_tag(digest)}")


def _tag(digest: str) -> str:
    return digest.replace(":", "-")
