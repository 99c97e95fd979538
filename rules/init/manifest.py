"""The manifest of a package of models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tritonbuild.rule import Problem

from .components import DISTRIBUTION, PYPI, TRITON, Component, Components
from .config_table import table_of
from .found import FoundModel
from .listing import source
from .names import Names
from .toml import block, commented, remark

TEMPLATE = {
    "max_batch_size": 0,
    "input": [{"name": "INPUT__0", "data_type": "TYPE_FP32", "dims": [-1]}],
    "output": [{"name": "OUTPUT__0", "data_type": "TYPE_FP32", "dims": [-1]}],
}
"""What is to be said of a model whose inputs and outputs are not known; as TorchScript's are."""
TOLERANCE = {"rtol": 1e-3, "atol": 1e-5}
"""Of recorded answers: another processor gives slightly others."""


@dataclass
class Package:
    """A folder of models, and the names that its targets get."""

    path: str
    """Relative to the root."""
    title: str
    """The folder's own name."""
    models: list[FoundModel]
    left_out: list[str] = field(default_factory=list)
    """Files that are no part of what is built from it, relative to it."""
    targets: dict[str, str] = field(default_factory=dict)
    """Triton's name of a model → its target's."""
    names: Names = field(default_factory=Names)
    golden: dict[str, str] = field(default_factory=dict)
    """Triton's name of a model → a glob of its golden cases."""

    def name_targets(self, taken: Iterable[str]) -> None:
        """`taken` are the names of other targets of the package."""
        for name in sorted(set(taken)):
            self.names.take(name, "component")
        for model in sorted(self.models, key=lambda model: model.name):
            self.targets[model.name] = self.names.take(model.name, "model")

    @property
    def is_repository(self) -> bool:
        """A server can be pointed at it."""
        return any(not model.is_loose for model in self.models)

    @property
    def declared(self) -> list[FoundModel]:
        return [model for model in self.models if not model.obstacles]


@dataclass(frozen=True)
class Everything:
    """All packages that are brought over at once."""

    packages: tuple[Package, ...]
    components: Components

    def label(self, name: str, package: Package) -> str:
        """Of a model by Triton's name of it, as a package writes it; empty where there is none,
        or where several packages have one."""
        if name in package.targets:
            return f":{package.targets[name]}"
        others = [other for other in self.packages if name in other.targets]
        return f"//{others[0].path}:{others[0].targets[name]}" if len(others) == 1 else ""

    def model(self, name: str, package: Package) -> FoundModel | None:
        near = [model for model in package.models if model.name == name]
        far = [m for other in self.packages for m in other.models if m.name == name]
        return near[0] if near else far[0] if len(far) == 1 else None

    def served(self, model: FoundModel, package: Package) -> list[FoundModel]:
        """A model with all that its server needs besides."""
        found: dict[str, FoundModel] = {}
        queue = [model]
        while queue:
            one = queue.pop()
            if one.name not in found:
                found[one.name] = one
                others = (self.model(name, package) for name in (*one.members, *one.callees))
                queue += [other for other in others if other is not None]
        return list(found.values())


def manifest(everything: Everything, package: Package) -> str:
    """The text: what waits for something stands in it as comments, which say for what."""
    return "\n".join(_blocks(everything, package))


def unverified(everything: Everything) -> Iterator[tuple[Package, FoundModel, str]]:
    """Declared models that no server at hand can load, and why."""
    for package in everything.packages:
        for model in package.declared:
            if why := _why_not_served(everything, package, model):
                yield package, model, why


def _blocks(everything: Everything, package: Package) -> Iterator[str]:
    declared = package.declared
    if declared:
        name = package.names.take(package.title, "repository")
        yield block(["repositories", name], {"models": [":all"]})
    for model in sorted(package.models, key=lambda model: model.name):
        values = _values(everything, package, model)
        text = block(["models", package.targets[model.name]], values)
        above = "".join(map(remark, (*model.remarks, *_moved(model))))
        if model.obstacles:
            told = (f"Not declared yet: {_sentence(problem)}" for problem in model.obstacles)
            yield "".join(map(remark, told)) + above + commented(text)
            continue
        yield above + text
        yield from _verifications(everything, package, model)


