"""What two images say and hold otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tritonbuild.images.describe import LayerFacts, facts_of, layers_of
from tritonbuild.inspector import Fact, Inspector
from tritonbuild.oci.view import View

LAYERS = "layers"


@dataclass(frozen=True)
class Difference:
    section: str
    name: str
    before: str | None
    """None: it is not there."""
    after: str | None


def differences(before: View, after: View, inspectors: Sequence[Inspector]) -> Iterator[Difference]:
    """The digest, then by section and name; layers last. Nothing is read of images that are the
    same."""
    digests = before.image.descriptor.digest, after.image.descriptor.digest
    if digests[0] == digests[1]:
        return
    yield Difference("manifest", "digest", *digests)
    left = _table(facts_of(before, inspectors))
    right = _table(facts_of(after, inspectors))
    for section, name in sorted(left.keys() | right.keys()):
        old, new = left.get((section, name)), right.get((section, name))
        if old != new:
            yield Difference(section, name, old, new)
    yield from _layers(list(layers_of(before)), list(layers_of(after)))


def _table(facts: Iterable[Fact]) -> dict[tuple[str, str], str]:
    return {(fact.section, fact.name): fact.value for fact in facts}


def _layers(before: Sequence[LayerFacts], after: Sequence[LayerFacts]) -> Iterator[Difference]:
    old = {layer.digest for layer in before}
    new = {layer.digest for layer in after}
    for layer in before:
        if layer.digest not in new:
            yield Difference(LAYERS, layer.by, _told(layer), None)
    for layer in after:
        if layer.digest not in old:
            yield Difference(LAYERS, layer.by, None, _told(layer))


def _told(layer: LayerFacts) -> str:
    return f"{layer.digest.removeprefix('sha256:')[:12]}, {layer.size} bytes, {layer.files} files"
