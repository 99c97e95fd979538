"""What goes into an image, in the order of its layers: what changes seldom first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tritonbuild.oci import Compression
from tritonbuild.rule import Artifact, Context, LockedFile

from ..base_info import BaseInfo
from ..component import BackendInfo, ComponentInfo
from ..debian.suites import SUITES
from ..distribution import DistributionInfo
from ..python.interpreter import FULL_VERSIONS
from ..python.requirements import checked
from ..servable import ServableInfo
from ..server.inputs import components, runs_python
from .components import Placing, component_layers
from .environments import environment_layers, path_of, wheels_of
from .layers import LayerGroup, Placed, layers
from .models import model_layers


@dataclass
class Contents:
    """Of one image; asked for in analysis."""

    ctx: Context[Any]
    base: BaseInfo
    distribution: DistributionInfo
    held: ServableInfo
    environments: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Path of a Python environment → the requirements in it; the first is everybody's."""
    own: dict[str, str] = field(default_factory=dict)
    """Model → path of the environment that it has to itself."""

    def __post_init__(self) -> None:
        """Raises AnalysisError where the python backend's stub cannot run on the base."""
        if not self.runs_python:
            return
        if self.distribution.images is None:
            _check_python(self.ctx, self.distribution, self.base)
        if self.distribution.images is None or self.ctx.attributes.requirements:
            self._add(())
        for model in self.held.models:
            if model.backend is not None and runs_python(model.backend):
                own = (*model.backend.requirements, *model.requirements)
                if own:
                    self.own[model.name] = f"/{self._add(own)}"

    @property
    def runs_python(self) -> bool:
        return any(map(runs_python, self._backends))

    @property
    def python(self) -> str:
        """That of the base; of images, which bring their own, theirs."""
        return self.distribution.python if self.distribution.images else self.base.python

    @property
    def default_environment(self) -> str:
        """Empty where nothing runs Python, or there are no packages but those of the system."""
        return next(iter(self.environments), "")

    @property
    def components(self) -> list[ComponentInfo]:
        return components(self.ctx, self.distribution, self.held.models, self._more)

    @property
    def wheels(self) -> list[LockedFile]:
        found = (
            wheels_of(self.ctx, self.python, self.base.wheels, wanted)
            for wanted in self.environments.values()
        )
        return sorted({file for files in found for file in files})

    def layers(self, links: Artifact) -> Iterator[LayerGroup]:
        """Declares them."""
        ctx, compression = self.ctx, Compression(self.ctx.attributes.compression)
        placing = Placing(ctx, self.base, links, compression)
        yield from component_layers(placing, self.distribution, self.components)
        for requirements in self.environments.values():
            yield from environment_layers(
                ctx, self.python, self.base.wheels, requirements, links, compression
            )
        files = ctx.attributes.files.items()
        if files:
            placed = [Placed(path.strip("/"), ctx.source(ref)) for path, ref in files]
            yield layers(ctx, "files", placed, links, compression=compression, most=4)
        yield from model_layers(ctx, self.held.models, self.own, links)

    def _add(self, more: Sequence[str]) -> str:
        if not self.python:
            raise self.ctx.error(
                "Python packages, and nothing says which Python there is",
                key="requirements",
                expected="a version in the distribution",
                remedy='say python = "3.12" (or what it is) in the distribution',
            )
        said = checked(self.ctx, self.ctx.attributes.requirements)
        requirements = tuple(sorted({*self.distribution.constraints, *said, *more}))
        path = path_of(self.python, requirements)
        self.environments[path] = requirements
        return path

    @property
    def _more(self) -> list[ComponentInfo]:
        """Components that are named beside those of models."""
        attributes = self.ctx.attributes
        named = (*attributes.backends, *attributes.repoagents, *attributes.caches)
        return [self.ctx.provider(dep) for dep in named]

    @property
    def _backends(self) -> list[BackendInfo]:
        named = [component for component in self._more if isinstance(component, BackendInfo)]
        return named + [model.backend for model in self.held.models if model.backend]


def _check_python(ctx: Context[Any], distribution: DistributionInfo, base: BaseInfo) -> None:
    """The stub of the python backend is linked to one Python."""
    stub = distribution.python
    if base.python != stub:
        has = f"has Python {base.python}" if base.python else "has no Python that is known"
        if base.python in FULL_VERSIONS:
            remedy = f'say python = "{base.python}" in the distribution, or take another base'
        elif not base.python and SUITES.get(base.suite) == stub:
            remedy = f"add python3 and libpython{stub} to the base's packages"
        else:
            suites = " and ".join(suite for suite, python in SUITES.items() if python == stub)
            remedy = (
                f"take a base of Debian packages ({suites} has Python {stub}); where an image has "
                f'it, say python = "{stub}" in its base'
            )
        raise ctx.error(
            f"the base {has}, and the python backend's stub is for Python {stub}",
            key="base",
            expected=f"a base with python{stub} and libpython{stub}",
            remedy=remedy,
        )
