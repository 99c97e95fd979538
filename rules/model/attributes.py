"""What a `[models.X]` table may say."""

from __future__ import annotations

from typing import Any, Literal

from tritonbuild.rule import ByName, Dep, Field, Rule, SourceRef, Strict, workspace_default

from ..component import BackendInfo, CacheInfo, RepoAgentInfo
from ..distribution import DistributionInfo
from ..servable import ModelInfo


class Agent(Strict):
    """A repository agent with what it is told."""

    agent: ByName[RepoAgentInfo] = Field(description="Its name or label.")
    parameters: dict[str, str] = Field(
        default={}, description="What the config tells it, name → value."
    )


class Cases(Strict):
    """Warm-up made of golden cases."""

    cases: SourceRef = Field(description="Golden cases, a file or a glob, as verifications take.")
    count: int = Field(default=1, ge=1, description="How often each is run.")


class Step(Strict):
    """A step of an ensemble."""

    model: Dep[ModelInfo] = Field(description="The member.")
    version: int = Field(default=-1, description="Which version of it; -1 is the latest.")
    inputs: dict[str, str] = Field(description="The member's input → the ensemble's tensor.")
    outputs: dict[str, str] = Field(description="The member's output → the ensemble's tensor.")


class ModelAttributes(Rule.Attributes):
    @property
    def says_io(self) -> bool:
        """Whether the manifest says its inputs and outputs."""
        return {"input", "output"} <= self.config.keys()

    backend: ByName[BackendInfo] | None = Field(
        default=None,
        description="What runs it: a backend's name or label. An ensemble has none.",
    )
    versions: dict[str, SourceRef | dict[str, SourceRef]] = Field(
        default={},
        description="Version number → a file, which is stored under the name that the backend "
        "looks for; a folder, which becomes the version's folder; an output of another "
        "target, which may be either; or a table file name → one of these.",
    )
    weights: Literal["inside", "external"] = Field(
        default="inside",
        description="`external`: images leave its versions out, and say which folder has to be "
        "mounted where.",
    )
    steps: list[Step] = Field(
        default=[],
        description="Makes it an ensemble of these. Its inputs and outputs, where its config "
        "does not say them, are the tensors that no step makes and those that none takes.",
    )
    config: dict[str, Any] = Field(
        default={},
        description="Triton's ModelConfig in TOML. Wins over `config_file`: scalars and lists "
        "replace, tables merge.",
    )
    config_file: SourceRef | None = Field(default=None, description="A config.pbtxt to begin with.")
    configs: SourceRef | None = Field(
        default=None,
        description="Other configs, one of which a server takes with --model-config-name; a "
        "glob or a folder, stored in `configs/`.",
    )
    labels: dict[str, SourceRef] = Field(
        default={},
        description="Output → a file of class names, one a line; stored under its own name.",
    )
    warmup: SourceRef | Cases | None = Field(
        default=None,
        description="A folder with the files that the config's `model_warmup` names; or "
        "`{ cases = … }`, golden cases of which requests are made that warm it up.",
    )
    files: dict[str, SourceRef] = Field(
        default={},
        description="Path in the model's folder → a file or folder: what lies beside the "
        "versions, such as a backend's own library.",
    )
    repoagents: list[ByName[RepoAgentInfo] | Agent] = Field(
        default=[],
        description="Repository agents, in order: names, or tables with `parameters`. "
        "`checksum` without parameters checks the MD5 of each file of the model.",
    )
    caches: list[ByName[CacheInfo]] = Field(
        default=[],
        description="The response cache that its server needs, one at most. The model uses it "
        "unless its config says otherwise.",
    )
    bls: list[Dep[ModelInfo]] = Field(
        default=[], description="Models that it calls itself; they are served with it."
    )
    name: str | None = Field(
        default=None, description="Triton's name of the model, if not the target's."
    )
    requirements: list[str] = Field(
        default=[], description="Python packages that the model imports, such as `numpy<2`."
    )
    distribution: Dep[DistributionInfo] | None = workspace_default(
        "The Triton that it is for: whose release its config is checked against, and that "
        "`tritonbuild run` serves it with."
    )
