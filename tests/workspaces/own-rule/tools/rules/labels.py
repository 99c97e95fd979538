"""A rule of this workspace's own: the labels file of a classifier, which Triton reads to say
words in the place of class numbers."""

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import (
    ActionError,
    Context,
    Field,
    Files,
    Problem,
    Rule,
    SourceRef,
    ToolContext,
    tool,
)

FILE = "labels.txt"


@tool("labels", version=1)
def write_labels(ctx: ToolContext) -> None:
    """Input `words`, output `labels.txt`."""
    lines = ctx.read("words").decode().splitlines()
    words = [word for line in lines if (word := line.partition("#")[0].strip())]
    if len(words) != ctx.parameters["count"]:
        raise ActionError(Problem(f"{len(words)} words", f"count = {ctx.parameters['count']}"))
    ctx.write(FILE, "".join(f"{word}\n" for word in words).encode())


class Labels(Rule):
    """A class a line."""

    table = "labels"
    provides = (Files,)

    class Attributes(Rule.Attributes):
        words: SourceRef = Field(
            description="A file with a class a line; what follows a # does not count."
        )
        count: int = Field(description="How many classes there are.")

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        if ctx.attributes.count < 1:
            raise ctx.error("no class", key="count", expected="1 or more")
        yield Files(
            ctx.tool(
                write_labels,
                parameters={"count": ctx.attributes.count},
                inputs={"words": ctx.source(ctx.attributes.words)},
                outputs=[FILE],
            )
        )
