"""A model that was found, in the words of a manifest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tritonbuild.rule import Problem

from ..model_config.gpu import wants_gpu
from .listing import Reference

ENSEMBLE = "ensemble"


@dataclass(frozen=True)
class Agent:
    """A repository agent that a config asks for."""

    name: str
    parameters: Mapping[str, str]


@dataclass
class FoundModel:
    name: str
    """Triton's."""
    place: str
    """The folder or file that it was found in, relative to the package."""
    backend: str
    """Empty for an ensemble, and where nothing tells."""
    config: Any
    """What its config.pbtxt says, as a ModelConfig; empty without one."""
    config_file: str = ""
    """Relative to the package; empty: what the config says is said in the manifest."""
    is_loose: bool = False
    """It is a bare file or folder, not one of a model repository."""
    versions: dict[str, Reference] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    warmup: str = ""
    configs: str = ""
    files: dict[str, str] = field(default_factory=dict)
    requirements: list[str] = field(default_factory=list)
    callees: list[str] = field(default_factory=list)
    """Triton's names of models that it calls itself."""
    brings_backend: bool = False
    """The backend's library lies in the model's folder."""
    platform: str = ""
    file_name: str = ""
    """What its backend opens in a version folder, if the config or the core says so."""
    lacks_io: bool = False
    """Nothing says its inputs and outputs, and its backend does not find them out."""
    left_out: list[str] = field(default_factory=list)
    """Files and folders in its folder that no build takes, relative to the package."""
    remarks: list[str] = field(default_factory=list)
    """What people should know; they stand above its declaration."""
    obstacles: list[Problem] = field(default_factory=list)
    """Why it cannot be declared yet."""

    @property
    def is_ensemble(self) -> bool:
        return bool(self.config.platform == ENSEMBLE or self.config.HasField("ensemble_scheduling"))

    @property
    def members(self) -> list[str]:
        """Triton's names of an ensemble's members."""
        steps = self.config.ensemble_scheduling.step if self.is_ensemble else ()
        return list(dict.fromkeys(step.model_name for step in steps))

    @property
    def agents(self) -> list[Agent]:
        asked = self.config.model_repository_agents.agents
        return [Agent(agent.name, dict(sorted(agent.parameters.items()))) for agent in asked]

    @property
    def wants_cache(self) -> bool:
        return bool(self.config.response_cache.enable)

    @property
    def needs_gpu(self) -> bool:
        """Whether it loads only where there is a GPU."""
        return wants_gpu(self.config)

    def components(self) -> Iterator[tuple[str, str]]:
        """Table and name of each component that it is declared with."""
        if self.backend:
            yield "backends", self.backend
        for agent in self.agents:
            yield "repoagents", agent.name
        if self.wants_cache:
            yield "caches", "local"

    def needed_of_server(self) -> Iterator[tuple[str, str]]:
        """Those of them that its server must have."""
        for component in self.components():
            if component != ("backends", self.backend) or not self.brings_backend:
                yield component


def says_io(config: Any) -> bool:
    return bool(config.input) and bool(config.output)


def lack_io(model: FoundModel, why: str) -> None:
    """An obstacle: what it takes and gives is not known."""
    found = f"its inputs and outputs are not known: {why}"
    model.lacks_io = True
    model.obstacles.append(Problem(found, remedy="say them below, and uncomment it"))
