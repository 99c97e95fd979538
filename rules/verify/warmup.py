"""Golden cases as what Triton's warm-up reads: each input tensor as a raw file.

https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
(message ModelWarmup)
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from tritonbuild.rule import ActionError, Folder, Problem, ToolContext, tool

from ..model_config.warmup import SAMPLES
from .cases import CaseError, read
from .tensors import Tensor, to_bytes


@tool("warmup", version=1, libraries=("numpy", "tritonclient"))
def make_warmup(ctx: ToolContext) -> None:
    """Input `cases`, output `warmup`. Raises ActionError for cases that cannot be read."""
    folder = ctx.inputs.get("cases")
    assert isinstance(folder, Folder)
    samples: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for path, _ in folder.files():
        try:
            case = read(ctx.path(f"cases/{path}"), path)
        except CaseError as error:
            place = ctx.hints.get("places", {}).get(path, path)
            problems.append(replace(error.problem, file=place))
            continue
        if case.sequence:
            remedy = "take the cases of sequences out of the glob"
            found = f"{path}: a sequence of requests"
            problems.append(Problem(found, "one request", remedy, key="warmup.cases"))
            continue
        for request in case.requests:
            number = len(samples)
            inputs = {
                tensor.name: _store(ctx, tensor, f"{number}/{index}")
                for index, tensor in enumerate(request.inputs)
            }
            samples.append({"name": path, "model": case.model, "inputs": inputs})
    if problems:
        raise ActionError(*problems)
    ctx.write(f"warmup/{SAMPLES}", json.dumps(samples, sort_keys=True).encode())


def _store(ctx: ToolContext, tensor: Tensor, path: str) -> dict[str, Any]:
    shape = list(tensor.values.shape)
    told = {"datatype": tensor.datatype, "shape": shape, "file": path}
    ctx.write(f"warmup/{path}", to_bytes(tensor))
    if shape and shape[0]:
        told["row"] = f"{path}.row"
        ctx.write(f"warmup/{path}.row", to_bytes(replace(tensor, values=tensor.values[:1])))
    return told
