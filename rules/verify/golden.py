"""Golden cases sent to a running server, and what came back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

from tritonbuild.rule import KeyPath, Problem, did_you_mean, dotted

from .case import Case, CaseError, Request
from .cases import read
from .check import answered, check
from .client import Client, InferenceError, Response, Silence, Turn
from .compare import Mismatch, Tolerances, difference
from .known import Known, known
from .record import correlation_id, turns
from .report import Outcome
from .tensors import Tensor

FINAL = "end a decoupled model's responses with TRITONSERVER_RESPONSE_COMPLETE_FINAL"
BEYOND = 1000
"""Responses more than expected that are counted before the rest is not waited for."""


def run(
    client: Client,
    files: Mapping[str, Path],
    models: Sequence[str],
    named: Sequence[str],
    tolerances: Tolerances,
    places: Mapping[str, str],
) -> Iterator[Outcome]:
    """An outcome for each case file, in their order; `places` says where they lie in the workspace.
    `models` are Triton's names of all that the server has, `named` of those that the target is
    about. Cases were checked against what was known before the server started; now they are held
    against what it says of its models."""
    try:
        told = known({model: (client.config(model), True) for model in models}, {})
    except InferenceError as error:
        yield Outcome("models", problems=[Problem(str(error))])
        return
    for number, (name, file) in enumerate(files.items(), start=1):
        began = time.monotonic()
        outcome = Outcome(name, file=places.get(name, name))
        try:
            case = read(file, name)
            outcome.model = model_of(case, models, named)
        except CaseError as error:
            outcome.problems.append(error.problem)
        else:
            model = told[outcome.model]
            outcome.problems += check(case, outcome.model, model)
            if not outcome.problems:
                _Conversation(client, case, model, tolerances, outcome).hold(number)
        outcome.seconds = time.monotonic() - began
        yield outcome


def model_of(case: Case, models: Sequence[str], named: Sequence[str]) -> str:
    """The one that a case is for. Raises CaseError."""
    if case.model in models:
        return case.model
    if case.model:
        found = f"the target has no model {case.model!r}"
        raise CaseError(found, key=("model",), remedy=did_you_mean(case.model, models))
    if len(named) > 1:
        raise CaseError(
            "the case does not say which model it is for",
            f'"model": one of {", ".join(sorted(named))}',
        )
    return named[0]


class _Conversation:
    """The requests of a case, one after another, and what is wrong with the answers."""

    def __init__(
        self, client: Client, case: Case, model: Known, tolerances: Tolerances, outcome: Outcome
    ):
        self._client = client
        self._case = case
        self._model = model
        self._tolerances = tolerances
        self._outcome = outcome

    def hold(self, number: int) -> None:
        """The number is the case's own among those that the server is asked."""
        case = self._case
        id = correlation_id(number, self._model)
        for index, (request, turn) in enumerate(zip(case.requests, turns(case, id), strict=True)):
            here: KeyPath = ("sequence", index) if case.sequence else ()
            try:
                self._exchange(request, turn, here)
            except InferenceError as error:
                forgets = self._model.decoupled and isinstance(error, Silence)
                problem = Problem(str(error), remedy=FINAL if forgets else "", key=dotted(here))
                self._outcome.problems.append(problem)
                if turn and not turn.last and not isinstance(error, Silence):
                    self._end(id)
                return

    def _exchange(self, request: Request, turn: Turn | None, here: KeyPath) -> None:
        """Raises InferenceError."""
        came, wanted = 0, len(request.responses)
        asked = self._client.ask(request, self._outcome.model, self._case.version, turn)
        try:
            with closing(asked):
                for response in asked:
                    if came < wanted:
                        below: KeyPath = ("responses", came) if request.streams else ("outputs",)
                        self._compare(request.responses[came], response, (*here, *below))
                    came += 1
                    if came == wanted + BEYOND:
                        break
        except InferenceError as error:
            if not request.streams:
                raise
            raise type(error)(f"{error} (after {came} of {wanted} responses)") from None
        if came != wanted:
            least = "at least " if came == wanted + BEYOND else ""
            key = dotted((*here, "responses"))
            self._outcome.problems.append(
                Problem(f"{least}{_responses(came)} came", _responses(wanted), key=key)
            )

    def _compare(self, wanted: tuple[Tensor, ...], response: Response, here: KeyPath) -> None:
        outcome = self._outcome
        for expected in wanted:
            key, got = (*here, expected.name), response.pop(expected.name, None)
            found = difference(expected, got, *self._tolerances.of(expected.name))
            if found is None:
                continue
            problem = found.problem(key)
            if isinstance(found, Mismatch):
                outcome.mismatches[dotted(key)] = found
            elif got is not None and any(answered([got], here, self._model)):
                problem = replace(problem, expected=f"{problem.expected}, as the config says too")
            outcome.problems.append(problem)
        outcome.problems += answered(response.values(), here, self._model)

    def _end(self, id: int | str) -> None:
        """Frees the place that a sequence has in the server, for the next case."""
        last = self._case.requests[-1]
        turn = Turn(id, first=False, last=True)
        with suppress(InferenceError):
            list(self._client.ask(last, self._outcome.model, self._case.version, turn))


def _responses(count: int) -> str:
    return "one response" if count == 1 else f"{count or 'no'} responses"
