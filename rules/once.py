"""Declares an action of a target once, however often the rule comes by it: two environments of one
target may share a wheel."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from tritonbuild.rule import Artifact, Context, Needs, Output, Tool

_declared: WeakKeyDictionary[Context[Any], dict[str, Output]] = WeakKeyDictionary()


def once(
    ctx: Context[Any],
    tool: Tool,
    name: str,
    output: str,
    *,
    parameters: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Artifact] | None = None,
    cpu: float = 1.0,
) -> Output:
    """The one output of the tool's action of that name in the target under analysis. The name must
    say all that the action depends on."""
    made = _declared.setdefault(ctx, {})
    if name not in made:
        (made[name],) = ctx.tool(
            tool,
            name=name,
            parameters=parameters,
            inputs=inputs,
            outputs=[output],
            needs=Needs(cpu),
        ).values()
    return made[name]
