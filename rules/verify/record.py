"""Golden cases made of what a running server answers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

from .case import Case
from .client import Client, InferenceError, Turn
from .known import Known, known
from .tensors import Tensor

ID_LENGTH = 128
"""Characters of a correlation id that is a string. Triton hands each of them to the model in a
buffer for the longest, and refuses what follows a shorter one as a second string."""
MOST = 1000
"""Responses to one request that still make a case."""


def recorded(client: Client, case: Case, model: str, number: int = 1) -> Case:
    """The case with what the server answers now in the place of its responses, every output of
    them; `cases.write` makes a file of it. So the golden cases of a model can begin:

        request = Request((from_array("x", numpy.zeros((1, 3), "f4")),), (), streams=is_decoupled)
        suffix, content = write(recorded(client, Case((request,), model="m"), "m"))

    `number` makes the correlation id of a sequence, one that is not under way in that server.
    Raises InferenceError.
    """
    id = correlation_id(number, known({model: (client.config(model), True)}, {})[model])
    requests = []
    for request, turn in zip(case.requests, turns(case, id), strict=True):
        silent = replace(request, responses=())
        responses: list[tuple[Tensor, ...]] = []
        with closing(client.ask(silent, model, case.version, turn)) as asked:
            for response in asked:
                if len(responses) == MOST:
                    raise InferenceError(f"more than {MOST} responses came")
                responses.append(tuple(response.values()))
        requests.append(replace(request, responses=tuple(responses)))
    return replace(case, requests=tuple(requests))


def correlation_id(number: int, model: Known) -> int | str:
    """As the model wants it; the number is above 0."""
    return f"case-{number}".ljust(ID_LENGTH, "-") if model.string_ids else number


def turns(case: Case, id: int | str) -> Iterator[Turn | None]:
    """The places of a case's requests in their sequence; None where it is none."""
    last = len(case.requests) - 1
    for index in range(last + 1):
        yield Turn(id, index == 0, index == last) if case.sequence else None
