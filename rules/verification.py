"""The `verifications` rule: a real server, on this machine, loads what is meant and answers as
expected.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tritonbuild.rule import (
    Artifact,
    Context,
    Dep,
    Field,
    Files,
    Folder,
    Rule,
    SourceRef,
    TestInfo,
    ToolContext,
    tool,
    workspace_default,
)

from .distribution import DistributionInfo, needed
from .servable import ServableInfo
from .server.inputs import served

RESULT, JUNIT, LOG = "result.json", "junit.xml", "server.log"


class Verifications(Rule):
    """A test of models on a server: `smoke`, that all of them load; `golden`, that they answer
    requests as cases say."""

    table = "verifications"
    provides = (Files, TestInfo)

    class Attributes(Rule.Attributes):
        kind: typing.Literal["smoke", "golden"] = Field(
            default="smoke", description="What is verified."
        )
        target: Dep[ServableInfo] = Field(description="A model or a repository.")
        cases: SourceRef | None = Field(
            default=None,
            description="Golden cases, a file or a glob: .json with inputs and outputs as KServe "
            "v2 writes tensors, or .npz with arrays named inputs/NAME and outputs/NAME.",
        )
        rtol: float = Field(
            default=1e-5,
            ge=0,
            allow_inf_nan=False,
            description="How far a float may be off, as a part of the expected value.",
        )
        atol: float = Field(
            default=1e-8, ge=0, allow_inf_nan=False, description="How far it may be off besides."
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
        models = ctx.provider(attributes.target).models
        inputs, parameters = served(ctx, needed(ctx, attributes.distribution), models)
        parameters |= {
            "kind": attributes.kind,
            "timeout": attributes.timeout,
            **self._golden(ctx, inputs),
        }
        made = ctx.tool(
            verify,
            parameters=parameters,
            inputs=inputs,
            outputs=[RESULT, JUNIT, LOG],
            is_test=True,
        )
        yield Files(made)
        yield TestInfo(attributes.kind, made[RESULT].action, tuple(m.label for m in models))

    def _golden(self, ctx: Context[Any], inputs: dict[str, Artifact]) -> dict[str, Any]:
        """Adds the cases to the inputs; parameters that only this kind has."""
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
        for path, artifact in ctx.sources([attributes.cases]).items():
            inputs[f"cases/{path}"] = artifact
        return {"rtol": attributes.rtol, "atol": attributes.atol}


@tool("verify", version=2)
def verify(ctx: ToolContext) -> int:
    """Starts a server, asks it, and writes what it found. 1: the verification failed."""
    from .server.diagnose import ServerError
    from .server.layout import lay_out
    from .server.process import server
    from .verify import golden, smoke
    from .verify.client import client
    from .verify.report import Report

    parameters = ctx.parameters
    report = Report(parameters["kind"], _models(ctx))
    log = ctx.scratch / LOG
    log.touch()
    try:
        layout = lay_out(ctx, ctx.scratch / "server")
        with server(ctx, layout, log, timeout=parameters["timeout"]) as running:
            report.start_seconds = running.start_seconds
            if report.kind == "smoke":
                report.outcomes += smoke.run(running, report.models)
            else:

                def unwanted() -> str:
                    return running.gone or ("stopped" if ctx.cancelled else "")

                repository = str(layout.repository)
                with client(running.grpc, parameters["timeout"], repository, unwanted) as asking:
                    report.outcomes += golden.run(
                        asking, _cases(ctx), report.models, parameters["rtol"], parameters["atol"]
                    )
    except ServerError as error:
        report.problems += [str(problem) for problem in error.problems]
    ctx.write(RESULT, report.json)
    ctx.write(JUNIT, report.junit)
    ctx.adopt(LOG, log)
    ctx.log.write(report.text)
    return 0 if report.passed else 1


def _models(ctx: ToolContext) -> list[str]:
    folder = ctx.inputs.get("models")
    assert isinstance(folder, Folder), "a server without models is not declared"
    return sorted(folder.entries)


def _cases(ctx: ToolContext) -> Mapping[str, Path]:
    """Files by their path below the package, sorted."""
    folder = ctx.inputs.get("cases")
    assert isinstance(folder, Folder), "a golden verification has cases"
    return {path: ctx.path(f"cases/{path}") for path, _ in folder.files()}
