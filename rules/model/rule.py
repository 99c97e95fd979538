"""The `models` rule: one model, as a folder that Triton can serve."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tritonbuild.rule import Context, Files, Rule, RunInfo, SourceRef

from ..component import BackendInfo
from ..distribution import needed
from ..model_config.folder import make_model
from ..model_config.gpu import wants_gpu
from ..model_config.places import CONFIG, MODEL, RELEASE
from ..python.requirements import checked
from ..servable import ModelInfo, ServableInfo, servable
from .attributes import ModelAttributes
from .checks import check
from .parts import Parts, add_agents, add_derived, add_files, add_steps, sources


class Models(Rule):
    """A model: its versions, its config and the backend that runs it; or an ensemble of others."""

    table = "models"
    provides = (Files, ModelInfo, ServableInfo)

    class Attributes(ModelAttributes):
        pass

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        attributes = ctx.attributes
        name = ctx.label.base if attributes.name is None else attributes.name
        backend = ctx.provider(attributes.backend) if attributes.backend else None
        distribution = ctx.provider(attributes.distribution) if attributes.distribution else None
        parts = Parts({"name": name, "backend": backend.name if backend else ""})
        if distribution:
            parts.parameters["release"] = distribution.release
            if distribution.release_file is not None:
                parts.inputs[RELEASE] = distribution.release_file
        brings_backend = _brings(ctx, backend)
        if backend and backend.python_based:
            parts.parameters["python_based"] = True
        if backend and (backend.is_own or brings_backend):
            parts.parameters["own_backend"] = True
        add_files(ctx, parts)
        agents = tuple(add_agents(ctx, parts))
        caches = tuple(ctx.provider(cache) for cache in attributes.caches)
        config = check(ctx, name, backend, parts.stored)
        if caches:
            parts.parameters["caches"] = [cache.name for cache in caches]
        members = list(add_steps(ctx, parts, distribution))
        needs = {model.label: model for model in (*members, *ctx.providers(attributes.bls))}
        requirements = checked(ctx, attributes.requirements)
        add_derived(ctx, parts)
        made = ctx.tool(
            make_model, parameters=parts.parameters, inputs=parts.inputs, outputs=[MODEL, CONFIG]
        )
        info = ModelInfo(
            ctx.label,
            name,
            made[MODEL],
            made[CONFIG],
            backend,
            requirements,
            agents,
            caches,
            tuple(needs[label] for label in sorted(needs)),
            tuple(sorted(map(int, attributes.versions))) if backend else (1,),
            attributes.says_io,
            tuple(sources(ctx)),
            brings_backend,
            wants_gpu(config),
            attributes.weights == "external",
        )
        held = servable(ctx, [info], "steps" if members else "bls")
        yield Files({model.name: model.tree for model in held.models})
        yield info
        yield held

    def run(self, ctx: Context[Any]) -> RunInfo:
        from ..server.serve import serve_info

        distribution = needed(ctx, ctx.attributes.distribution)
        return serve_info(ctx, distribution, ctx.own(ServableInfo).models)

    def push(self, ctx: Context[Any]) -> RunInfo:
        from ..destinations.publish import push_info

        return push_info(ctx, ctx.own(ServableInfo).models)

    def config(self, ctx: Context[Any]) -> RunInfo:
        from ..server.show import config_info

        return config_info(ctx, [ctx.own(ModelInfo)], ctx.attributes.distribution)


def _brings(ctx: Context[Any], backend: BackendInfo | None) -> bool:
    """Whether the backend's library lies in the model's own folder."""
    if backend is None:
        return False
    attributes = ctx.attributes
    library = str(attributes.config.get("runtime") or f"libtriton_{backend.name}.so")
    versions: Iterable[Iterable[str]] = (
        ctx.names(content) if isinstance(content, SourceRef) else content
        for content in attributes.versions.values()
    )
    return library in attributes.files or any(library in names for names in versions)
