"""What both formats of golden cases have in common: which keys there are and what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tritonbuild.rule import KeyPath, did_you_mean

from .case import Case, CaseError, Request, checked
from .tensors import Tensor

WORDS = ("model", "version")
REQUEST = ("inputs", "outputs", "responses", "parameters")
SHAPE = '{"inputs": [tensor, …], "outputs": [tensor, …]}'

ToTensor = Callable[[Any], Tensor]
"""Raises ValueError."""


def build(document: object, tensor: ToTensor) -> Case:
    """A case of a document as `cases` shows it, whose tensors `tensor` reads. Raises CaseError."""
    if not isinstance(document, dict):
        raise CaseError("not a case", SHAPE)
    is_sequence = "sequence" in document
    _known(document, (*WORDS, "sequence") if is_sequence else (*REQUEST, *WORDS), ())
    words = {key: document[key] for key in WORDS if key in document}
    for key, word in words.items():
        if not isinstance(word, str):
            remedy = f'say "{word}"' if type(word) is int else ""
            raise CaseError(f"{key} is {word!r}", "a string", (key,), remedy)
    if is_sequence:
        steps = _list(document["sequence"], "requests", ("sequence",), f"[{SHAPE}, …]")
        places: list[KeyPath] = [("sequence", index) for index in range(len(steps))]
    else:
        steps = [{key: value for key, value in document.items() if key not in WORDS}]
        places = [()]
    requests = (_request(*each, tensor) for each in zip(steps, places, strict=True))
    return checked(Case(tuple(requests), is_sequence, **words))


def documents(case: Case, tensor: Callable[[Tensor], Any]) -> dict[str, Any]:
    """The inverse of `build`."""
    document: dict[str, Any] = {key: word for key in WORDS if (word := getattr(case, key))}
    requests = [_written(request, tensor) for request in case.requests]
    return document | ({"sequence": requests} if case.sequence else requests[0])


def _known(document: Mapping[str, Any], keys: Iterable[str], where: KeyPath) -> None:
    for key in document:
        if key not in keys:
            raise CaseError(f"unknown key {key!r}", "", (*where, key), did_you_mean(key, keys))


def _list(value: object, of: str, where: KeyPath, shape: str) -> list[Any]:
    if not isinstance(value, list):
        raise CaseError(f"no list of {of}", shape, where)
    return value


def _request(document: object, where: KeyPath, tensor: ToTensor) -> Request:
    if not isinstance(document, dict):
        raise CaseError("not a request", SHAPE, where)
    _known(document, REQUEST, where)
    streams = "responses" in document
    if streams and "outputs" in document:
        raise CaseError("both 'outputs' and 'responses'", "one of the two", where)
    inputs = _tensors(document.get("inputs"), (*where, "inputs"), tensor)
    if streams:
        here = (*where, "responses")
        answers = _list(document["responses"], "responses", here, "[[tensor, …], …]")
        responses = tuple(_tensors(each, (*here, i), tensor) for i, each in enumerate(answers))
    else:
        responses = (_tensors(document.get("outputs"), (*where, "outputs"), tensor),)
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise CaseError("no table", '{"name": value}', (*where, "parameters"))
    return Request(inputs, responses, streams, parameters)


def _tensors(documents: object, where: KeyPath, tensor: ToTensor) -> tuple[Tensor, ...]:
    tensors = []
    for index, each in enumerate(_list(documents, "tensors", where, "[tensor, …]")):
        try:
            tensors.append(tensor(each))
        except (ValueError, RecursionError) as error:
            found, _, expected = str(error).partition(": expected ")
            raise CaseError(found, expected, (*where, index)) from None
    return tuple(tensors)


def _written(request: Request, tensor: Callable[[Tensor], Any]) -> dict[str, Any]:
    inputs, *responses = (
        [tensor(each) for each in tensors] for tensors in (request.inputs, *request.responses)
    )
    document: dict[str, Any] = {"inputs": inputs}
    if request.parameters:
        document["parameters"] = dict(sorted(request.parameters.items()))
    return document | ({"responses": responses} if request.streams else {"outputs": responses[0]})
