"""The `repositories` rule: models that are served together, as one model repository."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import Context, Dep, Field, Files, Rule, RunInfo, workspace_default

from .distribution import DistributionInfo, needed
from .servable import ModelInfo, ServableInfo, servable


class Repositories(Rule):
    """A model repository: a folder that holds each model under Triton's name of it, with the
    members of its ensembles and the models that others call."""

    table = "repositories"
    provides = (Files, ServableInfo)
    needed_to_run = frozenset({"distribution"})

    class Attributes(Rule.Attributes):
        models: list[Dep[ModelInfo]] = Field(
            description="Labels and patterns of the models that it holds."
        )
        distribution: Dep[DistributionInfo] | None = workspace_default(
            "The Triton that `tritonbuild run` serves it with."
        )

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        models = ctx.providers(ctx.attributes.models)
        if not models:
            raise ctx.error(
                "no model", key="models", expected="labels or patterns that match a model"
            )
        held = servable(ctx, models, "models")
        yield Files({model.name: model.tree for model in held.models})
        yield held

    def run(self, ctx: Context[Any]) -> RunInfo:
        from .server.serve import serve_info

        distribution = needed(ctx, ctx.attributes.distribution)
        return serve_info(ctx, distribution, ctx.own(ServableInfo).models)

    def push(self, ctx: Context[Any]) -> RunInfo:
        from .destinations.publish import push_info

        return push_info(ctx, ctx.own(ServableInfo).models)

    def config(self, ctx: Context[Any]) -> RunInfo:
        from .server.show import config_info

        return config_info(ctx, ctx.own(ServableInfo).models, ctx.attributes.distribution)
