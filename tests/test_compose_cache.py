"""What `tritonbuild compose` makes of a component cache that is not as it should be: what it makes
without one, and the cache is mended."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import requests
from conftest import WorkspaceFolder
from parts.composing import Shelf, composed, image_of
from parts.faulty import Fault, faulty
from parts.ngc.server import HOME
from parts.ngc.shelf import blob
from parts.ngc.tiny import tiny
from tritonbuild.rules.composing.early import SLICE
from tritonbuild.rules.composing.shared import Shared
from tritonbuild.rules.composing.survey import FORM, LISTING, POINTS, SPANS, TEXTS
from tritonbuild.rules.linking.facts import LINKAGE

from tritonbuild.oci import Descriptor, Image
from tritonbuild.oci.content import read
from tritonbuild.oci.registry import Reference, Repository

BIG = -1
"""Number of the layer of `full` with the server."""
BLOB = "blob"
Files = dict[str, bytes]


@dataclass
class Cuts:
    """A component cache that was filled."""

    shelved: Shelf
    place: WorkspaceFolder
    flags: list[str]
    name: str
    """Of its repository."""
    big: str
    """Digest of the layer that is cut."""
    digest: str
    """Of the image."""
    count: int = 0

    @property
    def repository(self) -> Repository:
        return Repository.of(Reference.parse(f"{self.shelved.host}/{self.name}"))

    def tags(self, kind: str) -> list[str]:
        url = f"http://{self.shelved.host}/v2/{self.name}/tags/list"
        tags = requests.get(url, timeout=30).json()["tags"]
        found = [tag for tag in tags if tag.startswith(f"{kind}-")]
        assert found
        return found

    def change(self, kind: str, change: Callable[[Files], Mapping[str, bytes]]) -> None:
        """All artifacts of a kind, `slice` or `survey`."""
        for tag, files in self.artifacts(kind).items():
            with self.repository as repository:
                Shared(_context(), repository).put(tag, change(files))

    def artifacts(self, kind: str) -> dict[str, Files]:
        """Tag → the files that there are."""
        with self.repository as repository:
            return {
                tag: {
                    _title(layer): read(repository, layer, layer.size)
                    for layer in Image(repository, repository.resolve(tag)).manifest.layers
                }
                for tag in self.tags(kind)
            }

    def lose(self, kind: str, name: str) -> None:
        """One file of all artifacts of a kind."""
        with self.repository as repository:
            for tag in self.tags(kind):
                for layer in Image(repository, repository.resolve(tag)).manifest.layers:
                    if _title(layer) == name:
                        blob(self.shelved.folder, layer.digest).unlink(missing_ok=True)

    def composed(self) -> str:
        """The digest of what is composed by somebody who has nothing yet."""
        self.count += 1
        self.place.cache = self.place.root / f"cache{self.count}"
        composed(self.place, *self.flags, "--layout", f"out{self.count}")
        return image_of(self.place.root / f"out{self.count}").descriptor.digest

    def is_whole(self) -> bool:
        """Whether all comes from there: the layer is lost."""
        blob(self.shelved.folder, self.big).unlink()
        return self.composed() == self.digest


def _title(layer: Descriptor) -> str:
    return (layer.annotations or {})["org.opencontainers.image.title"]


def _context() -> Any:
    return SimpleNamespace(log=io.StringIO(), cancelled=False)


@pytest.fixture
def cuts(shelved: Shelf, place: WorkspaceFolder, request: pytest.FixtureRequest) -> Cuts:
    name = f"cuts/{hashlib.sha256(request.node.name.encode()).hexdigest()[:16]}"
    extra = {f"{HOME}/backends/identity/data": name.encode()}
    pair = tiny(shelved.store, extra=extra)
    flags = [*shelved.put(pair).all, "--backend", "identity"]
    flags += ["--component-cache", f"{shelved.host}/{name}"]
    found = Cuts(shelved, place, flags, name, pair.full.layers[BIG].digest, "")
    found.digest = found.composed()
    return found


def test_a_cache_that_is_right_is_enough(cuts: Cuts) -> None:
    assert cuts.is_whole()


def test_a_registry_that_refuses_once_what_several_send(cuts: Cuts) -> None:
    """As docker-registry does where a blob of a manifest is sent by others at that moment."""
    refusal = Fault("answer", "PUT", "/manifests/slice-", status=400)
    with faulty(cuts.shelved.host, refusal) as proxy:
        cuts.flags[-1] = f"{proxy.host}/{cuts.name}/again"
        assert cuts.composed() == cuts.digest
        assert refusal.times == 0
    cuts.flags[-1] = f"{cuts.shelved.host}/{cuts.name}/again"
    assert cuts.is_whole()


@pytest.mark.parametrize(
    ("kind", "name"), [("slice", BLOB), ("slice", SLICE), ("survey", LISTING), ("survey", POINTS)]
)
def test_a_file_that_the_registry_has_lost(kind: str, name: str, cuts: Cuts) -> None:
    cuts.lose(kind, name)
    assert cuts.composed() == cuts.digest
    assert cuts.is_whole()


def said(files: Files, **other: str) -> Files:
    return {**files, SLICE: json.dumps({**json.loads(files[SLICE]), **other}).encode()}


def of_blob(content: bytes) -> Files:
    """A slice that says the truth of its blob."""
    tar = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    digest = f"{hashlib.sha256(content).hexdigest()}/{len(content)}"
    document = {"blob": digest, "diff_id": f"sha256:{hashlib.sha256(tar).hexdigest()}"}
    return {BLOB: content, SLICE: json.dumps(document).encode()}


def with_another_byte(files: Files) -> Files:
    """Of a file's content."""
    tar = bytearray(gzip.decompress(files[BLOB]))
    tar[next(number for number in range(512, len(tar)) if tar[number])] ^= 1
    return of_blob(gzip.compress(bytes(tar), mtime=0))


