"""Tensors of the KServe v2 protocol: from its JSON, from NumPy arrays, to and from the wire."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DTYPES = {
    "BOOL": "?",
    "UINT8": "u1",
    "UINT16": "<u2",
    "UINT32": "<u4",
    "UINT64": "<u8",
    "INT8": "i1",
    "INT16": "<i2",
    "INT32": "<i4",
    "INT64": "<i8",
    "FP16": "<f2",
    "FP32": "<f4",
    "FP64": "<f8",
    "BF16": "<f4",
    "BYTES": "O",
}
"""Datatype → the NumPy type that holds it here. BF16 is held widened, BYTES as `bytes`."""


@dataclass(frozen=True, eq=False)
class Tensor:
    name: str
    datatype: str
    """In the protocol's words: FP32, BYTES, …"""
    values: NDArray[Any]


def from_json(document: object) -> Tensor:
    """Of `{"name", "shape", "datatype", "data"}`; data nested or flat, row by row.
    Raises ValueError, which names the tensor, what was found and what was expected.
    """
    if not isinstance(document, dict) or not isinstance(document.get("name"), str):
        raise ValueError('a tensor is {"name": …, "shape": …, "datatype": …, "data": …}')
    name = f"tensor {document['name']!r}"
    if unknown := sorted(set(document) - {"name", "shape", "datatype", "data"}):
        raise ValueError(f"{name}: unknown key {unknown[0]!r}: expected shape, datatype, data")
    for key in ("shape", "datatype", "data"):
        if key not in document:
            raise ValueError(f"{name}: {key!r} is missing")
    shape, datatype, data = (document[key] for key in ("shape", "datatype", "data"))
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
    return Tensor(document["name"], datatype, _array(datatype, values).reshape(shape))


def from_array(name: str, array: NDArray[Any]) -> Tensor:
    """Of an array as `numpy.savez` keeps it. Two raw bytes (`V2`) are a BF16; S and U are BYTES.
    Raises ValueError.
    """
    import numpy as np

    if array.dtype == np.dtype("V2"):
        return Tensor(name, "BF16", _widen(array.view("<u2")))
    if array.dtype.kind in "SU":
        items = [
            item if isinstance(item, bytes) else item.encode() for item in array.ravel().tolist()
        ]
        return Tensor(name, "BYTES", _array("BYTES", items).reshape(array.shape))
    for datatype, dtype in DTYPES.items():
        if array.dtype.newbyteorder("<") == np.dtype(dtype) and datatype not in ("BF16", "BYTES"):
            return Tensor(name, datatype, array.astype(dtype))
    raise ValueError(f"tensor {name!r}: NumPy type {array.dtype} has no datatype in the protocol")


def to_bytes(tensor: Tensor) -> bytes:
    """The raw content of an inference request."""
    import numpy as np
    from tritonclient.utils import serialize_byte_tensor  # type: ignore[import-untyped]

    if tensor.datatype == "BYTES":
        return bytes(serialize_byte_tensor(tensor.values).item()) if tensor.values.size else b""
    if tensor.datatype == "BF16":
        return _narrow(tensor.values).tobytes()
    return np.ascontiguousarray(tensor.values).tobytes()


def from_bytes(name: str, datatype: str, shape: list[int], raw: bytes) -> Tensor:
    """The inverse of `to_bytes`. Raises ValueError when bytes and shape do not fit."""
    import numpy as np
    from tritonclient.utils import deserialize_bytes_tensor

    if datatype == "BYTES":
        values: NDArray[Any] = deserialize_bytes_tensor(raw)
    elif datatype == "BF16":
        values = _widen(np.frombuffer(raw, "<u2"))
    else:
        values = np.frombuffer(raw, DTYPES[datatype])
    if values.size != math.prod(shape):
        raise ValueError(
            f"tensor {name!r}: {values.size} values came back for shape {shape}: "
            f"expected {math.prod(shape)}"
        )
    return Tensor(name, datatype, values.reshape(shape))


def round_to(datatype: str, values: NDArray[Any]) -> NDArray[Any]:
    """Values as the datatype can hold them."""
    return _widen(_narrow(values)) if datatype == "BF16" else values


def _widen(halves: NDArray[Any]) -> NDArray[np.float32]:
    """BF16 bits → FP32."""
    import numpy as np

    return (halves.astype("<u4") << np.uint32(16)).view("<f4")


def _narrow(values: NDArray[Any]) -> NDArray[np.uint16]:
    """FP32 → BF16 bits, to the nearest, ties to even."""
    import numpy as np

    bits = np.ascontiguousarray(values, "<f4").view("<u4")
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(values), np.uint32(0x7FC0), rounded).astype("<u2")


def _array(datatype: str, values: list[Any]) -> NDArray[Any]:
    import numpy as np

    array = np.empty(len(values), DTYPES[datatype])
    with np.errstate(over="ignore"):  # too large for the type is infinite, as in any computation
        array[:] = values
    return round_to(datatype, array)


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
