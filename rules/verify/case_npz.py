"""Golden cases in NumPy's archives; `cases` says what stands in them."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .case import Case, CaseError
from .case_document import WORDS, build, documents
from .tensors import Tensor, from_array, to_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]

NAMES = (
    "inputs/NAME, outputs/NAME, responses/0/NAME, parameters/NAME; the same below sequence/0/; "
    "model, version"
)
_STEP = re.compile(r"sequence/(\d+)/(.*)", re.DOTALL)
_RESPONSE = re.compile(r"responses/(\d+)/(.*)", re.DOTALL)
MOST = 10_000
"""Responses or requests of a case."""


def read(file: Path) -> Case:
    """Raises CaseError."""
    arrays = _arrays(file)
    document: dict[str, Any] = {w: str(_scalar(w, arrays.pop(w))) for w in WORDS if w in arrays}
    steps: dict[int, dict[str, NDArray[Any]]] = {}
    count = _count("sequence", arrays.pop("sequence")) if "sequence" in arrays else None
    for key in list(arrays):
        if found := _STEP.fullmatch(key):
            steps.setdefault(int(found[1]), {})[found[2]] = arrays.pop(key)
    if steps or count is not None:
        if arrays:
            raise CaseError(f"array {next(iter(arrays))!r} beside a sequence", "one of the two")
        numbers = range(_length("sequence", steps, count))
        document["sequence"] = [_request(steps.get(number, {})) for number in numbers]
    else:
        document |= _request(arrays)
    return build(document, _tensor)


def write(case: Case) -> bytes:
    """The same case always gives the same bytes: NumPy stamps no times."""
    import numpy as np

    document = documents(case, lambda tensor: tensor)
    arrays: dict[str, Any] = {w: np.array(document.pop(w)) for w in WORDS if w in document}
    if case.sequence:
        for index, request in enumerate(document["sequence"]):
            named = _named(request).items()
            arrays |= {f"sequence/{index}/{name}": array for name, array in named}
        arrays["sequence"] = np.array(len(document["sequence"]))
    else:
        arrays |= _named(document)
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def _arrays(file: Path) -> dict[str, NDArray[Any]]:
    import numpy as np

    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
    except Exception as error:  # a damaged file makes zipfile and NumPy fail in any way
        raise CaseError(f"not a readable .npz: {error}") from None
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):
            raise CaseError(f"{name!r} is no array", "what numpy.savez writes")
    return arrays


def _request(arrays: Arrays) -> dict[str, Any]:
    """One request, as a document; a tensor is its name and its array."""
    document: dict[str, Any] = {"inputs": []}
    responses: dict[int, list[object]] = {}
    count = None
    for key, array in arrays.items():
        side, slash, name = key.partition("/")
        if key == "responses":
            count = _count(key, array)
        elif found := _RESPONSE.fullmatch(key):
            responses.setdefault(int(found[1]), []).append((found[2], array))
        elif slash and side in ("inputs", "outputs"):
            document.setdefault(side, []).append((name, array))
        elif slash and side == "parameters":
            document.setdefault(side, {})[name] = _scalar(key, array)
        else:
            raise CaseError(f"unknown array {key!r}", NAMES)
    if responses or count is not None:
        numbers = range(_length("responses", responses, count))
        document["responses"] = [responses.get(number, []) for number in numbers]
    else:
        document.setdefault("outputs", [])
    return document


def _length(key: str, by_number: Mapping[int, Any], count: int | None) -> int:
    """How many there are: as many as it says, and none less than it shows."""
    length = max(count or 0, *(number + 1 for number in by_number), 0)
    if length > MOST:
        raise CaseError(f"{length} under {key!r}", f"at most {MOST}")
    return length


def _tensor(named: tuple[str, NDArray[Any]]) -> Tensor:
    return from_array(*named)


def _named(document: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of a request."""
    import numpy as np

    sides = {side: document[side] for side in ("inputs", "outputs") if side in document}
    if "responses" in document:
        sides |= {f"responses/{i}": tensors for i, tensors in enumerate(document["responses"])}
    arrays: dict[str, Any] = {
        f"{side}/{tensor.name}": to_array(tensor)
        for side, tensors in sides.items()
        for tensor in tensors
    }
    for name, value in document.get("parameters", {}).items():
        arrays[f"parameters/{name}"] = np.array(value)
    if "responses" in document:
        arrays["responses"] = np.array(len(document["responses"]))
    return arrays


def _scalar(key: str, array: NDArray[Any]) -> Any:
    if array.size != 1:
        raise CaseError(f"array {key!r} has {array.size} values", "one")
    return array.item()


def _count(key: str, array: NDArray[Any]) -> int:
    value = _scalar(key, array)
    if type(value) is not int or value < 0:
        raise CaseError(f"array {key!r} is {value!r}", "how many there are")
    return value
