"""Pushes built images, with what is attached to them, to registries."""

from __future__ import annotations

from collections.abc import Sequence

from tritonbuild.errors import Problem, UsageError
from tritonbuild.events import Shipped
from tritonbuild.images.built import BuiltImage
from tritonbuild.images.errors import told
from tritonbuild.oci.artifact import attachment
from tritonbuild.oci.content import Content
from tritonbuild.oci.documents import Descriptor
from tritonbuild.oci.registry import Pushed, Reference, Repository
from tritonbuild.oci.registry import push as push_all
from tritonbuild.session import Session

KIND = "pushed"
"""Of records: registry → repositories that something was pushed to from here."""
_REMEMBERED = 20
_ASKED = 4
"""Of them, each of which is asked for every blob that is not there."""


def push(session: Session, image: BuiltImage, to: Sequence[str] = ()) -> int:
    """To its tags, or to `to` instead; bytes that were moved. Raises ActionError, and UsageError
    where there are none."""
    label = str(image.label)
    names = to or image.tags
    if not names:
        raise UsageError(
            Problem(f"{label} has no tags", "where to push it", "say tags = […], or --to REFERENCE")
        )
    with told(label):
        references = [Reference.parse(name) for name in names]
    moved = 0
    by_place: dict[tuple[str, str], list[Reference]] = {}
    for reference in references:
        by_place.setdefault((reference.registry, reference.repository), []).append(reference)
    for (registry, name), tagged in by_place.items():
        mounts = _mounts(session, image, registry, name)
        with told(label, registry), Repository.of(tagged[0]) as repository:
            tags = [reference.name for reference in tagged]
            root = image.sparse.descriptor
            for artifact_type, document in sorted(image.attached.items()):
                made = attachment(root, artifact_type, document, artifact_type)
                moved += send(session, label, made, made.descriptor, repository, [], mounts)
            # The names last: what they mean is whole then.
            moved += send(session, label, image.sparse, root, repository, tags, mounts)
        _remember(session, registry, name)
    return moved


def send(
    session: Session,
    label: str,
    source: Content,
    root: Descriptor,
    repository: Repository,
    tags: Sequence[str],
    mounts: Sequence[str],
) -> int:
    """One image, index or document, from wherever it is; `label` is what events call it. Bytes
    that were moved."""
    pushed = push_all(
        source, root, repository, tags, mounts=mounts,
        cancelled=lambda: bool(session.cancellation),
    )  # fmt: skip
    place = f"{repository}:{tags[0]}" if tags else f"{repository}@{root.digest}"
    session.listener(
        Shipped(
            label, place, root.digest, artifact_type=root.artifact_type or "",
            moved=_bytes(pushed, "moved"), mounted=_bytes(pushed, "mounted"),
            there=_bytes(pushed, "there"),
        )
    )  # fmt: skip
    return _bytes(pushed, "moved")


def _bytes(pushed: Sequence[Pushed], outcome: str) -> int:
    return sum(one.descriptor.size for one in pushed if one.outcome == outcome)


def _mounts(session: Session, image: BuiltImage, registry: str, name: str) -> list[str]:
    """Repositories of the registry that may have some of it: those of its base first."""
    origins = [Reference.parse(origin) for origin in image.origins]
    there = [origin.repository for origin in origins if origin.registry == registry]
    known = session.state.record(KIND, registry) or []
    return [one for one in dict.fromkeys((*there, *known)) if one != name][:_ASKED]


def _remember(session: Session, registry: str, name: str) -> None:
    known = session.state.record(KIND, registry) or []
    session.state.keep(KIND, registry, list(dict.fromkeys((name, *known)))[:_REMEMBERED])
