"""What must hold between an ensemble and the models that it is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tritonbuild.rule import KeyPath

from ..words import enum, listed, shape
from .decoupling import decoupling
from .ensemble import STEPS
from .subject import Finding


@dataclass(frozen=True)
class Member:
    config: Any
    """Its ModelConfig, completed as far as it is known."""
    versions: tuple[int, ...]
    """Those that the server loads."""
    is_full: bool = True
    """Nothing is missing in the config; else only what it says can be judged."""

    def knows(self, tensor: Any) -> bool:
        """Whether a server can't add to what the config says of one of its tensors."""
        return self.is_full or (enum(tensor, "data_type") != "TYPE_INVALID" and bool(tensor.dims))

    @property
    def knows_batch(self) -> bool:
        """Whether it is known that it batches, or that it does not."""
        return bool(self.is_full or self.config.max_batch_size > 0)


@dataclass(frozen=True)
class _Tensor:
    """What someone says of a tensor of the ensemble."""

    whose: str
    datatype: str
    dims: tuple[int, ...]
    full: tuple[int, ...] | None
    """With the dimension of the batch, where there is one; None: whether there is, is not known."""

    @classmethod
    def of(
        cls, tensor: Any, whose: str, dims: Sequence[int], max_batch_size: int | None
    ) -> _Tensor:
        full = None if max_batch_size is None else (*((-1,) if max_batch_size > 0 else ()), *dims)
        return cls(whose, enum(tensor, "data_type"), tuple(dims), full)


def wiring(config: Any, members: Mapping[str, Member]) -> Iterator[Finding]:
    """What is wrong between an ensemble's steps and its members, by Triton's names of them."""
    if not config.HasField("ensemble_scheduling"):
        return
    steps = config.ensemble_scheduling.step
    if cycle := _cycle(config, members):
        key = (*STEPS, 0, "model_name")
        found = f"ensembles that are made of one another: {' → '.join(cycle)}"
        yield Finding(key, found, "no circle")
        return
    known = _own(config)
    problems = []
    for index, step in enumerate(steps):
        key = (*STEPS, index)
        member = members.get(step.model_name)
        if member is None:
            remedy = f"have {listed(members)}"
            found = f"no model {step.model_name!r}"
            problems.append(Finding((*key, "model_name"), found, "a member", remedy))
            continue
        problems += _version(step, member, key)
        problems += _batch(config, step, member, key)
        problems += _inputs(step, member, key, known)
        problems += _outputs(step, member, key, known)
    yield from problems or decoupling(config, {n: each.config for n, each in members.items()})


def _own(config: Any) -> dict[str, _Tensor]:
    """What the ensemble itself says of its tensors."""
    known: dict[str, _Tensor] = {}
    size = config.max_batch_size
    for tensor in (*config.input, *config.output):
        dims = tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims
        known.setdefault(tensor.name, _Tensor.of(tensor, "the ensemble", dims, size))
    return known


def _cycle(config: Any, members: Mapping[str, Member]) -> list[str]:
    """The names of ensembles from this one back to one of them; empty without a circle."""
    import networkx as nx

    configs = {name: member.config for name, member in members.items()} | {config.name: config}
    graph: Any = nx.DiGraph(
        (name, step.model_name)
        for name, each in configs.items()
        for step in each.ensemble_scheduling.step
    )
    graph.add_node(config.name)
    try:
        found = [name for name, _ in nx.find_cycle(graph, config.name)]
    except nx.NetworkXNoCycle:
        return []
    return [*found, found[0]]


def _version(step: Any, member: Member, key: KeyPath) -> Iterator[Finding]:
    # No version at all is the member's own fault, and its own finding.
    if step.model_version != -1 and member.versions and step.model_version not in member.versions:
        found = f"version {step.model_version} of {step.model_name!r} is not loaded"
        loaded = ", ".join(map(str, member.versions))
        expected = f"-1 for the newest, or one of those that are: {loaded}"
        yield Finding((*key, "model_version"), found, expected)


def _batch(config: Any, step: Any, member: Member, key: KeyPath) -> Iterator[Finding]:
    size = member.config.max_batch_size
    # A program may raise it.
    if member.is_full and size != 0 and size < config.max_batch_size:
        found = (
            f"max_batch_size {config.max_batch_size}, but {step.model_name!r} takes batches of "
            f"{size} at most"
        )
        yield Finding(("max_batch_size",), found, f"at most {size}")


def _inputs(
    step: Any, member: Member, key: KeyPath, known: dict[str, _Tensor]
) -> Iterator[Finding]:
    tensors = {tensor.name: tensor for tensor in member.config.input}
    for name in sorted(step.input_map):
        yield from _mapped(step, member, "input", name, tensors.get(name), key, known)
    for name, tensor in tensors.items():
        if name not in step.input_map and not tensor.optional:
            found = f"input {name!r} of {step.model_name!r} gets nothing"
            yield Finding((*key, "input_map"), found, "a tensor of the ensemble for it")


def _outputs(
    step: Any, member: Member, key: KeyPath, known: dict[str, _Tensor]
) -> Iterator[Finding]:
    tensors = {tensor.name: tensor for tensor in member.config.output}
    for name in sorted(step.output_map):
        yield from _mapped(step, member, "output", name, tensors.get(name), key, known)


def _mapped(
    step: Any,
    member: Member,
    side: str,
    name: str,
    tensor: Any,
    key: KeyPath,
    known: dict[str, _Tensor],
) -> Iterator[Finding]:
    where = (*key, f"{side}_map", name)
    if tensor is None:
        if not member.is_full:
            return
        names = (each.name for each in getattr(member.config, side))
        found = f"{step.model_name!r} has no {side} {name!r}"
        yield Finding(where, found, f"one of {listed(names)}")
        return
    if not member.knows(tensor):
        return
    size = member.config.max_batch_size if member.knows_batch else None
    here = _Tensor.of(tensor, repr(step.model_name), tensor.dims, size)
    name_here = getattr(step, f"{side}_map")[name]
    there = known.setdefault(name_here, here)
    if here.datatype != there.datatype:
        yield Finding(
            where,
            f"tensor {name_here!r} is {here.datatype} for {here.whose} and {there.datatype} for "
            f"{there.whose}",
            "one type",
        )
    if here.full is None or there.full is None:
        return
    if not (_fit(here.dims, there.dims) or _fit(here.full, there.full)):
        yield Finding(
            where,
            f"tensor {name_here!r} has shape {shape(here.full)} for {here.whose} and "
            f"{shape(there.full)} for {there.whose}",
            "shapes that are equal but for -1",
        )


def _fit(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return len(one) == len(other) and all(
        a == b or -1 in (a, b) for a, b in zip(one, other, strict=True)
    )
