"""The `verifications` rule: a real server, on this machine, loads what is meant and answers as
expected.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from tritonbuild.rule import (
    Annotated,
    Artifact,
    Context,
    Dep,
    Field,
    Files,
    Folder,
    Rule,
    Source,
    SourceRef,
    TestInfo,
    ToolContext,
    tool,
    workspace_default,
)

from .distribution import DistributionInfo, needed
from .servable import ServableInfo
from .server.inputs import IMAGE, in_image, served
from .verify.judge import CASES, CONFIGS, PLACES, case_files, check_cases, places
from .verify.tolerances import ATOL, RTOL

NO_GPU = "a verification cannot run on a GPU yet; `tritonbuild run` serves it on one"
PLATFORM = "linux/amd64"
"""Of the image of an index that is verified: this machine's."""
RESULT, JUNIT, LOG = "result.json", "junit.xml", "server.log"
_LOOK = f"{LOG} among the verification's outputs has all that the server said"

Tolerance = Annotated[float, Field(ge=0, allow_inf_nan=False)]


if typing.TYPE_CHECKING:
    from .server.launch import Launch


class Verifications(Rule):
    """A test of models on a server: `smoke`, that all of them load; `golden`, that they answer
    requests as cases say. Or `static`, of an image: that it lacks no library."""

    table = "verifications"
    provides = (Files, TestInfo)

    class Attributes(Rule.Attributes):
        kind: typing.Literal["smoke", "golden", "static"] = Field(
            default="smoke", description="What is verified."
        )
        target: Dep[ServableInfo] = Field(description="A model, a repository or an image.")
        cases: SourceRef | None = Field(
            default=None,
            description="Golden cases, a file, a folder or a glob: .json with inputs and outputs "
            "as KServe v2 writes tensors, or .npz with arrays named inputs/NAME and outputs/NAME; "
            "responses for decoupled models, sequences for stateful ones.",
        )
        rtol: Tolerance | dict[str, Tolerance] = Field(
            default=RTOL,
            description="How far a float may be off, as a part of the expected value; or a table: "
            "output → how far.",
        )
        atol: Tolerance | dict[str, Tolerance] = Field(
            default=ATOL, description="How far it may be off besides; or a table."
        )
        timeout: float = Field(
            default=60.0,
            gt=0,
            allow_inf_nan=False,
            description="Seconds that the server may take to start, and any answer to come.",
        )
        distribution: Dep[DistributionInfo] | None = workspace_default("Whose server it is.")

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        attributes = ctx.attributes
        target = ctx.provider(attributes.target)
        cases = self._cases(ctx)
        if attributes.kind == "static":
            yield from _static(ctx, target)
            return
        if target.image is None:
            inputs, parameters = served(ctx, needed(ctx, attributes.distribution), target.models)
        else:
            inputs, parameters = in_image(target.image, target.models)
        parameters |= {"kind": attributes.kind, "timeout": attributes.timeout}
        if cases:
            parameters |= self._golden(ctx, target, cases, inputs)
        made = ctx.tool(
            run_verification,
            parameters=parameters,
            inputs=inputs,
            hints=_places(cases),
            outputs=[RESULT, JUNIT, LOG],
            is_test=True,
        )
        yield Files(made)
        labels = tuple(model.label for model in target.named)
        yield TestInfo(attributes.kind, made[RESULT].action, labels)

    def _cases(self, ctx: Context[Any]) -> dict[str, Artifact]:
        """Those of a golden verification, by their path below the package."""
        attributes = ctx.attributes
        if attributes.kind != "golden":
            for key in ("cases", "rtol", "atol"):
                if key in attributes.model_fields_set:
                    raise ctx.error(
                        f"{key} in a verification of kind {attributes.kind!r}",
                        key=key,
                        expected='kind = "golden"',
                    )
            return {}
        if attributes.cases is None:
            raise ctx.error(
                "a golden verification without cases",
                key="kind",
                expected="cases: files with requests and the right answers",
                remedy='say cases = "golden/*.json", or kind = "smoke"',
            )
        return ctx.sources([attributes.cases])

    def _golden(
        self,
        ctx: Context[Any],
        target: ServableInfo,
        cases: dict[str, Artifact],
        inputs: dict[str, Artifact],
    ) -> dict[str, Any]:
        """Adds the cases to the inputs, once they are found to be good; parameters that only this
        kind has."""
        attributes = ctx.attributes
        parameters = {
            "named": sorted(model.name for model in target.named),
            "rtol": attributes.rtol,
            "atol": attributes.atol,
        }
        versions = {model.name: list(model.versions) for model in target.models}
        checked = ctx.tool(
            check_cases,
            parameters={**parameters, "versions": versions},
            inputs={
                **{f"{CASES}/{path}": artifact for path, artifact in cases.items()},
                **{f"{CONFIGS}/{model.name}.json": model.config for model in target.models},
            },
            hints=_places(cases),
            outputs=[CASES],
        )
        inputs[CASES] = checked[CASES]
        return parameters


