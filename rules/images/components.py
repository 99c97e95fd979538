"""Triton itself and its components, as layers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tritonbuild.oci import Compression
from tritonbuild.rule import Artifact, Context, Output, Source

from ..base_info import BaseInfo
from ..component import ComponentInfo
from ..composing.cut import Cut
from ..composing.info import ImagesInfo
from ..composing.needs import REMARKS, REPLACES
from ..distribution import DistributionInfo
from ..layouts import LAYERS
from ..pytriton import COMPONENTS
from .layers import LayerGroup, Placed, layers

HOME = "opt/tritonserver"


@dataclass(frozen=True)
class Placing:
    """How folders become layers of one image."""

    ctx: Context[Any]
    base: BaseInfo
    links: Artifact
    compression: Compression

    def layers(self, name: str, placed: Placed) -> LayerGroup:
        return layers(self.ctx, name, [placed], self.links, compression=self.compression, most=4)

    def component(self, component: ComponentInfo, folder: Artifact) -> LayerGroup:
        path = f"{HOME}/{component.kind}/{component.name}"
        return self.layers(_name(component), Placed(path, folder))


def component_layers(
    placing: Placing, distribution: DistributionInfo, components: Sequence[ComponentInfo]
) -> Iterator[LayerGroup]:
    """Declares the core's layers, then each component's."""
    if distribution.images is not None:
        yield from _cut_out(placing, distribution.images, components)
        return
    tree = distribution.on_host(placing.ctx).tree
    core = Placed(HOME, tree, skip=tuple(COMPONENTS))
    yield placing.layers(f"Triton {distribution.release}".rstrip(), core)
    for component in components:
        path = f"{component.kind}/{component.name}"
        yield placing.component(component, component.folder or below(tree, path))


def _cut_out(
    placing: Placing, images: ImagesInfo, components: Sequence[ComponentInfo]
) -> Iterator[LayerGroup]:
    """Of a distribution that lies in images; last what all of it needs beside it."""
    if placing.ctx.attributes.base is not None:
        images = images.apart
    wanted = [(c.kind, c.name) for c in components if not c.is_own]
    mine = [(c.kind, c.name) for c in components if c.is_own]
    cut = Cut(placing.ctx, images, placing.base, wanted, mine)
    for piece in cut.pieces:
        yield LayerGroup(piece.name, piece.layers)
    own = {
        (c.kind, c.name): placing.component(c, c.folder) for c in components if c.folder is not None
    }
    yield from own.values()
    needs = cut.needs({key: group.layers for key, group in own.items()}, placing.compression)
    yield LayerGroup("what Triton needs", needs[LAYERS], REPLACES, needs[REMARKS])


def _name(component: ComponentInfo) -> str:
    return f"{component.kind.removesuffix('s')} {component.name}"


def below(tree: Artifact, path: str) -> Artifact:
    """Something in a folder."""
    if isinstance(tree, Output):
        return tree / path
    assert isinstance(tree, Source), "what a manifest says itself is no folder"
    return Source(f"{tree.path}/{path}")
