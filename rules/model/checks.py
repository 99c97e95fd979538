"""What a model's manifest alone tells to be wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tritonbuild.rule import AnalysisError, Context, Problem, dotted

from ..component import BackendInfo
from ..model_config import ensemble
from ..model_config import message as model_config
from ..model_config.overlay import lay_over
from ..model_config.policy import leading_number
from ..model_config.versions import wrong_number
from ..paths import EXPECTED, is_relative, overlap
from ..server.shell import SHELL_WORD, shell_word

CONFIG = "config.pbtxt"


def check(
    ctx: Context[Any], name: str, backend: BackendInfo | None, stored: Mapping[str, str]
) -> Any:
    """The config, as far as the manifest alone says it. `stored` holds, for each path that an
    attribute puts into the model's folder, the attribute's key. Raises AnalysisError with
    everything that is wrong."""
    config = model_config.empty()
    problems = [
        *_name(name, backend),
        *(_model(ctx, backend) if ctx.attributes.backend else _ensemble(ctx)),
        *_paths(ctx, stored),
        *_config(ctx, config, name, backend),
    ]
    errors = [
        ctx.error(problem.found, key=problem.key, expected=problem.expected, remedy=problem.remedy)
        for problem in problems
    ]
    if errors:
        raise AnalysisError(*(problem for error in errors for problem in error.problems))
    return config


def _name(name: str, backend: BackendInfo | None) -> Iterator[Problem]:
    if not name.strip() or not name.isprintable() or "/" in name or name in (".", ".."):
        expected = "a name that is not blank, without '/', and neither '.' nor '..'"
        yield Problem(f"Triton takes no model {name!r}", expected, key="name")
    elif backend and (backend.python_based or backend.name == "python"):
        if SHELL_WORD.fullmatch(name):
            return
        # Triton 2.51 starts the stub with the model's path unquoted in `bash -c`; a space in it
        # makes the server wait for ever.
        yield Problem(
            f"{_backend(backend)} cannot start a model {name!r}",
            "a name without spaces and other characters that a shell takes apart",
            f'name = "{shell_word(name)}"',
            key="name",
        )


def _backend(backend: BackendInfo) -> str:
    if backend.name == "python":
        return "the python backend"
    return f"the {backend.name} backend, which runs in the python backend,"


def _model(ctx: Context[Any], backend: BackendInfo | None) -> Iterator[Problem]:
    attributes = ctx.attributes
    if attributes.steps:
        yield Problem(
            "`backend` and `steps`",
            "one of the two: the steps of an ensemble have their backends",
            key="steps",
        )
    if not attributes.versions:
        remedy = 'say which files it is made of: versions = { 1 = "model.onnx" }'
        yield Problem("no version", "at least one", remedy, key="versions")
    for number, content in attributes.versions.items():
        key = dotted(("versions", number))
        if wrong := wrong_number(number):
            expected = "a whole number above 0, without a leading 0"
            yield Problem(wrong[0], expected, wrong[1], key=key)
        if isinstance(content, Mapping):
            for file in content:
                if not is_relative(file):
                    found = f"{file!r} is not a path below the version's folder"
                    yield Problem(found, EXPECTED, key=key)
            if twice := overlap(content):
                found = f"{twice[1]!r} lies inside {twice[0]!r}"
                yield Problem(found, remedy="take one of them away", key=key)


def _ensemble(ctx: Context[Any]) -> Iterator[Problem]:
    attributes = ctx.attributes
    if not attributes.steps:
        yield Problem(
            "neither `backend` nor `steps`",
            "the backend that runs it, or the steps of an ensemble",
            key="",
        )
        return
    for key, why in {
        "versions": "its version folder, 1, is made",
        "requirements": "its members have theirs",
        "warmup": "Triton warms up its members, not itself",
        "bls": "its members are its steps",
    }.items():
        if getattr(attributes, key):
            yield Problem(f"{key} of an ensemble", f"none: {why}", key=key)
    for index, step in enumerate(attributes.steps):
        for key in ("inputs", "outputs"):
            if not getattr(step, key):
                expected = "at least one: the member's tensor → the ensemble's"
                yield Problem(f"no {key}", expected, key=f"steps[{index}].{key}")
        if step.version != -1 and step.version < 1:
            found, expected = f"version {step.version}", "-1 for the latest, or a version's number"
            yield Problem(found, expected, key=f"steps[{index}].version")


def _paths(ctx: Context[Any], stored: Mapping[str, str]) -> Iterator[Problem]:
    """What cannot lie, or be, where it is meant to."""
    good = {CONFIG: "config", **dict.fromkeys(ctx.attributes.versions or ("1",), "versions")}
    for path, key in stored.items():
        first, _, below = path.partition("/")
        if not is_relative(path):
            yield Problem(f"{path!r} is not a path below the model's folder", EXPECTED, key=key)
        elif first in good or first.isdecimal() or (below and leading_number(first) is not None):
            there = good.get(first, "versions")
            found = f"{path!r} is the place of the model's {there}"
            yield Problem(found, "a place beside it", f"say it under `{there}`", key=key)
    if len(ctx.attributes.caches) > 1:
        found = f"{len(ctx.attributes.caches)} caches"
        yield Problem(found, "one: a server has one response cache at most", key="caches")
    relative = [path for path in stored if is_relative(path)]
    if twice := overlap(relative):
        found = f"{twice[1]!r} lies inside {twice[0]!r}, which `{stored[twice[0]]}` puts there"
        yield Problem(found, remedy="take one of them away", key=stored[twice[1]])


def _config(
    ctx: Context[Any], config: Any, name: str, backend: BackendInfo | None
) -> Iterator[Problem]:
    """Completes the config in place."""
    yield from lay_over(config, ctx.attributes.config, "config")
    if backend is None:
        wrong = ensemble.identify(config, name)
    else:
        wrong = model_config.complete(config, name, backend.name)
    for problem in wrong:
        yield replace(problem, key=f"config.{problem.key}")
