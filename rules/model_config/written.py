"""The config that people wrote: a config file, the manifest's `config` over it, and what the
manifest's other attributes say of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tritonbuild.rule import ActionError, File, Problem, ToolContext, did_you_mean, dotted

from . import message as model_config
from .ensemble import identify, lay_out_steps
from .lines import line_of
from .overlay import lay_over
from .places import CONFIG_FILE
from .sources import Sources, after, all_from, leaves


@dataclass
class Written:
    config: Any
    sources: Sources
    file: str = ""
    """The config file's name, for messages."""
    content: bytes = b""
    """What it says."""


def written(ctx: ToolContext) -> Written:
    """Raises ActionError with everything that is wrong in words."""
    said = _from_file(ctx)
    before = dict(leaves(said.config))
    # The manifest's own words were judged at analysis, so what is wrong stands in the file.
    problems = list(lay_over(said.config, ctx.parameters.get("config", {}), "config"))
    for problem in _identify(said.config, ctx.parameters):
        line = line_of(said.content, (problem.key,))
        problems.append(replace(problem, key="", file=said.file, line=line))
    problems += _attributes(said.config, ctx.parameters)
    said.sources = after(before, said.sources, said.config, "manifest")
    if problems:
        raise ActionError(*problems)
    return said


def parsed(ctx: ToolContext, path: str, place: str) -> tuple[Any, bytes, list[Problem]]:
    """The config file that came in at a path, its content and what is wrong with it; `place` is
    its name for messages."""
    if not isinstance(ctx.inputs.get(path), File):
        return model_config.empty(), b"", [Problem(f"{place} is a folder", "a config.pbtxt")]
    content = ctx.read(path)
    config, problems = model_config.parse(content, place)
    return config, content, problems


def _from_file(ctx: ToolContext) -> Written:
    place = ctx.parameters.get(CONFIG_FILE, "")
    if not place:
        return Written(model_config.empty(), {})
    config, content, problems = parsed(ctx, CONFIG_FILE, place)
    if problems:
        raise ActionError(*problems)
    return Written(config, all_from(config, "file"), place, content)


def _identify(config: Any, parameters: Mapping[str, Any]) -> Iterator[Problem]:
    if parameters["backend"]:
        return model_config.complete(config, parameters["name"], parameters["backend"])
    return identify(config, parameters["name"])


def _attributes(config: Any, parameters: Mapping[str, Any]) -> Iterator[Problem]:
    """Sets what steps, repository agents and caches say. Keys are the manifest's."""
    if "steps" in parameters:
        for problem in lay_out_steps(config, parameters["steps"]):
            yield replace(problem, key="steps")
    if "repoagents" in parameters:
        yield from _agents(config, parameters["repoagents"])
    elif config.model_repository_agents.agents:
        names = [agent.name for agent in config.model_repository_agents.agents]
        quoted = ", ".join(f'"{name}"' for name in names)
        yield Problem(
            f"its config has repository agents that `repoagents` does not name: {quoted}",
            "a name for each, so that servers and images get them",
            f"say repoagents = [{quoted}]",
            key="config.model_repository_agents",
        )
    if "caches" in parameters and not config.HasField("response_cache"):
        config.response_cache.enable = True


def _agents(config: Any, said: list[Mapping[str, Any]]) -> Iterator[Problem]:
    """The attribute's agents in its order; one without parameters keeps those that the config
    says, if any."""
    here = {agent.name: dict(agent.parameters) for agent in config.model_repository_agents.agents}
    names = [agent["agent"] for agent in said]
    for name in here:
        if name not in names:
            yield Problem(
                f"its config has a repository agent {name!r} that `repoagents` does not name",
                remedy=f"add it; {did_you_mean(name, names)}",
                key="repoagents",
            )
    del config.model_repository_agents.agents[:]
    for agent in said:
        parameters = agent.get("parameters", here.get(agent["agent"], {}))
        config.model_repository_agents.agents.add(name=agent["agent"], parameters=parameters)


def lay_out_labels(config: Any, labels: Mapping[str, str]) -> Iterator[Problem]:
    """Sets each output's label file. Keys are the manifest's."""
    outputs = {output.name: output for output in config.output}
    for name, file in labels.items():
        key = dotted(("labels", name))
        if name not in outputs:
            found = f"the model has no output {name!r}"
            yield Problem(found, remedy=did_you_mean(name, outputs), key=key)
        elif outputs[name].label_filename not in ("", file):
            found = f"the config names {outputs[name].label_filename!r} for the same output"
            yield Problem(found, repr(file), "leave it out of the config", key=key)
        else:
            outputs[name].label_filename = file
