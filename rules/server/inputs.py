"""What a server is started from: the inputs and parameters of any tool that starts one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tritonbuild.rule import Artifact, Context, Dep, Source

from ..component import BackendInfo, CacheInfo, ComponentInfo
from ..distribution import DistributionInfo
from ..python.environment import environment
from ..servable import ModelInfo

Inputs = dict[str, Artifact]
Parameters = dict[str, Any]


def served(
    ctx: Context[Any], distribution: DistributionInfo, models: Iterable[ModelInfo]
) -> tuple[Inputs, Parameters]:
    """Declares the Python environments and returns inputs and parameters, for `layout.lay_out`:

    - `distribution`, laid out like /opt/tritonserver;
    - `backends/NAME`, `repoagents/NAME` and `caches/NAME` for each component that is needed and
      that the distribution does not bring;
    - `models/NAME`, the repository;
    - `environment` for models without requirements, `environments/MODEL` for those with the same
      as MODEL; the parameter `environments` says which of these a model has;
    - the parameter `cache`, where there is one: its name and settings;
    - the parameter `sources`: where the files of the workspace among these lie in it
      (`diagnose.Places`).

    Raises AnalysisError when the distribution lacks a component, and for two of one name.
    """
    inputs: Inputs = {"distribution": distribution.on_host(ctx).tree}
    parameters: Parameters = {"environments": {}, "sources": {}}
    names: dict[frozenset[str], str] = {}
    models = sorted(models, key=lambda model: model.name)
    for component in components(ctx, distribution, models):
        if component.folder is not None:
            inputs[f"{component.kind}/{component.name}"] = component.folder
        if isinstance(component.folder, Source):
            path = f"{component.kind}/{component.name}/"
            parameters["sources"][path] = f"{component.folder.path}/"
    cache = cache_of(ctx, models)
    if cache is not None:
        parameters["cache"] = {"name": cache.name, "config": dict(cache.config)}
    for model in models:
        inputs[f"models/{model.name}"] = model.tree
        for path, source in model.sources:
            parameters["sources"][f"models/{model.name}/{path}"] = source
        backend = model.backend
        if backend is None or not runs_python(backend):
            continue
        requirements = frozenset((*backend.requirements, *model.requirements))
        path = "environment"
        if requirements:
            own = parameters["environments"][model.name] = names.setdefault(
                requirements, model.name
            )
            path = f"environments/{own}"
        if path not in inputs:
            inputs[path] = environment(
                ctx, distribution.on_host(ctx).python, {*distribution.constraints, *requirements}
            )
    return inputs, parameters


IMAGE = "image"


def in_image(image: Artifact, models: Iterable[ModelInfo]) -> tuple[Inputs, Parameters]:
    """The same of models that an image carries: it has all that they need. `models/NAME` say which
    they are; the parameter `external` names those of their versions that it leaves out."""
    inputs: Inputs = {IMAGE: image}
    sources: dict[str, str] = {}
    external: list[str] = []
    for model in models:
        inputs[f"models/{model.name}"] = model.tree
        sources |= {f"models/{model.name}/{path}": source for path, source in model.sources}
        external += [f"models/{model.name}/{n}" for n in model.versions if model.external]
    return inputs, {"external": external, "sources": sources}


PYTHON = BackendInfo("backends", "python", None, False, ())
"""The distribution's."""


def runs_python(backend: BackendInfo) -> bool:
    """Whether its models run in the python backend."""
    return backend.python_based or backend.name == "python"


def components(
    ctx: Context[Any],
    distribution: DistributionInfo,
    models: Iterable[ModelInfo],
    more: Iterable[ComponentInfo] = (),
) -> list[ComponentInfo]:
    """What these models need, and more, each once, sorted; not what models bring themselves.
    Raises AnalysisError when the distribution lacks one, and for two of one name."""
    known: dict[tuple[str, str], ComponentInfo] = {}
    for model in models:
        backend = [] if model.backend is None or model.brings_backend else [model.backend]
        for component in (*backend, *model.agents, *model.caches):
            _add(ctx, component, known)
    for component in more:
        _add(ctx, component, known)
    if any(component.python_based for component in known.values()):
        known.setdefault((PYTHON.kind, PYTHON.name), PYTHON)
    for component in known.values():
        if component.folder is None:
            distribution.component(component.kind, component.name, ctx)
    return [component for _, component in sorted(known.items())]


def _add(
    ctx: Context[Any], component: ComponentInfo, known: dict[tuple[str, str], ComponentInfo]
) -> None:
    other = known.setdefault((component.kind, component.name), component)
    if other != component:
        raise ctx.error(
            f"two {component.kind} are called {component.name!r}, and one server can have only one",
            remedy="serve and verify their models separately",
        )


def cache_of(
    ctx: Context[Any], models: Iterable[ModelInfo], named: Iterable[Dep[CacheInfo]] = ()
) -> CacheInfo | None:
    """The response cache of a server of these models, or of those that are named for it. Raises
    AnalysisError for several."""
    wanted = {
        cache.name: (cache, f"of {model.label}") for model in models for cache in model.caches
    }
    for dep in named:
        cache = ctx.provider(dep)
        wanted.setdefault(cache.name, (cache, "of `caches`"))
    if len(wanted) > 1:
        told = ", ".join(f"{name!r} {whose}" for name, (_, whose) in sorted(wanted.items()))
        raise ctx.error(
            f"its models want {len(wanted)} response caches: {told}",
            expected="one: a server has one response cache at most",
            remedy="serve and verify these models separately",
        )
    return next((cache for cache, _ in wanted.values()), None)
