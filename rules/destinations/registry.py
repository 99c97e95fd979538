"""Registries, as places that models are pushed to: `oci://HOST/REPOSITORY:TAG`, in one of the forms
that registries hold models in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tritonbuild.oci import OciError
from tritonbuild.rule import (
    SHIPPED,
    ActionError,
    Context,
    Folder,
    Problem,
    RunInfo,
    ToolContext,
    UsageError,
    did_you_mean,
    tool,
)

from ..base_info import IMAGE
from ..images.pack import FORMS, packed_models
from ..servable import ModelInfo

SCHEME = "oci://"


def registry_info(ctx: Context[Any], models: Sequence[ModelInfo]) -> RunInfo:
    """Pushes models as one artifact. Raises UsageError."""
    from tritonbuild.oci.registry import Reference

    form = json.loads(ctx.settings["form"]) or FORMS[0]
    if form not in FORMS:
        raise UsageError(Problem(f"--form {form}", remedy=did_you_mean(form, FORMS)))
    try:
        Reference.parse(json.loads(ctx.settings["to"]).removeprefix(SCHEME))
    except OciError as error:
        raise UsageError(error.problem) from None
    layout = packed_models(ctx, models, form, ctx.label.base, {})
    parameters = {"to": "", "delete": False, "form": form}
    return ctx.interactive(
        push_models, parameters=parameters, inputs={IMAGE: layout}, outputs=[SHIPPED]
    )


@tool("push-models", version=1)
def push_models(ctx: ToolContext) -> None:
    """Input `image`, a sparse layout; output `shipped`."""
    from tritonbuild.oci.registry import Reference, Repository, push
    from tritonbuild.oci.sparse import Sparse

    folder = ctx.inputs.get(IMAGE)
    assert isinstance(folder, Folder)
    sparse = Sparse(folder, ctx)
    reference = Reference.parse(ctx.parameters["to"].removeprefix(SCHEME))
    try:
        with Repository.of(reference) as repository:
            pushed = push(
                sparse, sparse.descriptor, repository, [reference.name],
                cancelled=lambda: ctx.cancelled,
            )  # fmt: skip
    except OciError as error:
        raise ActionError(error.problem) from None
    moved = sum(one.moved for one in pushed)
    total = sum(one.descriptor.size for one in pushed)
    told = {"digest": sparse.descriptor.digest, "moved": moved, "there": total - moved}
    ctx.write(SHIPPED, json.dumps(told).encode())