SLICES: dict[str, Callable[[Files], Mapping[str, bytes]]] = {
    "other files": lambda files: {"x": b"of somebody else"},
    "a file more": lambda files: {**files, "../../escaped": b"of somebody else"},
    "no JSON": lambda files: {**files, SLICE: b"no JSON"},
    "other JSON": lambda files: {**files, SLICE: b"[]"},
    "of another blob": lambda files: {**files, BLOB: gzip.compress(b"")},
    "of another tar": lambda files: said(files, diff_id=f"sha256:{'0' * 64}"),
    "no layer": lambda files: of_blob(b"no layer"),
    "an empty layer": lambda files: of_blob(gzip.compress(bytes(1024))),
    "another byte": with_another_byte,
}
SURVEYS: dict[str, Callable[[Files], Mapping[str, bytes]]] = {
    "other files": lambda files: {"x": b"of somebody else"},
    "a file more": lambda files: {**files, "../../escaped": b"of somebody else"},
    "no listing": lambda files: {**files, LISTING: b"no listing"},
    "another listing": lambda files: {**files, LISTING: b'{"entries": [[]], "texts": {}}'},
    "no linkage": lambda files: {**files, LINKAGE: b"[]"},
    "another linkage": lambda files: {**files, LINKAGE: b'{"a": [1]}'},
    "no spans": lambda files: {**files, SPANS: b"{}"},
    "other spans": lambda files: {**files, SPANS: b"[]"},
    "no points": lambda files: {**files, POINTS: b"no points"},
    "no form": lambda files: {**files, FORM: b"[]"},
    "no texts": lambda files: {**files, TEXTS: b"[]"},
}


@pytest.mark.parametrize("what", SLICES)
def test_a_slice_that_is_none(what: str, cuts: Cuts) -> None:
    before = cuts.artifacts("slice")
    cuts.change("slice", SLICES[what])
    assert cuts.composed() == cuts.digest
    assert cuts.artifacts("slice") == before
    assert cuts.is_whole()


@pytest.mark.parametrize("what", SURVEYS)
def test_a_survey_that_is_none(what: str, cuts: Cuts) -> None:
    before = cuts.artifacts("survey")
    cuts.change("survey", SURVEYS[what])
    assert cuts.composed() == cuts.digest
    assert cuts.artifacts("survey") == before
    assert cuts.is_whole()