def _moved(model: FoundModel) -> Iterator[str]:
    if model.is_ensemble:
        yield f"What {model.place}/config.pbtxt said stands here; that file is not read any more."


def _sentence(problem: Problem) -> str:
    return f"{problem.found}. Remedy: {problem.remedy}." if problem.remedy else f"{problem.found}."


def _values(everything: Everything, package: Package, model: FoundModel) -> dict[str, Any]:
    target, components = package.targets[model.name], everything.components
    values: dict[str, Any] = {}
    if target != model.name:
        values["name"] = model.name
    if model.is_ensemble:
        values["steps"] = [_step(everything, package, step) for step in _steps(model)]
    elif model.backend:
        values["backend"] = components.reference(("backends", model.backend))
    if model.versions:
        values["versions"] = dict(model.versions)
    elif not model.is_ensemble:
        values["versions"] = {"1": source(f"{model.place}/1")}  # which is to be made
    for key in ("config_file", "labels", "warmup", "configs", "files", "requirements"):
        if value := getattr(model, key):
            values[key] = value
    if model.agents:
        values["repoagents"] = [
            {"agent": agent.name, "parameters": dict(agent.parameters)} for agent in model.agents
        ]
    if model.wants_cache:
        values["caches"] = ["local"]
    if callees := [everything.label(name, package) for name in model.callees]:
        values["bls"] = [label for label in callees if label]
    if not model.config_file or model.lacks_io:
        values["config"] = _config(model) if not model.config_file else TEMPLATE
    return values


def _config(model: FoundModel) -> dict[str, Any]:
    """What the manifest says in the place of a config.pbtxt."""
    config = type(model.config)()
    config.CopyFrom(model.config)
    config.ClearField("name")
    if model.is_ensemble:
        config.ClearField("platform")
        del config.ensemble_scheduling.step[:]
        if not config.ensemble_scheduling.ListFields():
            config.ClearField("ensemble_scheduling")
    table = table_of(config)
    return TEMPLATE | table if model.lacks_io else table


def _steps(model: FoundModel) -> list[Any]:
    return list(model.config.ensemble_scheduling.step)


def _step(everything: Everything, package: Package, step: Any) -> dict[str, Any]:
    label = everything.label(step.model_name, package) or f":{step.model_name}"
    values: dict[str, Any] = {"model": label}
    if step.model_version != -1:
        values["version"] = step.model_version
    values["inputs"] = dict(sorted(step.input_map.items()))
    values["outputs"] = dict(sorted(step.output_map.items()))
    return values


def _verifications(everything: Everything, package: Package, model: FoundModel) -> Iterator[str]:
    target = f":{package.targets[model.name]}"
    common: dict[str, Any] = {"target": target}
    if not everything.components.distribution:
        common["distribution"] = ":pypi"
    name = package.names.take(f"{target[1:]}_loads", "smoke")
    blocks = [block(["verifications", name], common)]
    if cases := package.golden.get(model.name):
        name = package.names.take(f"{target[1:]}_answers", "golden")
        values = {"kind": "golden", **common, "cases": cases, **TOLERANCE}
        blocks.append(block(["verifications", name], values))
    if why := _why_not_served(everything, package, model):
        blocks = [remark(why) + commented(text) for text in blocks]
    yield from blocks


def _why_not_served(everything: Everything, package: Package, model: FoundModel) -> str:
    served = everything.served(model, package)
    needed: set[Component] = {one for each in served for one in each.needed_of_server()}
    if lacking := everything.components.lacking(needed):
        listed = ", ".join(f"{table}.{name}" for table, name in lacking)
        where = everything.components.named
        paths = ", ".join(f"[{table}.{name}] path = …" for table, name in lacking)
        return (
            f"To be uncommented with a distribution that has {listed} ({where} has not), or with "
            f"a folder of it: {paths}"
        )
    if any(each.needs_gpu for each in served):
        return "To be uncommented when verifications run on a GPU, which they do not yet."
    return ""


def root_manifest(name: str, components: Components, needed: Iterable[Component]) -> str:
    """What the manifest of a new root begins with."""
    workspace = block(["workspace"], {"name": name, "distribution": f"//:{PYPI}"})
    distribution = remark(TRITON) + block(["distributions", PYPI], DISTRIBUTION)
    return "\n".join(filter(None, (workspace, distribution, components.in_root(needed))))
