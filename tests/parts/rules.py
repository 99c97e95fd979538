"""Two rules that use all of the rule API, for tests of the engine below the command line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tritonbuild.registry import Registry
from tritonbuild.rule import (
    Artifact,
    ByName,
    Context,
    Dep,
    Field,
    Files,
    Literal,
    Request,
    Rule,
    RunInfo,
    SourceRef,
    Strict,
    ToolContext,
    tool,
    workspace_default,
)


@dataclass(frozen=True)
class Info:
    """Provider: what a thing is."""

    name: str
    made: Artifact


class Box(Strict):
    """A table in a table."""

    width: int
    depth: int = 0


@tool("gather", version=1)
def gather(ctx: ToolContext) -> None:
    ctx.link("out", ctx.inputs)


class Things(Rule):
    """Makes a folder of all that it is given."""

    table = "things"
    provides = (Files, Info)
    needed_to_run = frozenset({"server"})

    class Attributes(Rule.Attributes):
        text: str = Field(description="Anything.")
        size: int = 0
        ratio: float = 1.0
        box: Box | None = None
        needs: list[Dep[Info]] = Field(default=[])
        best: ByName[Info] | None = None
        file: SourceRef | None = None
        files: list[SourceRef] = Field(default=[])
        parts: dict[str, SourceRef | dict[str, SourceRef]] = Field(default={})
        locked: list[str] = Field(default=[])
        shelf: Dep[Info] | None = workspace_default("Where things stand.")
        server: Dep[Info] | None = None

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        attributes = ctx.attributes
        if attributes.text == "wrong":
            raise ctx.error("wrong", key="text", expected="right", remedy="write it")
        inputs = ctx.sources(attributes.files)
        if attributes.file is not None:
            inputs["file"] = ctx.source(attributes.file)
        for info in ctx.providers(attributes.needs):
            inputs[f"needs/{info.name}"] = info.made
        for one in (attributes.best, attributes.shelf):
            if one is not None:
                inputs["one"] = ctx.provider(one).made
        for name in attributes.locked:
            for file in ctx.locked(Request("number", (name,))):
                inputs[f"locked/{name}"] = Literal(file.url.encode(), "locked")
        made = ctx.tool(
            gather, parameters={"text": attributes.text}, inputs=inputs, outputs=["out"]
        )
        yield Files(made)
        yield Info(ctx.label.name, made["out"])

    def run(self, ctx: Context[Any]) -> RunInfo:
        served = ctx.provider(ctx.attributes.server).made
        return ctx.interactive(gather, parameters={}, inputs={"served": served})


class Plain(Rule):
    """Makes nothing and provides nothing that others want."""

    table = "plain"

    class Attributes(Rule.Attributes):
        of: list[Dep[Info]] = Field(default=[])
        anything: list[Dep[object]] = Field(default=[])

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        yield Files({})


def registry() -> Registry:
    import parts.rules

    return Registry().with_module(parts.rules)
