"""What the step that makes a model's folder is given, attribute by attribute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from tritonbuild.rule import Artifact, Context, Literal, Source, SourceRef, dotted

from ..component import RepoAgentInfo
from ..distribution import DistributionInfo
from ..model_config.md5 import make_md5
from ..model_config.places import CHECKSUM, CONFIG_FILE
from ..servable import ModelInfo
from ..server.ask import asked, may_know_more
from .attributes import Agent, Cases


@dataclass
class Parts:
    parameters: dict[str, Any]
    inputs: dict[str, Artifact] = field(default_factory=dict)
    stored: dict[str, str] = field(default_factory=dict)
    """Path in the model's folder → the key of the attribute that puts something there."""


def add_files(ctx: Context[Any], parts: Parts) -> None:
    """Versions, labels, configs and whatever else lies in the model's folder."""
    attributes, inputs = ctx.attributes, parts.inputs
    _add_versions(ctx, parts)
    if attributes.config:
        parts.parameters["config"] = attributes.config
    if attributes.config_file is not None:
        inputs[CONFIG_FILE] = ctx.source(attributes.config_file)
        parts.parameters[CONFIG_FILE] = _place(inputs[CONFIG_FILE], attributes.config_file)
    for output, ref in attributes.labels.items():
        file, key = ctx.source(ref), dotted(("labels", output))
        stored = _own_name(file)
        if inputs.setdefault(f"labels/{stored}", file) != file:
            found = f"two files called {stored!r}"
            raise ctx.error(found, key=key, expected="a name of its own for each")
        parts.parameters.setdefault("labels", {})[output] = stored
        parts.stored[stored] = key
    for path, ref in attributes.files.items():
        inputs[f"files/{path}"] = ctx.source(ref)
        parts.stored[path] = dotted(("files", path))
    if attributes.configs is not None:
        parts.parameters["configs"] = {}
        for path, artifact in ctx.sources([attributes.configs]).items():
            stored = PurePosixPath(path).name
            if inputs.setdefault(f"configs/{stored}", artifact) != artifact:
                raise ctx.error(f"two files called {stored!r}", key="configs")
            parts.parameters["configs"][stored] = _place(artifact, attributes.configs)
        parts.stored["configs"] = "configs"
    if attributes.warmup is not None:
        parts.stored["warmup"] = "warmup"
        if isinstance(attributes.warmup, SourceRef):
            inputs["warmup"] = ctx.source(attributes.warmup)


def _add_versions(ctx: Context[Any], parts: Parts) -> None:
    versions: dict[str, str] = {}
    for number, content in ctx.attributes.versions.items():
        if isinstance(content, SourceRef):
            parts.inputs[f"versions/{number}"] = artifact = ctx.source(content)
            versions[number] = _own_name(artifact)
        else:
            versions[number] = ""
            for file, ref in content.items():
                parts.inputs[f"versions/{number}/{file}"] = ctx.source(ref)
    if versions:
        parts.parameters["versions"] = versions


def add_agents(ctx: Context[Any], parts: Parts) -> Iterator[RepoAgentInfo]:
    for said in ctx.attributes.repoagents:
        agent = ctx.provider(said.agent if isinstance(said, Agent) else said)
        told = {"agent": agent.name}
        if isinstance(said, Agent):
            told["parameters"] = said.parameters
        parts.parameters.setdefault("repoagents", []).append(told)
        yield agent


def add_steps(
    ctx: Context[Any], parts: Parts, distribution: DistributionInfo | None
) -> Iterator[ModelInfo]:
    """Yields an ensemble's members. A server is asked for what only it knows of one, where the
    ensemble's own inputs and outputs follow from it."""
    attributes = ctx.attributes
    # A config.pbtxt of an ensemble says them, or no server takes it.
    says_io = attributes.says_io or attributes.config_file is not None
    asking = None if says_io else distribution
    for step in ctx.attributes.steps:
        member = ctx.provider(step.model)
        yield member
        parts.parameters.setdefault("steps", []).append(
            {
                "model": member.name,
                "version": step.version,
                "inputs": step.inputs,
                "outputs": step.outputs,
            }
        )
        parts.parameters.setdefault("members", {})[member.name] = list(member.versions)
        config = member.config
        if asking and not member.says_io and may_know_more(member):
            config = asked(ctx, asking, member)
        parts.inputs[f"members/{member.name}"] = config


def add_derived(ctx: Context[Any], parts: Parts) -> None:
    """Steps whose results go into the folder: they depend on files only, so that they are not
    run again when the config is edited."""
    attributes = ctx.attributes
    if isinstance(attributes.warmup, Cases):
        from ..verify.warmup import make_warmup

        parts.parameters["warmup"] = {"count": attributes.warmup.count}
        cases = ctx.sources([attributes.warmup.cases])
        inputs = {f"cases/{path}": artifact for path, artifact in cases.items()}
        places = {path: _place(file, attributes.warmup.cases) for path, file in cases.items()}
        made = ctx.tool(make_warmup, inputs=inputs, hints={"places": places}, outputs=["warmup"])
        parts.inputs["warmup"] = made["warmup"]
    told = parts.parameters.get("repoagents", [])
    if {"agent": CHECKSUM} in told:
        for group, files in _groups(parts.inputs).items():
            made = ctx.tool(make_md5, name=f"md5 {group}", inputs=files, outputs=["md5"])
            parts.inputs[f"md5/{group}"] = made["md5"]


def _groups(inputs: Mapping[str, Artifact]) -> dict[str, dict[str, Artifact]]:
    """The model's files by what changes together: each version, and the rest."""
    groups: dict[str, dict[str, Artifact]] = {}
    for path, artifact in inputs.items():
        kind, _, below = path.partition("/")
        if kind == "versions":
            groups.setdefault(below.partition("/")[0], {})[path] = artifact
        elif kind in ("labels", "files", "configs", "warmup"):
            groups.setdefault("files", {})[path] = artifact
    return groups


def sources(ctx: Context[Any]) -> Iterator[tuple[str, str]]:
    """Of what lies in the workspace as it is served."""
    refs: dict[str, SourceRef] = dict(ctx.attributes.files)
    for number, content in ctx.attributes.versions.items():
        if isinstance(content, SourceRef):
            refs[f"{number}/"] = content
        else:
            refs |= {f"{number}/{file}": ref for file, ref in content.items()}
    for path, ref in sorted(refs.items()):
        artifact = ctx.source(ref)
        if isinstance(artifact, Source) and ctx.names(ref):
            yield f"{path.rstrip('/')}/", f"{artifact.path}/"
        elif isinstance(artifact, Source):
            yield path, artifact.path


def _own_name(artifact: Artifact) -> str:
    return "" if isinstance(artifact, Literal) else PurePosixPath(artifact.path).name


def _place(artifact: Artifact, ref: SourceRef) -> str:
    """A config file's name, for messages."""
    return ref.text if isinstance(artifact, Literal) or ref.is_label else artifact.path
