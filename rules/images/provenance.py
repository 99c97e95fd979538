"""How an image came about: SLSA provenance v1 in an in-toto statement, not signed.

https://slsa.dev/spec/v1.0/provenance, https://github.com/in-toto/attestation
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel, ConfigDict

from tritonbuild.oci.documents import encode
from tritonbuild.rule import LockedFile, public

from .bill import Bill, Item, Public

MEDIA_TYPE = "application/vnd.in-toto+json"
PREDICATE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "pkg:pypi/tritonbuild#images/v1"
"""External parameters: `label`, `tags` (templates) and `attributes`, as the manifest says them."""


class Commit(BaseModel):
    """Where the workspace stood in git."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: Public = ""
    sha1: str


class Build(BaseModel):
    """What a manifest and the surroundings say of the making of an image."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: str
    tags: Sequence[Public] = ()
    """As templates."""
    attributes: Mapping[str, Any] = {}
    """Of the target, without what is secret."""
    locked: Sequence[LockedFile] = ()
    """Files that went into it."""
    commit: Commit | None = None
    builder: Public = ""
    """Who runs builds, as a URI; by default whoever has this package."""
    started: str = ""
    finished: str = ""
    """RFC 3339; empty: not told, so that the same build gives the same bytes."""


def to_provenance(bill: Bill, build: Build) -> bytes:
    from google.protobuf.json_format import MessageToDict, ParseDict
    from in_toto_attestation.predicates.provenance.v1.provenance_pb2 import Provenance
    from in_toto_attestation.v1.resource_descriptor import ResourceDescriptor
    from in_toto_attestation.v1.statement import Statement

    times = {"startedOn": build.started, "finishedOn": build.finished}
    told = {name: time for name, time in times.items() if time}
    predicate = {
        "buildDefinition": {
            "buildType": BUILD_TYPE,
            "externalParameters": {
                "label": build.label,
                "tags": list(build.tags),
                "attributes": _public(build.attributes),
            },
            "resolvedDependencies": _dependencies(bill, build),
        },
        "runDetails": {
            "builder": {
                "id": build.builder or "pkg:pypi/tritonbuild",
                "version": {"tritonbuild": version("tritonbuild")},
            },
            **({"metadata": told} if told else {}),
        },
    }
    subject = ResourceDescriptor(name=bill.name, digest=_sha256(bill.digest))
    checked = MessageToDict(ParseDict(predicate, Provenance()))
    statement = Statement([subject.pb], PREDICATE, checked)
    statement.validate()
    return encode(MessageToDict(statement.pb))


def _dependencies(bill: Bill, build: Build) -> list[dict[str, Any]]:
    """Sorted, each once."""
    found = [*_locked(build.locked), *_of_items(bill.items)]
    if bill.base is not None:
        found.append({"uri": bill.base.purl, "digest": _sha256(bill.base.digest)})
    if build.commit is not None:
        uri = {"uri": f"git+{build.commit.url}"} if build.commit.url else {"name": "workspace"}
        found.append({**uri, "digest": {"gitCommit": build.commit.sha1}})
    return [dict(item) for _, item in sorted({encode(item): item for item in found}.items())]


def _locked(files: Iterable[LockedFile]) -> Iterator[dict[str, Any]]:
    for file in files:
        yield {"name": file.name, "uri": public(file.url), "digest": _sha256(file.sha256)}


def _of_items(items: Iterable[Item]) -> Iterator[dict[str, Any]]:
    """Those that came as a file, from somewhere."""
    for item in items:
        if item.sha256 and item.source:
            where = {"uri": item.source} if ":" in item.source else {}
            yield {"name": item.name, **where, "digest": _sha256(item.sha256)}
        yield from _of_items(item.items)


def _sha256(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}


def _public(value: Any) -> Any:
    match value:
        case str():
            return public(value)
        case Mapping():
            return {public(key): _public(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_public(inner) for inner in value]
    return value
