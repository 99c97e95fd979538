"""The `models` rule: one model, as a folder that Triton can serve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from tritonbuild.rule import (
    AnalysisError,
    Artifact,
    ByName,
    Context,
    Dep,
    Field,
    Files,
    Literal,
    Rule,
    RunInfo,
    SourceRef,
    workspace_default,
)

from .component import BackendInfo
from .distribution import DistributionInfo, needed
from .model_config import message as model_config
from .model_config.folder import CONFIG_FILE, MODEL, make_model
from .model_config.overlay import lay_over
from .model_config.versions import wrong_number
from .paths import EXPECTED, is_relative, overlap
from .python.requirements import checked
from .servable import ModelInfo, ServableInfo
from .server.layout import SHELL_WORD
from .server.serve import serve_info


class Models(Rule):
    """A model: its versions, its config and the backend that runs it."""

    table = "models"
    provides = (Files, ModelInfo, ServableInfo)
    needed_to_run = frozenset({"distribution"})

    class Attributes(Rule.Attributes):
        backend: ByName[BackendInfo] = Field(description="What runs it: a backend's name or label.")
        versions: dict[str, SourceRef | dict[str, SourceRef]] = Field(
            default={},
            description="Version number → a file, which is stored under the name that the backend "
            "looks for; a folder, which becomes the version's folder; an output of another "
            "target, which may be either; or a table file name → one of these.",
        )
        config: dict[str, Any] = Field(
            default={},
            description="Triton's ModelConfig in TOML. Wins over `config_file`: scalars and lists "
            "replace, tables merge.",
        )
        config_file: SourceRef | None = Field(
            default=None, description="A config.pbtxt to begin with."
        )
        name: str | None = Field(
            default=None, description="Triton's name of the model, if not the target's."
        )
        requirements: list[str] = Field(
            default=[], description="Python packages that the model imports, such as `numpy<2`."
        )
        distribution: Dep[DistributionInfo] | None = workspace_default(
            "The Triton that `tritonbuild run` serves it with."
        )

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        attributes = ctx.attributes
        backend = ctx.provider(attributes.backend)
        name = ctx.label.name if attributes.name is None else attributes.name
        _check(ctx, name, backend)
        requirements = checked(ctx, attributes.requirements)
        parameters: dict[str, Any] = {"name": name, "backend": backend.name, "versions": {}}
        inputs: dict[str, Artifact] = {}
        for number, content in attributes.versions.items():
            if isinstance(content, SourceRef):
                inputs[f"versions/{number}"] = artifact = ctx.source(content)
                parameters["versions"][number] = _own_name(artifact)
            else:
                parameters["versions"][number] = ""
                for file, ref in content.items():
                    inputs[f"versions/{number}/{file}"] = ctx.source(ref)
        if attributes.config:
            parameters["config"] = attributes.config
        if attributes.config_file is not None:
            inputs[CONFIG_FILE] = ctx.source(attributes.config_file)
            parameters[CONFIG_FILE] = _place(inputs[CONFIG_FILE], attributes.config_file)
        made = ctx.tool(make_model, parameters=parameters, inputs=inputs, outputs=[MODEL])
        info = ModelInfo(ctx.label, name, made[MODEL], backend, requirements)
        yield Files({name: info.tree})
        yield info
        yield ServableInfo((info,))

    def run(self, ctx: Context[Any]) -> RunInfo:
        distribution = needed(ctx, ctx.attributes.distribution)
        return serve_info(ctx, distribution, ctx.own(ServableInfo).models)


def _check(ctx: Context[Any], name: str, backend: BackendInfo) -> None:
    """What the manifest alone tells. Raises AnalysisError with everything that is wrong."""
    attributes, errors = ctx.attributes, []
    if not name.strip() or not name.isprintable() or "/" in name or name in (".", ".."):
        expected = "a name that is not blank, without '/', and neither '.' nor '..'"
        errors.append(ctx.error(f"Triton takes no model {name!r}", key="name", expected=expected))
    elif (backend.python_based or backend.name == "python") and not SHELL_WORD.fullmatch(name):
        # Triton 2.51 starts the stub with the model's path unquoted in `bash -c`; a space in it
        # makes the server wait for ever.
        found = f"the python backend cannot start a model {name!r}"
        expected = "a name without spaces and other characters that a shell takes apart"
        errors.append(ctx.error(found, key="name", expected=expected))
    if not attributes.versions:
        remedy = 'say which files it is made of: versions = { 1 = "model.onnx" }'
        errors.append(
            ctx.error("no version", key="versions", expected="at least one", remedy=remedy)
        )
    for number, content in attributes.versions.items():
        key = f"versions.{number}"
        if wrong := wrong_number(number):
            expected = "a whole number above 0, without a leading 0"
            errors.append(ctx.error(wrong[0], key=key, expected=expected, remedy=wrong[1]))
        if isinstance(content, Mapping):
            for file in content:
                if not is_relative(file):
                    found = f"{file!r} is not a path below the version's folder"
                    errors.append(ctx.error(found, key=key, expected=EXPECTED))
            if twice := overlap(content):
                found = f"{twice[1]!r} lies inside {twice[0]!r}"
                errors.append(ctx.error(found, key=key, remedy="take one of them away"))
    config = model_config.empty()
    wrong_config = list(lay_over(config, attributes.config, "config"))
    wrong_config += (
        replace(problem, key=f"config.{problem.key}")
        for problem in model_config.complete(config, name, backend.name)
    )
    errors += [
        ctx.error(problem.found, key=problem.key, expected=problem.expected, remedy=problem.remedy)
        for problem in wrong_config
    ]
    if errors:
        raise AnalysisError(*(problem for error in errors for problem in error.problems))


def _own_name(artifact: Artifact) -> str:
    return "" if isinstance(artifact, Literal) else PurePosixPath(artifact.path).name


def _place(artifact: Artifact, ref: SourceRef) -> str:
    """A config file's name, for messages."""
    return ref.text if isinstance(artifact, Literal) or ref.is_label else artifact.path
