"""The `repositories` rule: models that are served together, as one model repository."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import Context, Dep, Field, Files, Label, Rule, RunInfo, workspace_default

from .distribution import DistributionInfo, needed
from .servable import ModelInfo, ServableInfo
from .server.serve import serve_info


class Repositories(Rule):
    """A model repository: a folder that holds each model under Triton's name of it."""

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
        by_name: dict[str, ModelInfo] = {}
        for model in models:
            other = by_name.setdefault(model.name, model)
            if other is not model:
                raise ctx.error(
                    f"two models are called {model.name!r}: {_place(other.label)} and "
                    f"{_place(model.label)}",
                    key="models",
                    expected="a Triton name of its own for each model of a repository",
                    remedy="give one of them another `name`, or leave one of them out",
                )
        yield Files({name: model.tree for name, model in by_name.items()})
        yield ServableInfo(tuple(models))

    def run(self, ctx: Context[Any]) -> RunInfo:
        distribution = needed(ctx, ctx.attributes.distribution)
        return serve_info(ctx, distribution, ctx.own(ServableInfo).models)


def _place(label: Label) -> str:
    return f"{label} ({label.package}/triton.toml)" if label.package else f"{label} (triton.toml)"
