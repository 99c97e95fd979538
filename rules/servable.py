"""What models hand to targets that serve, hold or verify them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tritonbuild.rule import Artifact, Context, Label

from .component import BackendInfo, CacheInfo, RepoAgentInfo


@dataclass(frozen=True)
class ModelInfo:
    """Provider: a model."""

    label: Label
    name: str
    """Triton's name of it."""
    tree: Artifact
    """The folder that stands in a repository under that name."""
    config: Artifact
    """config.json: its config as Triton would complete it, as far as that is known without a
    server (`model_config.completion.Full`), and findings that are not fatal under `advice`."""
    backend: BackendInfo | None
    """None: it is an ensemble, which the core runs itself."""
    requirements: tuple[str, ...]
    """Python packages that it needs, as PEP 508 writes them."""
    agents: tuple[RepoAgentInfo, ...] = ()
    caches: tuple[CacheInfo, ...] = ()
    needs: tuple[ModelInfo, ...] = ()
    """Members of an ensemble and models that it calls itself; only the direct ones."""
    versions: tuple[int, ...] = ()
    """Numbers of the version folders, rising."""
    says_io: bool = True
    """Its manifest says its inputs and outputs."""
    sources: tuple[tuple[str, str], ...] = ()
    """Path in its folder → where that lies in the workspace, for messages; those of folders end
    in `/`. A version that is made of one file stands for it."""
    brings_backend: bool = False
    """The backend's library lies in its own folder, where Triton looks first."""
    wants_gpu: bool = False
    """It loads only where there is a GPU, as far as its backend and its manifest tell."""
    external: bool = False
    """Images leave its versions out: they are mounted where it is served."""


@dataclass(frozen=True)
class ServableInfo:
    """Provider: models that one server can serve together."""

    models: tuple[ModelInfo, ...]
    """With all that they need, each once, sorted by Triton's name."""
    named: tuple[ModelInfo, ...] = ()
    """Those that the target is about; the others are there because these need them."""
    image: Artifact | None = None
    """The image that carries them, if one does: a sparse layout. Its own server serves them."""
    catalogue: Artifact | None = None
    """What the workspace adds to what is known of the image's libraries."""


def servable(ctx: Context[Any], models: Iterable[ModelInfo], key: str) -> ServableInfo:
    """These models with all that they need. Raises AnalysisError, placed at the attribute `key`,
    for two of one Triton name."""
    named = tuple(sorted(models, key=lambda model: model.name))
    by_name: dict[str, ModelInfo] = {}
    for model in _closure(named):
        other = by_name.setdefault(model.name, model)
        if other.label != model.label:
            raise ctx.error(
                f"two models are called {model.name!r}: {_place(other.label)} and "
                f"{_place(model.label)}",
                key=key,
                expected="a Triton name of its own for each model of a repository, and for each "
                "that these need",
                remedy="give one of them another `name`, or leave one of them out",
            )
    return ServableInfo(tuple(by_name[name] for name in sorted(by_name)), named)


def _closure(models: Iterable[ModelInfo]) -> Iterator[ModelInfo]:
    """Each once, in a fixed order."""
    seen: set[Label] = set()
    queue = list(models)
    while queue:
        model = queue.pop(0)
        if model.label not in seen:
            seen.add(model.label)
            yield model
            queue.extend(model.needs)


def _place(label: Label) -> str:
    return f"{label} ({label.package}/triton.toml)" if label.package else f"{label} (triton.toml)"
