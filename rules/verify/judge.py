"""The step that reads golden cases and holds them against their models before a server starts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tritonbuild.rule import (
    ActionError,
    Folder,
    Problem,
    ToolContext,
    did_you_mean,
    dotted,
    tool,
)

if TYPE_CHECKING:
    from .case import Case
    from .known import Known

CASES, CONFIGS = "cases", "configs"
"""Inputs: the case files, and NAME.json, its config, of each model. The output has the first
one's name too."""
PLACES = "places"
"""The hint that says where cases lie in the workspace, by their path in the input."""


@tool("cases", version=1, libraries=("numpy", "protobuf", "tritonclient"))
def check_cases(ctx: ToolContext) -> None:
    """Raises ActionError with everything that is wrong. Puts out the cases without what means
    nothing in them, so that no server is started again because of a space."""
    from .case import CaseError
    from .cases import read
    from .check import check
    from .golden import model_of

    models = _known(ctx)
    problems: list[Problem] = []
    files = case_files(ctx)
    for name, file in files.items():
        try:
            case = read(file, name)
            model = model_of(case, list(models), ctx.parameters["named"])
        except CaseError as error:
            found = [error.problem]
        else:
            found = list(check(case, model, models[model]))
            _put_out(ctx, name, case)
        problems += (problem.at(file=_place(ctx, name)) for problem in found)
    if not files:
        problems.append(Problem("no case", "files that end in .json or .npz", key="cases"))
    problems += _tolerances(ctx, models)
    if problems:
        raise ActionError(*problems)


def case_files(ctx: ToolContext) -> dict[str, Path]:
    """By their path below the package, sorted."""
    folder = ctx.inputs.get(CASES)
    if not isinstance(folder, Folder):
        return {}
    return {path: ctx.path(f"{CASES}/{path}") for path, _ in folder.files()}


def places(ctx: ToolContext) -> dict[str, str]:
    """Where the cases lie in the workspace, by their path below the package."""
    return {name: _place(ctx, name) for name in case_files(ctx)}


def _place(ctx: ToolContext, name: str) -> str:
    """Of a file, or of one in a folder."""
    for path, place in ctx.hints.get(PLACES, {}).items():
        if name == path or name.startswith(f"{path}/"):
            return str(place) + name.removeprefix(path)
    return name


def _known(ctx: ToolContext) -> dict[str, Known]:
    from ..model_config.completion import Full
    from .known import known

    versions: Mapping[str, list[int]] = ctx.parameters["versions"]
    full = {name: Full.from_json(ctx.read(f"{CONFIGS}/{name}.json")) for name in versions}
    return known({name: (each.config, not each.unknown) for name, each in full.items()}, versions)


def _put_out(ctx: ToolContext, name: str, case: Case) -> None:
    from . import case_json
    from .case import is_large

    entry = ctx.inputs.get(f"{CASES}/{name}")
    assert entry is not None, "it was read"
    if name.endswith(".json") and not is_large(case):
        ctx.write(f"{CASES}/{name}", case_json.write(case))
    else:
        ctx.link(f"{CASES}/{name}", entry)


def _tolerances(ctx: ToolContext, models: Mapping[str, Known]) -> Iterator[Problem]:
    """Outputs in a table of tolerances that no model has."""
    if not all(model.is_full for model in models.values()):
        return
    outputs = {output.name for model in models.values() for output in model.config.output}
    for key in ("rtol", "atol"):
        said = ctx.parameters[key]
        for output in sorted(set(said) - outputs) if isinstance(said, Mapping) else ():
            found = f"no model of the target has an output {output!r}"
            remedy = did_you_mean(output, outputs)
            yield Problem(found, "", remedy, key=dotted((key, output)))
