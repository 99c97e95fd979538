"""A rule whose steps do what a test wants, in the process of the build, so that tests see and hold
what the scheduler does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tritonbuild.rule import (
    Artifact,
    Context,
    Dep,
    Field,
    Files,
    Needs,
    Rule,
    SourceRef,
    ToolContext,
    tool,
)

RULES = "from parts.steps import Steps\n"
"""The rule file of a workspace that has them."""
does: dict[str, Callable[[ToolContext], int | None]] = {}
"""What each step does, by the name of its target; nothing unless said."""


@dataclass(frozen=True)
class Step:
    """Provider."""

    name: str
    made: Artifact


@tool("step", version=1)
def take(ctx: ToolContext) -> int | None:
    """Output `out`: all inputs, and what the step says."""
    step = does.get(ctx.parameters["does"])
    code = step(ctx) if step else None
    ctx.link("out/inputs", ctx.inputs)
    ctx.write("out/said", ctx.parameters["says"].encode())
    return code


class Steps(Rule):
    table = "steps"
    provides = (Files, Step)

    class Attributes(Rule.Attributes):
        needs: list[Dep[Step]] = Field(default=[])
        files: list[SourceRef] = Field(default=[])
        does: str = ""
        says: str = ""
        cpu: float = 1.0
        memory: int = 0
        part: str = Field(default="out", description="Of what others make, what this one takes.")

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        attributes = ctx.attributes
        inputs = ctx.sources(attributes.files)
        for step in ctx.providers(attributes.needs):
            inputs[f"needs/{step.name}"] = step.made
        made = ctx.tool(
            take,
            parameters={"does": attributes.does or ctx.label.name, "says": attributes.says},
            inputs=inputs,
            outputs=["out"],
            needs=Needs(attributes.cpu, attributes.memory),
        )
        yield Files(made)
        out = made["out"]
        yield Step(ctx.label.name, out if attributes.part == "out" else out / "said")
