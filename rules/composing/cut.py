"""Declares what is cut out of a release: surveys of its layers, the layers of the server and of
each component, and what these need beside them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tritonbuild.rule import Artifact, Context, Needs, Output

from ..base_info import BaseInfo
from ..layouts import LAYERS
from ..linking.facts import LINKAGE, link_image, link_layers
from .catalogue import shipped
from .check import FACTS
from .component import cut_component
from .info import ImagesInfo
from .needs import CATALOGUE, REMARKS, find_needs
from .place import hints_of
from .selection import Selection, component, core
from .shared import HINT
from .survey import SURVEY, survey_layer

_LARGE = 4 << 20
"""Bytes of a layer from which its survey has the machine to itself: it takes two threads, and
a reader of gzip that holds some hundred megabytes."""


@dataclass(frozen=True)
class Piece:
    """Layers that are cut out."""

    name: str
    """For people: what they are."""
    layers: Output
    linkage: Output
    """linkage.json: what of it is linked to what."""


@dataclass
class Cut:
    """Of one image; asked for in analysis."""

    ctx: Context[Any]
    images: ImagesInfo
    base: BaseInfo
    """Of the image."""
    components: Sequence[tuple[str, str]]
    """Kind (`backends`) and name of those that are the distribution's."""
    own: Collection[tuple[str, str]] = ()
    """Those of the user's own, likewise."""

    def needs(
        self, own: Mapping[tuple[str, str], Artifact], compression: str
    ) -> Mapping[str, Output]:
        """What `find-needs` makes for all of it, and for components of the user's own too: kind and
        name → layers."""
        pieces = [*(piece.layers for piece in self.pieces), *own.values()]
        linkages = [piece.linkage for piece in self.pieces]
        linkages += [link_layers(self.ctx, layers) for layers in own.values()]
        return self.ctx.tool(
            find_needs,
            parameters={
                "blobs": [file.sha256 for file in self.images.layers],
                "components": [list(pair) for pair in (*self.wanted, *own)],
                "compression": compression,
                "epoch": self.ctx.epoch,
                "slim": list(self.images.slim),
            },
            hints={"blobs": hints_of(self.images.layers)},
            inputs={
                "base": self.base.image,
                FACTS: self.images.facts,
                "linkage/base": link_image(self.ctx, self.base.image),
                **{f"linkage/pieces/{n:03}": one for n, one in enumerate(linkages)},
                **{f"pieces/{number:03}": one for number, one in enumerate(pieces)},
                **({CATALOGUE: known} if (known := self.images.catalogue) else {}),
                **self._surveyed,
            },
            outputs=[LAYERS, REMARKS],
        )

    def examination(self) -> dict[str, Any]:
        """Parameters and inputs of `examine-images`."""
        return {
            "parameters": {"blobs": [file.sha256 for file in self.images.layers]},
            "inputs": {
                "base": self.base.image,
                FACTS: self.images.facts,
                "linkage/base": link_image(self.ctx, self.base.image),
                **self._surveyed,
            },
        }

    @property
    def wanted(self) -> list[tuple[str, str]]:
        """The components, with those that they cannot do without, unless the user has these."""
        known = shipped()
        beside = {("backends", other) for kind, name in self.components
                  if kind == "backends" for other in known.beside(name)}  # fmt: skip
        return sorted({*self.components, *(beside - set(self.own))})

    @cached_property
    def surveys(self) -> list[Output]:
        """Of each layer, with what is wanted of it cut out while it goes by."""
        hints = {
            "blobs": hints_of(self.images.layers),
            HINT: self.images.component_cache,
            "wanted": [selection.parameters for selection in self._selections.values()],
        }
        return [
            self.ctx.tool(
                survey_layer,
                name=f"survey layer {file.sha256[:12]}",
                parameters={"sha256": file.sha256},
                inputs={FACTS: self.images.facts},
                hints=hints,
                outputs=[SURVEY],
                needs=Needs(cpu=2 if file.size > _LARGE else 1),
            )[SURVEY]
            for file in self.images.layers
        ]

    @cached_property
    def pieces(self) -> list[Piece]:
        """The server, and each component."""
        return [self._piece(name, selection) for name, selection in self._selections.items()]

    @property
    def _selections(self) -> dict[str, Selection]:
        slim = self.images.slim
        found = {} if self.images.whole else {"Triton": core(slim)}
        for kind, name in self.wanted:
            found[f"{kind.removesuffix('s')} {name}"] = component(kind, name, slim)
        return found

    def _piece(self, name: str, selection: Selection) -> Piece:
        base = self.images.base
        made = self.ctx.tool(
            cut_component,
            name=f"cut {name}",
            parameters={
                "blobs": [file.sha256 for file in self.images.layers],
                "by": name,
                "selection": selection.parameters,
            },
            hints={
                "blobs": hints_of(self.images.layers),
                HINT: self.images.component_cache,
            },
            inputs={
                **self._surveyed,
                **({"base": base.image} if self.images.whole and base is not None else {}),
            },
            outputs=[LAYERS, LINKAGE],
        )
        return Piece(name, made[LAYERS], made[LINKAGE])

    @property
    def _surveyed(self) -> dict[str, Artifact]:
        return {f"surveys/{number:03}": survey for number, survey in enumerate(self.surveys)}
