"""Golden cases held against what is known of a model, as Triton's core holds a request against
its config, and an answer against the same config.

Nothing is refused that the server might take: what is not known is not judged.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tritonbuild.rule import KeyPath, Problem, did_you_mean, dotted

from .case import Case, Request
from .known import Known, datatype
from .tensors import Tensor

STREAMED = '"responses": [[tensor, …], …] in the place of "outputs"'
IN_SEQUENCE = '{"sequence": [{"inputs": …, "outputs": …}, …]}'


def check(case: Case, model: str, known: Known) -> Iterator[Problem]:
    """Everything that is wrong with a case for that model; keys are places in the case."""
    yield from _version(case, model, known.versions)
    yield from _kind(case, model, known)
    for index, request in enumerate(case.requests):
        here: KeyPath = ("sequence", index) if case.sequence else ()
        yield from _inputs(request, here, model, known)
        yield from _responses(request, here, model, known)


def answered(response: Iterable[Tensor], key: KeyPath, known: Known) -> Iterator[Problem]:
    """How outputs that came are not what the model's config promises."""
    outputs = {output.name: output for output in known.config.output}
    for tensor in response:
        if tensor.name in outputs:
            yield from _fits(tensor, outputs[tensor.name], (*key, tensor.name), known, "came")


def _version(case: Case, model: str, versions: Sequence[int]) -> Iterator[Problem]:
    if case.version and versions and case.version not in map(str, versions):
        loaded = ", ".join(map(str, versions))
        yield Problem(
            f"version {case.version!r} of model {model!r} is not served",
            f"{loaded}, which the config's version_policy chooses",
            key="version",
        )


def _kind(case: Case, model: str, known: Known) -> Iterator[Problem]:
    """Whether requests of this kind are taken at all."""
    if case.sequence and known.takes_sequences is False:
        yield Problem(
            f"a sequence for model {model!r}, which has no sequence_batching",
            '{"inputs": …, "outputs": …}',
            "write a case for each request",
            key="sequence",
        )
    if not case.sequence and known.wants_sequences:
        yield Problem(
            f"a single request to model {model!r}, which has sequence_batching",
            IN_SEQUENCE,
            "a sequence may have just one request",
        )
    for index, request in enumerate(case.requests):
        here: KeyPath = ("sequence", index) if case.sequence else ()
        if known.decoupled and not request.streams:
            yield Problem(
                f'"outputs" of model {model!r}, which is decoupled',
                STREAMED,
                "it may give any number of responses, and is asked so only for a list of them",
                key=dotted((*here, "outputs")),
            )
        if known.decoupled is False and request.streams and len(request.responses) != 1:
            yield Problem(
                f"{len(request.responses)} responses of model {model!r}, which is not decoupled",
                "one response",
                "if it is to give another number, its config must say "
                "model_transaction_policy.decoupled",
                key=dotted((*here, "responses")),
            )


def _inputs(request: Request, here: KeyPath, model: str, known: Known) -> Iterator[Problem]:
    declared = {each.name: each for each in known.config.input}
    given = {tensor.name: tensor for tensor in request.inputs}
    for tensor in request.inputs:
        key = (*here, "inputs", tensor.name)
        if tensor.name in declared:
            yield from _fits(tensor, declared[tensor.name], key, known, "is given")
        elif known.is_full:
            yield _unknown("input", tensor.name, model, declared, key, known)
    if not known.is_full:
        return
    for name, each in declared.items():
        if name not in given and not each.optional:
            yield Problem(
                f"input {name!r} is missing",
                _described(each, known),
                key=dotted((*here, "inputs")),
            )
    if known.config.max_batch_size > 0:
        yield from _batch(request, (*here, "inputs"), known, declared)


def _batch(
    request: Request, key: KeyPath, known: Known, declared: Mapping[str, Any]
) -> Iterator[Problem]:
    batched = {name for name, each in declared.items() if not each.is_shape_tensor}
    tensors = [each for each in request.inputs if each.name in batched and each.values.ndim]
    sizes = sorted({tensor.values.shape[0] for tensor in tensors})
    most = known.config.max_batch_size
    if len(sizes) > 1:
        yield Problem(
            f"batches of {' and '.join(map(str, sizes))}",
            "one first dimension for all inputs: the batch",
            key=dotted(key),
        )
    elif sizes and not 1 <= sizes[0] <= most:
        found = f"a batch of {sizes[0]}"
        yield Problem(found, f"from 1 to {most}, the max_batch_size", key=dotted(key))
    elif sizes and sizes[0] > 1 and known.config.HasField("sequence_batching"):
        yield Problem(
            f"a batch of {sizes[0]}",
            "1: a request of a sequence is one item of the batches that the server makes",
            key=dotted(key),
        )


def _responses(request: Request, here: KeyPath, model: str, known: Known) -> Iterator[Problem]:
    declared = {each.name: each for each in known.config.output}
    for index, response in enumerate(request.responses):
        below: KeyPath = ("responses", index) if request.streams else ("outputs",)
        for tensor in response:
            key = (*here, *below, tensor.name)
            if tensor.name in declared:
                yield from _fits(tensor, declared[tensor.name], key, known, "is expected")
            elif known.is_full:
                yield _unknown("output", tensor.name, model, declared, key, known)


def _unknown(
    side: str, name: str, model: str, declared: Collection[str], key: KeyPath, known: Known
) -> Problem:
    made = {each.name for each in known.config.sequence_batching.control_input}
    remedy = did_you_mean(name, declared)
    if side == "input" and name in made:
        remedy = "leave it out; the server makes it"
    return Problem(f"model {model!r} has no {side} {name!r}", "", remedy, key=dotted(key))


def _fits(tensor: Tensor, declared: Any, key: KeyPath, known: Known, how: str) -> Iterator[Problem]:
    """Datatype and dims. The first dimension is the batch where the model has one."""
    wanted = datatype(declared)
    if wanted and tensor.datatype != wanted:
        yield Problem(
            f"{tensor.datatype} {how}", f"{wanted}, as the model's config says", key=dotted(key)
        )
    if not declared.is_shape_tensor and not _shape_fits(tensor, declared, known):
        shape = list(tensor.values.shape)
        yield Problem(f"shape {shape} {how}", _shape(declared, known), key=dotted(key))


def _shape_fits(tensor: Tensor, declared: Any, known: Known) -> bool:
    shape, dims = tensor.values.shape, list(declared.dims)
    if not dims and not known.is_full:
        return True
    batched = known.config.max_batch_size > 0
    candidates = [shape[1:]] if batched else [shape] if known.is_full else [shape, shape[1:]]
    if batched and not shape:
        return False
    return any(
        len(each) == len(dims) and all(d in (-1, s) for d, s in zip(dims, each, strict=True))
        for each in candidates
    )


def _shape(declared: Any, known: Known) -> str:
    dims = list(declared.dims)
    if known.config.max_batch_size > 0:
        return f"{[-1, *dims]}, as the model's config says, with the batch before its dims"
    return f"{dims}, as the model's config says"


def _described(declared: Any, known: Known) -> str:
    return f"{datatype(declared)} of shape {_shape(declared, known)}"
