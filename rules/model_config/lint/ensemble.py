"""An ensemble by itself: its steps, and how tensors flow from its inputs to its outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tritonbuild.rule import KeyPath

from .subject import Finding, Subject

HERE: KeyPath = ("ensemble_scheduling",)
STEPS: KeyPath = (*HERE, "step")


def ensemble(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if not config.HasField("ensemble_scheduling"):
        if config.platform == "ensemble":
            yield Finding(HERE, "platform 'ensemble' without steps", "ensemble_scheduling")
        return
    if config.platform != "ensemble":
        found = f"ensemble_scheduling with platform {config.platform!r}"
        yield Finding(("platform",), found, "'ensemble', and no backend")
    for name, is_said in (
        ("instance_group", bool(config.instance_group)),
        ("optimization", config.HasField("optimization")),
        ("model_warmup", bool(config.model_warmup)),
    ):
        if is_said:
            found = f"{name} in an ensemble"
            yield Finding((name,), found, "none", "say it in the members' configs")
    faults = list(_steps(config.ensemble_scheduling))
    yield from faults or _flow(config)


def _steps(scheduling: Any) -> Iterator[Finding]:
    if not scheduling.step:
        yield Finding(STEPS, "no steps", "at least one")
    made: dict[str, int] = {}
    for index, step in enumerate(scheduling.step):
        key = (*STEPS, index)
        if not step.model_name:
            yield Finding((*key, "model_name"), "a step without a model", "model_name")
        for name in ("input_map", "output_map"):
            if not getattr(step, name):
                yield Finding((*key, name), f"a step without {name}", "at least one tensor")
        for member in sorted(step.output_map):
            tensor = step.output_map[member]
            if tensor in made:
                yield Finding(
                    (*key, "output_map", member),
                    f"tensor {tensor!r} is made twice, by steps {made[tensor]} and {index}",
                    "each tensor made once",
                )
            made.setdefault(tensor, index)


@dataclass
class _Tensor:
    """One tensor of the ensemble."""

    key: KeyPath
    """Where it is first named."""
    maker: int | None = None
    is_taken: bool = False
    is_ready: bool = False


@dataclass
class _Graph:
    tensors: dict[str, _Tensor] = field(default_factory=dict)

    def tensor(self, name: str, key: KeyPath) -> _Tensor:
        return self.tensors.setdefault(name, _Tensor(key))

    def run(self, steps: Any) -> None:
        """Marks what is there in the end, step by step."""
        waiting = set(range(len(steps)))
        while ready := [
            index
            for index in sorted(waiting)
            if all(self.tensors[name].is_ready for name in steps[index].input_map.values())
        ]:
            waiting.difference_update(ready)
            for index in ready:
                for name in steps[index].output_map.values():
                    self.tensors[name].is_ready = True


def _graph(steps: Any) -> _Graph:
    graph = _Graph()
    for index, step in enumerate(steps):
        for member in sorted(step.output_map):
            key = (*STEPS, index, "output_map", member)
            graph.tensor(step.output_map[member], key).maker = index
        for member in sorted(step.input_map):
            key = (*STEPS, index, "input_map", member)
            graph.tensor(step.input_map[member], key).is_taken = True
    return graph


def _flow(config: Any) -> Iterator[Finding]:
    steps = config.ensemble_scheduling.step
    graph = _graph(steps)
    for index, tensor in enumerate(config.input):
        if tensor.name in graph.tensors:
            graph.tensors[tensor.name].is_ready = True
        else:
            key: KeyPath = ("input", index, "name")
            yield Finding(key, f"no step takes input {tensor.name!r}", "a step that does")
    graph.run(steps)
    outputs = {tensor.name for tensor in config.output}
    for index, tensor in enumerate(config.output):
        if tensor.name not in graph.tensors:
            key = ("output", index, "name")
            yield Finding(key, f"no step makes output {tensor.name!r}", "a step that does")
    inputs = {tensor.name for tensor in config.input}
    for name, known in sorted(graph.tensors.items()):
        if known.maker is None and name not in inputs:
            expected = "an input of the ensemble, or the output of a step"
            yield Finding(known.key, f"nothing makes tensor {name!r}", expected)
        elif not known.is_ready:
            found = f"tensor {name!r} is never made: its step waits for others that are not"
            yield Finding(known.key, found, "steps that do not wait for one another")
        elif not known.is_taken and name not in outputs:
            expected = "a step that takes it, or an output of that name"
            yield Finding(known.key, f"nothing takes tensor {name!r}", expected)