def _static(ctx: Context[Any], target: ServableInfo) -> Iterator[object]:
    from .verify.static import static

    if target.image is None:
        raise ctx.error(
            f"{ctx.attributes.target.text} is no image", key="target", expected="an image",
            remedy='say kind = "smoke", or verify an image that carries the models',
        )  # fmt: skip
    made = static(ctx, target.image, target.catalogue)
    yield Files(made)
    labels = tuple(model.label for model in target.named)
    yield TestInfo(ctx.attributes.kind, made[RESULT].action, labels)


@tool("verify", version=4)
def run_verification(ctx: ToolContext) -> int:
    """Starts a server, asks it, and writes what it found. 1: the verification failed."""
    from .server.diagnose import ServerError, without_gpu
    from .server.process import server
    from .verify import golden, smoke
    from .verify.client import client
    from .verify.compare import Tolerances
    from .verify.report import Report

    parameters = ctx.parameters
    folders = _models(ctx)
    report = Report(parameters["kind"], list(folders))
    log = ctx.scratch / LOG
    log.touch()
    try:
        launch = _launch(ctx)
        with server(ctx, launch, log, timeout=parameters["timeout"]) as running:
            report.start_seconds = running.start_seconds
            if report.kind == "smoke":
                report.outcomes += smoke.run(running, folders)
            else:

                def unwanted() -> str:
                    return running.gone or ("stopped" if ctx.cancelled else "")

                timeout = parameters["timeout"]
                with client(running.grpc, timeout, launch.places, unwanted) as asking:
                    report.outcomes += golden.run(
                        asking,
                        case_files(ctx),
                        report.models,
                        parameters["named"],
                        Tolerances(parameters["rtol"], parameters["atol"]),
                        places(ctx),
                    )
    except ServerError as error:
        for problem in without_gpu(error.problems, NO_GPU):
            report.problems.append(replace(problem, remedy=problem.remedy or _LOOK))
    ctx.write(RESULT, report.json)
    ctx.write(JUNIT, report.junit)
    ctx.adopt(LOG, log)
    ctx.log.write(report.text)
    return 0 if report.passed else 1


def _launch(ctx: ToolContext) -> Launch:
    """From the image that is verified, or from what models need."""
    from .layouts import image_of
    from .server.launch import FromImage, FromLayout
    from .server.layout import lay_out

    folder = ctx.inputs.get(IMAGE)
    if isinstance(folder, Folder):
        _, image = image_of(folder, ctx, PLATFORM)
        mounts = {f"/{path}": ctx.path(path) for path in ctx.parameters["external"]}
        return FromImage(image, ctx.parameters["sources"], mounts=mounts, everything=True)
    return FromLayout(lay_out(ctx, ctx.scratch / "server"))


def _places(cases: Mapping[str, Artifact]) -> dict[str, dict[str, str]]:
    """Where cases lie in the workspace, those that do: for messages."""
    places = {path: case.path for path, case in cases.items() if isinstance(case, Source)}
    return {PLACES: places}


def _models(ctx: ToolContext) -> dict[str, Folder]:
    """By Triton's names of them, sorted."""
    folder = ctx.inputs.get("models")
    assert isinstance(folder, Folder), "a server without models is not declared"
    models = {name: folder.entries[name] for name in sorted(folder.entries)}
    return {name: model for name, model in models.items() if isinstance(model, Folder)}
