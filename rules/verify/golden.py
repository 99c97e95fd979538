"""Golden cases sent to a running server, and what came back."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tritonbuild.rule import did_you_mean

from .cases import Case, read
from .client import Client, InferenceError
from .compare import Mismatch, difference
from .report import Outcome


def run(
    client: Client, files: Mapping[str, Path], models: Sequence[str], rtol: float, atol: float
) -> Iterator[Outcome]:
    """An outcome for each case file, in their order. `models` are Triton's names of those that
    the target has."""
    for name, file in files.items():
        began = time.monotonic()
        found = list(_check(client, name, file, models, rtol, atol))
        yield Outcome(
            name,
            [f"{name}: {problem}" for problem in found],
            time.monotonic() - began,
            [problem for problem in found if isinstance(problem, Mismatch)],
        )


def _check(
    client: Client, name: str, file: Path, models: Sequence[str], rtol: float, atol: float
) -> Iterator[str | Mismatch]:
    """What is wrong."""
    try:
        case = read(file, name)
        model = _model(case, models)
        answer = client.infer(case, model)
    except (ValueError, InferenceError) as error:
        yield str(error)
        return
    for expected in case.outputs:
        found = difference(expected, answer.get(expected.name), rtol, atol)
        if found is not None:
            yield found


def _model(case: Case, models: Sequence[str]) -> str:
    """The one that a case is for. Raises ValueError."""
    if case.model in models:
        return case.model
    if case.model:
        raise ValueError(
            f"the target has no model {case.model!r}: {did_you_mean(case.model, models)}"
        )
    if len(models) > 1:
        raise ValueError(f'the case must say "model", one of: {", ".join(sorted(models))}')
    return models[0]
