"""The `commands` rule: any program, run hermetically, makes files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import ByteSize

from tritonbuild.rule import (
    AnalysisError,
    Artifact,
    Context,
    Dep,
    Field,
    Files,
    Needs,
    Rule,
    SourceRef,
    workspace_default,
)

from .distribution import DistributionInfo
from .gpu import Gpu, gpu_need
from .paths import EXPECTED, is_relative, overlap
from .python.environment import environment
from .python.interpreter import DEFAULT, bundled_python
from .python.requirements import checked

IN_ENVIRONMENT = 'PATH="$(cd ../env/bin && pwd):$PATH"; export PATH; exec "$@"'
"""Wherever the input root is unpacked, the environment's programs come first."""
FIXED = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
THREADS = ("MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""Numeric libraries split sums by threads, so how many there are is part of the result."""


class Commands(Rule):
    """A program and what it makes. It sees its inputs, read-only, and nothing else of the
    workspace; it runs in the package's place, so paths are those of the manifest."""

    table = "commands"
    provides = (Files,)

    class Attributes(Rule.Attributes):
        argv: Annotated[list[str], Field(min_length=1)] = Field(
            description="The program and its arguments; no shell reads them."
        )
        inputs: list[SourceRef] = Field(
            default=[], description="Files, folders, globs and outputs of other targets."
        )
        outputs: Annotated[list[str], Field(min_length=1)] = Field(
            description="Files and folders that it makes, relative to where it runs."
        )
        requirements: list[str] | None = Field(
            default=None,
            description="Python packages for it, such as `scikit-learn==1.7.*`.",
        )
        distribution: Dep[DistributionInfo] | None = workspace_default(
            "Whose Python, with the requirements, comes first on PATH."
        )
        network: bool = Field(default=False, description="Whether it may use the network.")
        timeout: float | None = Field(default=None, gt=0, le=10**7, description="Seconds.")
        cpu: float = Field(
            default=1.0,
            gt=0,
            allow_inf_nan=False,
            description="Cores that it uses; also its number of threads.",
        )
        memory: ByteSize | None = Field(
            default=None, description="Memory that it needs, such as `2GiB`."
        )
        gpu: Gpu | bool = Field(
            default=False,
            description="A GPU of its own while it runs: true for any, or a table of what it "
            "needs. Its kind and the driver are then part of what the outputs were made from.",
        )
        env: dict[str, str] = Field(default={}, description="Environment variables.")

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        attributes = ctx.attributes
        inputs = ctx.sources(attributes.inputs)
        _check(ctx, inputs)
        argv = list(attributes.argv)
        if attributes.distribution is not None:
            distribution = ctx.provider(attributes.distribution)
            host = distribution.host
            python = host.python if host else bundled_python(ctx, DEFAULT)
            inputs["/env"] = environment(ctx, python, checked(ctx, attributes.requirements or ()))
            argv = ["sh", "-c", IN_ENVIRONMENT, "sh", *argv]
        elif attributes.requirements is not None:
            raise ctx.error(
                "requirements without a distribution",
                key="requirements",
                expected="a distribution whose Python they are for",
                remedy='say distribution = "//:NAME" here or in [workspace]',
            )
        threads = str(max(1, int(attributes.cpu)))
        made = ctx.program(
            argv,
            inputs=inputs,
            outputs=attributes.outputs,
            environment={**FIXED, **dict.fromkeys(THREADS, threads), **attributes.env},
            network=attributes.network,
            needs=Needs(attributes.cpu, int(attributes.memory or 0), gpu=gpu_need(attributes.gpu)),
            timeout=attributes.timeout,
        )
        yield Files(made)


def _check(ctx: Context[Any], inputs: dict[str, Artifact]) -> None:
    """Raises AnalysisError with everything that is wrong."""
    outputs, errors = ctx.attributes.outputs, []
    for index, output in enumerate(outputs):
        if not is_relative(output):
            found = f"{output!r} is not a path below the working folder"
            errors.append(ctx.error(found, key=f"outputs.{index}", expected=EXPECTED))
    if twice := overlap(outputs):
        found = (
            f"{twice[1]!r} is given twice"
            if twice[0] == twice[1]
            else (f"{twice[1]!r} lies inside {twice[0]!r}")
        )
        errors.append(ctx.error(found, key="outputs", remedy="take one of them away"))
    elif twice := overlap([*outputs, *inputs]):
        found = f"output and input lie at one path: {twice[0]!r} and {twice[1]!r}"
        remedy = "inputs are read-only: write to another path"
        errors.append(ctx.error(found, key="outputs", remedy=remedy))
    for name in ctx.attributes.env:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            expected = "letters, digits and _, not starting with a digit"
            errors.append(
                ctx.error(f"{name!r} names no variable", key=f"env.{name}", expected=expected)
            )
    if errors:
        raise AnalysisError(*(problem for error in errors for problem in error.problems))
