"""What an image is, layer by layer, and what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from tritonbuild.inspector import Fact, Inspector
from tritonbuild.oci.documents import Execution
from tritonbuild.oci.image import Image
from tritonbuild.oci.listing import Listing
from tritonbuild.oci.view import View

SHOWN = 4
"""Folders of a layer that are named."""


@dataclass(frozen=True)
class LayerFacts:
    digest: str
    diff_id: str
    media_type: str
    size: int
    """Bytes that are pulled."""
    unpacked: int
    """Bytes of its files."""
    files: int
    by: str
    """What put it there, as the image's history says."""
    folders: tuple[str, ...]
    """Where most of its files lie."""


def layers_of(view: View) -> Iterator[LayerFacts]:
    """From the lowest up."""
    stories = _stories(view.image)
    for layer, listing in zip(view.image.layers, view.listings, strict=True):
        files = [entry for entry in listing.entries if entry.kind == "file"]
        yield LayerFacts(
            layer.descriptor.digest, layer.diff_id, layer.descriptor.media_type,
            layer.descriptor.size, sum(file.size for file in files), len(files),
            next(stories, ""), tuple(_folders(listing)),
        )  # fmt: skip


def facts_of(view: View, inspectors: Iterable[Inspector]) -> list[Fact]:
    """Of its config, and what inspectors find in it; sorted."""
    return sorted(chain(_config(view.image), *(one.function(view) for one in inspectors)))


def _stories(image: Image) -> Iterator[str]:
    for entry in image.config.history or ():
        if not entry.get("empty_layer"):
            yield str(entry.get("created_by", ""))


def _folders(listing: Listing) -> list[str]:
    """By the bytes in them."""
    sizes: Counter[str] = Counter()
    for entry in listing.entries:
        sizes["/" + "/".join(entry.path.split("/")[:2])] += entry.size
    return [folder for folder, size in sizes.most_common(SHOWN) if size]


def _config(image: Image) -> Iterator[Fact]:
    config = image.config.config or Execution()
    yield Fact("image", "platform", str(image.config.platform))
    for line in config.env or ():
        name, _, value = line.partition("=")
        yield Fact("image", f"env {name}", value)
    for name, value in (config.labels or {}).items():
        yield Fact("image", f"label {name}", value)
    for name, value in (image.manifest.annotations or {}).items():
        yield Fact("image", f"annotation {name}", value)
    for name, words in (("entrypoint", config.entrypoint), ("command", config.cmd)):
        if words:
            yield Fact("image", name, " ".join(words))
    for name, text in (("user", config.user), ("working dir", config.working_dir),
                       ("stop signal", config.stop_signal),
                       ("ports", ", ".join(sorted(config.exposed_ports or ())))):  # fmt: skip
        if text:
            yield Fact("image", name, text)
    if check := config.healthcheck:
        yield Fact("image", "healthcheck", " ".join(_healthcheck(check)))


def _healthcheck(check: Mapping[str, Any]) -> Iterator[str]:
    """The program, and how often it is asked: durations are nanoseconds."""
    yield from map(str, check.get("Test") or ())
    for name in ("Interval", "Timeout", "StartPeriod"):
        if isinstance(value := check.get(name), int) and value:
            yield f"{name}={value / 1e9:g}s"
    if retries := check.get("Retries"):
        yield f"Retries={retries}"
