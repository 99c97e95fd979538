"""Tensors as KServe v2 writes them in JSON: `{"name", "shape", "datatype", "data"}`.

Floats that JSON has no number for are the strings "NaN", "Infinity" and "-Infinity"; without
quotes, as Python's json writes them, they are read too. Bytes that are not UTF-8 have no place in
JSON.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from .tensors import DTYPES, Tensor, filled, same

KEYS = ("name", "shape", "datatype", "data")
WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def from_json(document: object) -> Tensor:
    """Of the document; data nested or flat, row by row. Raises ValueError, which names the
    tensor, what was found and what was expected, the two with `: expected ` between them.
    """
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise ValueError('not a tensor: expected {"name": …, "shape": …, "datatype": …, "data": …}')
    name = f"tensor {document['name']!r}"
    if unknown := sorted(set(document) - set(KEYS)):
        raise ValueError(f"{name}: unknown key {unknown[0]!r}: expected shape, datatype, data")
    for key in KEYS:
        if key not in document:
            raise ValueError(f"{name}: {key!r} is missing")
    shape, datatype, data = (document[key] for key in KEYS[1:])
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"{name}: shape is {shape!r}: expected a list of sizes, such as [1, 3]")
    if datatype not in DTYPES:
        raise ValueError(f"{name}: datatype is {datatype!r}: expected one of {', '.join(DTYPES)}")
    if not isinstance(data, list):
        raise ValueError(f"{name}: data is {_short(data)}: expected a list")
    nested = _shape_of(data)
    if nested is None or (nested != shape and nested != [math.prod(shape)] and math.prod(shape)):
        found = "of uneven length" if nested is None else f"nested as {nested}"
        raise ValueError(
            f"{name}: data is {found}: expected {math.prod(shape)} values for shape {shape}"
        )
    try:
        values = _values(datatype, data)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if len(values) != math.prod(shape):
        raise ValueError(
            f"{name}: data has {len(values)} values: expected {math.prod(shape)} for shape {shape}"
        )
    try:
        array = filled(datatype, values, tuple(shape))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name}: no {datatype} of shape {shape} can hold it: {error}") from None
    return Tensor(document["name"], datatype, array)


def to_json(tensor: Tensor) -> dict[str, Any]:
    """The document, which `from_json` reads back to the bit. Raises ValueError where JSON cannot
    do that."""
    data = _nested(tensor)
    document = {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(tensor.values.shape),
        "data": data if isinstance(data, list) else [data],
    }
    if not same(tensor, from_json(document)):
        raise ValueError(f"tensor {tensor.name!r} has values that JSON has no words for")
    return document


def _nested(tensor: Tensor) -> Any:
    values = tensor.values
    kind = values.dtype.kind
    if kind not in "fO":
        return values.tolist()
    texts = [_word(item) if kind == "f" else item.decode() for item in values.ravel()]
    return filled("BYTES", texts, values.shape).tolist()


def _word(value: Any) -> float | str:
    """As short as tells it from its neighbours in its own precision."""
    number = float(value)
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
    short = float(str(value))
    return short if type(value)(short) == value else number


def _values(datatype: str, data: list[Any]) -> list[Any]:
    """The values of JSON data, checked. Raises ValueError."""
    import numpy as np

    kind = np.dtype(DTYPES[datatype]).kind
    types: tuple[type, ...] = {"b": (bool,), "O": (str,), "f": (int, float)}.get(kind, (int,))
    expected = {"b": "true or false", "O": "a string", "f": "a number"}.get(kind, "")
    low, high = -math.inf, math.inf
    if not expected:
        low, high = np.iinfo(DTYPES[datatype]).min, np.iinfo(DTYPES[datatype]).max
        expected = f"a whole number from {low} to {high}"
    values = list(_flat(data))
    if kind == "f":
        values = [WORDS.get(item, item) if type(item) is str else item for item in values]
    for item in values:
        if type(item) not in types or (types == (int,) and not low <= item <= high):
            raise ValueError(f"{_short(item)} is in the data: expected {expected} for {datatype}")
    return [item.encode() for item in values] if types == (str,) else values


def _shape_of(data: object) -> list[int] | None:
    """Of nested lists; None when they differ in length."""
    if not isinstance(data, list):
        return []
    below = [_shape_of(item) for item in data]
    if any(shape is None or shape != below[0] for shape in below):
        return None
    return [len(data), *(below[0] or [])] if below else [0]


def _flat(data: list[Any]) -> Iterator[Any]:
    for item in data:
        if isinstance(item, list):
            yield from _flat(item)
        else:
            yield item


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}…"
