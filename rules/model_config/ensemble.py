"""Ensembles: their steps as ModelConfig says them, and inputs and outputs of their own.

https://github.com/triton-inference-server/server/blob/main/docs/user_guide/ensemble_models.md
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import Problem

if TYPE_CHECKING:
    from .lint import Member

PLATFORM = "ensemble"


def identify(config: Any, name: str) -> Iterator[Problem]:
    """Fills in the ensemble's name and platform, and yields what the config says against them;
    keys are the config's fields."""
    remedy = "leave it out; the build fills it in"
    if config.name not in ("", name):
        yield Problem(f"name {config.name!r}", repr(name), remedy, key="name")
    if config.backend:
        found = f"backend {config.backend!r} of an ensemble"
        yield Problem(found, "none: the core runs it", "leave it out", key="backend")
    if config.platform not in ("", PLATFORM):
        found = f"platform {config.platform!r} of an ensemble"
        yield Problem(found, repr(PLATFORM), remedy, key="platform")
    config.name, config.platform = name, PLATFORM


def lay_out_steps(config: Any, steps: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    """Sets `ensemble_scheduling` as the attribute `steps` says; each has Triton's name of the
    member under `model`. Yields a problem where the config has steps that differ."""
    made = type(config)().ensemble_scheduling
    for step in steps:
        made.step.add(
            model_name=step["model"],
            model_version=step["version"],
            input_map=step["inputs"],
            output_map=step["outputs"],
        )
    here = config.ensemble_scheduling.step
    if here and list(here) != list(made.step):
        yield Problem(
            "other steps than the attribute `steps` says",
            "the same, or none",
            "leave them out; the build fills them in",
            key="ensemble_scheduling.step",
        )
    del here[:]
    here.extend(made.step)


def derive(config: Any, members: Mapping[str, Member]) -> Iterator[Problem]:
    """Fills in the inputs and outputs that an ensemble's config does not say, from its members
    by Triton's name: inputs are the tensors that no step makes, outputs those that
    none takes, each in the order of the steps. Yields what stands in the way."""
    steps = config.ensemble_scheduling.step
    made = {tensor for step in steps for tensor in step.output_map.values()}
    taken = {tensor for step in steps for tensor in step.input_map.values()}
    for side, tensors in (("input", taken - made), ("output", made - taken)):
        if getattr(config, side):
            continue
        for index, step in enumerate(steps):
            member = members.get(step.model_name)
            if member is None:
                continue
            there = {
                tensor.name: tensor
                for tensor in getattr(member.config, side)
                if member.knows(tensor)
            }
            for own, tensor in sorted(getattr(step, f"{side}_map").items()):
                if tensor not in tensors:
                    continue
                if own in there:
                    _declare(config, side, tensor, there[own], member.config.max_batch_size > 0)
                elif not (there and member.is_full):
                    yield Problem(
                        f"the {side}s of {step.model_name!r} are not known, so those of the "
                        "ensemble cannot be derived",
                        remedy=f"say `config.{side}` of that model or here, or a `distribution` "
                        "whose server tells them",
                        key=f"steps[{index}].{side}s",
                    )
                    break


def _declare(config: Any, side: str, name: str, member: Any, batches: bool) -> None:
    """Adds a tensor of the ensemble, or narrows what another step said of its shape."""
    dims = _dims(list(member.dims), batches, config.max_batch_size > 0)
    for tensor in getattr(config, side):
        if tensor.name == name:
            if len(tensor.dims) == len(dims):
                known = [a if b < 0 else b for a, b in zip(tensor.dims, dims, strict=True)]
                tensor.dims[:] = known
            return
    getattr(config, side).add(name=name, data_type=member.data_type, dims=dims)


def _dims(dims: list[int], batches: bool, ensemble_batches: bool) -> list[int]:
    """A member's dims as the ensemble says them: with the batch dimension only where it does not
    batch itself."""
    if batches and not ensemble_batches:
        return [-1, *dims]
    if ensemble_batches and not batches and len(dims) > 1 and dims[0] == -1:
        return dims[1:]
    return dims
