"""What a server is started from: the inputs and parameters of any tool that starts one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tritonbuild.rule import Artifact, Context, Source

from ..component import ComponentInfo
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
    inputs: Inputs = {"distribution": distribution.tree}
    parameters: Parameters = {"environments": {}, "sources": {}}
    known: dict[tuple[str, str], ComponentInfo] = {}
    names: dict[frozenset[str], str] = {}
    cached: dict[str, ModelInfo] = {}
    for model in sorted(models, key=lambda model: model.name):
        inputs[f"models/{model.name}"] = model.tree
        for path, source in model.sources:
            parameters["sources"][f"models/{model.name}/{path}"] = source
        needed = (*([model.backend] if model.backend else []), *model.agents, *model.caches)
        for component in needed:
            _add(ctx, distribution, component, model, known, inputs)
            if isinstance(component.folder, Source):
                path = f"{component.kind}/{component.name}/"
                parameters["sources"][path] = f"{component.folder.path}/"
        for cache in model.caches:
            cached.setdefault(cache.name, model)
            parameters["cache"] = {"name": cache.name, "config": dict(cache.config)}
        backend = model.backend
        if backend is None or not (backend.python_based or backend.name == "python"):
            continue
        if backend.python_based:
            distribution.component("backends", "python", ctx)
        requirements = frozenset((*backend.requirements, *model.requirements))
        path = "environment"
        if requirements:
            own = parameters["environments"][model.name] = names.setdefault(
                requirements, model.name
            )
            path = f"environments/{own}"
        if path not in inputs:
            inputs[path] = environment(
                ctx, distribution.python, {*distribution.constraints, *requirements}
            )
    if len(cached) > 1:
        told = ", ".join(f"{name!r} of {model.label}" for name, model in sorted(cached.items()))
        raise ctx.error(
            f"its models want {len(cached)} response caches: {told}",
            expected="one: a server has one response cache at most",
            remedy="serve and verify these models separately",
        )
    return inputs, parameters


def _add(
    ctx: Context[Any],
    distribution: DistributionInfo,
    component: ComponentInfo,
    model: ModelInfo,
    known: dict[tuple[str, str], ComponentInfo],
    inputs: Inputs,
) -> None:
    """Puts a component where the server finds it."""
    kind, name = component.kind, component.name
    other = known.setdefault((kind, name), component)
    if other != component:
        raise ctx.error(
            f"two {kind} are called {name!r}, and one server can have only one",
            remedy="serve and verify their models separately",
        )
    if component.folder is not None:
        inputs[f"{kind}/{name}"] = component.folder
    elif not (component is model.backend and model.brings_backend):
        distribution.component(kind, name, ctx)
