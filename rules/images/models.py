"""Models as layers: what is small of each in one, each version's large files in layers of their
own. A changed line of a config moves kilobytes, and no weight is read for it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from tritonbuild.oci import Compression
from tritonbuild.rule import Artifact, Context, Folder, ToolContext, tool

from ..model_config.environment import CONFIG, with_environment
from ..servable import ModelInfo
from .components import below
from .layers import MOST, LayerGroup, Placed, layers

T = TypeVar("T")
REPOSITORY = "models"
GROUPS = 16
"""Groups of what is not in versions, at most: a layer each, two where there are large files."""
ROOM = 60
"""Layers that hold versions, at most."""


def model_layers(
    ctx: Context[Any],
    models: Sequence[ModelInfo],
    environments: Mapping[str, str],
    links: Artifact,
) -> Iterator[LayerGroup]:
    """Declares the layers of a repository. `environments`: model → where its environment lies, of
    those that have one of their own."""
    versions = {
        f"{model.name} version {number}": Placed(
            f"{REPOSITORY}/{model.name}/{number}", below(model.tree, str(number))
        )
        for model in models
        if not model.external
        for number in model.versions
    }
    if not models:
        empty = ctx.tool(make_repository, outputs=["tree"])["tree"]
        placed = [Placed(REPOSITORY, empty)]
        yield layers(ctx, "an empty repository", placed, links, compression=Compression.NONE)
    groups = _grouped(versions, ROOM)
    most = max(1, min(MOST, ROOM // max(1, len(groups))))
    for name, placed in groups.items():
        yield layers(ctx, name, placed, links, compression=Compression.NONE, most=most)
    rests = {model.name: list(_rest(ctx, model, environments.get(model.name))) for model in models}
    for name, group in _grouped(rests, GROUPS).items():
        flat = [placed for rest in group for placed in rest]
        yield layers(ctx, f"{name} config", flat, links, compression=Compression.NONE, most=2)


def _grouped(units: Mapping[str, T], most: int) -> dict[str, list[T]]:
    """Each by itself, or where there are too many in groups that another unit does not move."""
    if len(units) <= most:
        return {f"model {name}": [unit] for name, unit in units.items()}
    groups: dict[str, list[T]] = {}
    for name, unit in sorted(units.items()):
        number = int(hashlib.sha256(name.encode()).hexdigest(), 16) % most
        groups.setdefault(f"models, group {number + 1}", []).append(unit)
    return dict(sorted(groups.items()))


def _rest(ctx: Context[Any], model: ModelInfo, environment: str | None) -> Iterator[Placed]:
    """All but the versions."""
    path = f"{REPOSITORY}/{model.name}"
    versions = tuple(map(str, model.versions))
    if environment is None:
        yield Placed(path, model.tree, skip=versions)
        return
    config = ctx.tool(
        place_environment,
        name=f"environment of {model.name}",
        parameters={"environment": environment, "model": model.name},
        inputs={"model": model.tree},
        outputs=[CONFIG],
    )
    yield Placed(path, model.tree, skip=(*versions, CONFIG))
    yield Placed(f"{path}/{CONFIG}", config[CONFIG])


@tool("image-repository", version=1)
def make_repository(ctx: ToolContext) -> None:
    """Output `tree`: a repository without models, which a server needs to start."""
    ctx.link("tree", Folder())


@tool("image-model-config", version=1, libraries=("protobuf",))
def place_environment(ctx: ToolContext) -> None:
    """Input `model`, a model's folder; output its config.pbtxt, which names the environment."""
    folder = ctx.inputs.get("model")
    assert isinstance(folder, Folder)
    text = ctx.read(f"model/{CONFIG}").decode() if CONFIG in folder.entries else ""
    parameters = ctx.parameters
    written = with_environment(text, parameters["environment"], parameters["model"])
    ctx.write(CONFIG, written.encode())


def external_weights(models: Sequence[ModelInfo]) -> dict[str, Artifact]:
    """Mount path → what has to be there, of models whose weights are left out."""
    return {
        f"/{REPOSITORY}/{model.name}/{number}": below(model.tree, str(number))
        for model in models
        if model.external
        for number in model.versions
    }
