"""What `tritonbuild config` shows: the full configs of models, with the source of each field, or
how they differ from another.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from tritonbuild.rule import (
    AnalysisError,
    Artifact,
    Context,
    Dep,
    KeyPath,
    Problem,
    RunInfo,
    ToolContext,
    UsageError,
    dotted,
    tool,
)

from ..distribution import DistributionInfo, needed
from ..model_config.completion import Full
from ..model_config.difference import differences
from ..model_config.sources import LEFT_TO_TRITON
from ..servable import ModelInfo
from .ask import asked, may_know_more
from .other import is_server, other_config

WIDEST = 56
"""Columns that the text of a line may take before its comment no longer stands in line."""
COLOURS = {"manifest": 32, "file": 36, "completed": 33, "server": 35, "default": 90}
"""Of a source, as ANSI escape codes have them."""
DIFFERENT = 1
FOUND_BY_THE_CORE = (("name",), ("backend",), ("platform",), ("default_model_filename",))
"""What a config file need not say: the core knows it from the folder and from one another."""


def config_info(
    ctx: Context[Any],
    models: Iterable[ModelInfo],
    distribution: Dep[DistributionInfo] | None,
) -> RunInfo:
    """Prints the full configs of models. A server of the distribution is asked where it may know
    more than their files tell, unless the setting `offline` forbids it; with the setting `ask`
    also where the files should tell all."""
    offline, always = (ctx.settings.get(name) == "true" for name in ("offline", "ask"))
    inputs: dict[str, Artifact] = {}
    shown = []
    for model in models:
        config = model.config
        unasked: tuple[Problem, ...] = ()
        if (may_know_more(model) or always) and not offline:
            try:
                config = asked(ctx, needed(ctx, distribution), model)
            except AnalysisError as error:  # which is none where the files tell all
                if always:
                    raise
                unasked = error.problems
        inputs[f"configs/{model.name}"] = config
        shown.append(
            {
                "label": str(model.label),
                "name": model.name,
                "environment": _has_environment(model),
                "unasked": [problem.to_json() for problem in unasked],
            }
        )
    parameters = {
        "models": shown,
        "offline": False,
        "ask": False,
        "as_json": False,
        "colour": False,
        "diff": "",
        "model": "",
    }
    return ctx.interactive(show_config, parameters=parameters, inputs=inputs, is_test=True)


def _has_environment(model: ModelInfo) -> bool:
    """Whether a server that the build starts gets a Python environment for it."""
    return bool(model.requirements or (model.backend and model.backend.requirements))


@tool("config", version=2)
def show_config(ctx: ToolContext) -> int:
    """Prints to standard output; advice and what is not known go to the log. 1: they differ."""
    different = False
    several = len(ctx.parameters["models"]) > 1
    other = ctx.parameters["diff"]
    if several and other and (ctx.parameters["model"] or not is_server(other)):
        found = f"{other} has one model's config, and here are several"
        raise UsageError(Problem(found, "a server, or the label of one model"))
    for model in ctx.parameters["models"]:
        full = Full.from_json(ctx.read(f"configs/{model['name']}"))
        if full.unknown and model["unasked"]:
            raise AnalysisError(*(_offline(Problem(**told)) for told in model["unasked"]))
        for problem in full.advice:
            ctx.log.write(f"advice: {problem.at(label=model['label'])}\n")
        for why in full.unknown:
            ctx.log.write(f"note: {model['label']}: not all is known without a server: {why}\n")
        if full.unknown and not ctx.parameters["offline"]:
            ctx.log.write("note: --ask asks one\n")
        if ctx.parameters["diff"]:
            different |= _differs(ctx, model, full)
            continue
        if ctx.parameters["as_json"]:
            _say(_event(model, full))
            continue
        if several:
            _say(f"# {model['label']}\n")
        for line in _annotated(full, colour=ctx.parameters["colour"]):
            _say(line)
    return DIFFERENT if different else 0


def _offline(problem: Problem) -> Problem:
    """Why no server can be asked, with the way to do without one."""
    remedy = "; or --offline, for what is known without a server"
    return replace(problem, remedy=problem.remedy + remedy)


def _annotated(full: Full, *, colour: bool) -> Iterator[str]:
    """Protobuf text, with the source of each field in a comment."""
    from ..model_config.text import lines

    told = [(f"{'  ' * line.depth}{line.text}", line.path) for line in lines(full.config)]
    width = max((len(text) for text, path in told if path and len(text) <= WIDEST), default=0)
    for text, path in told:
        source = full.sources.get(path)
        if source is None:
            yield f"{text}\n"
            continue
        comment = f"# {source}"
        if colour:
            comment = f"\x1b[{COLOURS[source]}m{comment}\x1b[0m"
        yield f"{text:<{width}}  {comment}\n"
    for why in full.unknown:
        yield f"# not all is known without a server: {why}\n"


def _event(model: dict[str, Any], full: Full) -> str:
    told = json.loads(full.to_json())
    event = {
        "event": "config",
        "label": model["label"],
        "model": model["name"],
        "config": told["config"],
        "sources": {dotted(path): source for path, source in full.sources.items()},
        "unknown": full.unknown,
        "advice": told["advice"],
    }
    return json.dumps(event, separators=(",", ":")) + "\n"


def _differs(ctx: ToolContext, model: dict[str, Any], full: Full) -> bool:
    """Prints what another config says otherwise."""
    parameters = ctx.parameters
    other = other_config(parameters["diff"], parameters["model"] or model["name"])
    found = []
    for difference in differences(other.config, full.config):
        if not other.is_full and difference.theirs is None and _is_left(full, difference.path):
            continue
        if model["environment"] and difference.path[:2] == ("parameters", "EXECUTION_ENV_PATH"):
            continue  # a server that the build starts gets one; no config says it
        found.append(difference)
    if parameters["as_json"]:
        event = {
            "event": "difference",
            "label": model["label"],
            "other": parameters["diff"],
            "fields": [
                {"key": dotted(one.path), "theirs": one.theirs, "ours": one.ours} for one in found
            ],
        }
        _say(json.dumps(event, separators=(",", ":")) + "\n")
        return bool(found)
    for one in found:
        for sign, number, value in (("-", 31, one.theirs), ("+", 32, one.ours)):
            if value is not None:
                text = f"{sign} {dotted(one.path)}: {value}"
                _say(f"\x1b[{number}m{text}\x1b[0m\n" if parameters["colour"] else f"{text}\n")
    return bool(found)


def _is_left(full: Full, path: KeyPath) -> bool:
    """Whether a config file may leave it to Triton."""
    return full.sources.get(path) in LEFT_TO_TRITON or path in FOUND_BY_THE_CORE


def _say(text: str) -> None:
    """On standard output. That nobody reads any more (`| head`) changes nothing else."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
