"""What a server is started from: the inputs and parameters of any tool that starts one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tritonbuild.rule import Artifact, Context

from ..component import BackendInfo
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
    - `backends/NAME` for each backend that the distribution does not bring;
    - `models/NAME`, the repository;
    - `environment` for models without requirements, `environments/MODEL` for those with the same
      as MODEL; the parameter `environments` says which of these a model has.

    Raises AnalysisError when the distribution lacks a backend, and for two of one name.
    """
    inputs: Inputs = {"distribution": distribution.tree}
    backends: dict[str, BackendInfo] = {}
    own: dict[str, str] = {}
    names: dict[frozenset[str], str] = {}
    for model in sorted(models, key=lambda model: model.name):
        backend = model.backend
        inputs[f"models/{model.name}"] = model.tree
        if backends.setdefault(backend.name, backend).folder != backend.folder:
            raise ctx.error(
                f"two backends are called {backend.name!r}, and one server can have only one",
                remedy="serve and verify their models separately",
            )
        if backend.folder is None:
            distribution.component("backends", backend.name, ctx)
        else:
            inputs[f"backends/{backend.name}"] = backend.folder
        if backend.python_based:
            distribution.component("backends", "python", ctx)
        elif backend.name != "python":
            continue
        requirements = frozenset((*backend.requirements, *model.requirements))
        if requirements:
            own[model.name] = names.setdefault(requirements, model.name)
            path = f"environments/{own[model.name]}"
        else:
            path = "environment"
        if path not in inputs:
            inputs[path] = environment(
                ctx, distribution.python, {*distribution.constraints, *requirements}
            )
    return inputs, {"environments": own}
