"""Tensors of the KServe v2 protocol: from and to NumPy arrays, to and from the wire.

Every way there and back gives the same bits, those of a not-a-number and of -0.0 as well.
"""

from __future__ import annotations

import math
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
FLOATS = ("FP16", "FP32", "FP64", "BF16")
_SIZED = ("size", "data")
"""Fields of an array's items that keep the NULs at the end of a string, which NumPy's S drops."""


@dataclass(frozen=True, eq=False)
class Tensor:
    name: str
    datatype: str
    """In the protocol's words: FP32, BYTES, …"""
    values: NDArray[Any]


def from_array(name: str, array: NDArray[Any]) -> Tensor:
    """Of an array as `numpy.savez` keeps it. Two raw bytes (`V2`) are a BF16; S and U are BYTES,
    and so are items of `size` and `data`, for strings that end in NUL. Raises ValueError.
    """
    import numpy as np

    if array.dtype == np.dtype("V2"):
        return Tensor(name, "BF16", _widen(array.view("<u2")))
    if array.dtype.names == _SIZED and array.dtype["data"].kind == "S":
        sizes, data = array["size"].ravel().tolist(), array["data"].ravel().tolist()
        items = [text.ljust(size, b"\0") for size, text in zip(sizes, data, strict=True)]
        return Tensor(name, "BYTES", filled("BYTES", items, array.shape))
    if array.dtype.kind in "SU":
        items = [
            item if isinstance(item, bytes) else item.encode() for item in array.ravel().tolist()
        ]
        return Tensor(name, "BYTES", filled("BYTES", items, array.shape))
    for datatype, dtype in DTYPES.items():
        if array.dtype.newbyteorder("<") == np.dtype(dtype) and datatype not in ("BF16", "BYTES"):
            return Tensor(name, datatype, array.astype(dtype))
    raise ValueError(f"tensor {name!r}: NumPy type {array.dtype} has no datatype in the protocol")


def to_array(tensor: Tensor) -> NDArray[Any]:
    """The inverse of `from_array`."""
    import numpy as np

    if tensor.datatype == "BF16":
        return _narrow(tensor.values).view("V2")
    if tensor.datatype != "BYTES":
        return tensor.values
    items: list[bytes] = tensor.values.ravel().tolist()
    width = max(map(len, items), default=1) or 1
    if not any(item.endswith(b"\0") for item in items):
        return np.array(items, f"S{width}").reshape(tensor.values.shape)
    sized = np.empty(len(items), [("size", "<u4"), ("data", f"S{width}")])
    sized["size"], sized["data"] = [len(item) for item in items], items
    return sized.reshape(tensor.values.shape)


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

    if datatype not in DTYPES:
        raise ValueError(f"tensor {name!r}: {datatype!r} is no datatype of the protocol")
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


def filled(datatype: str, values: list[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Python values, row by row, as the datatype can hold them: floats to the nearest, ties to
    even, and infinite where they are too large for it. Raises ValueError and OverflowError."""
    import numpy as np

    with np.errstate(over="ignore"):
        if datatype == "BF16":
            return _rounded(np.array(values, "<f8")).reshape(shape)
        if datatype != "BYTES":
            return np.array(values, DTYPES[datatype]).reshape(shape)
        array = np.empty(len(values), DTYPES[datatype])
        array[:] = values
    return array.reshape(shape)


def round_to(datatype: str, values: NDArray[Any]) -> NDArray[Any]:
    """FP32 values as the datatype can hold them."""
    return _widen(_narrow(values)) if datatype == "BF16" else values


def same(one: Tensor, other: Tensor) -> bool:
    """Whether they are alike to the bit; names are not looked at."""
    return (
        one.datatype == other.datatype
        and one.values.shape == other.values.shape
        and to_bytes(one) == to_bytes(other)
    )


def _widen(halves: NDArray[Any]) -> NDArray[np.float32]:
    """BF16 bits → FP32."""
    import numpy as np

    return np.asarray(halves.astype("<u4") << np.uint32(16)).view("<f4")


def _narrow(values: NDArray[Any]) -> NDArray[np.uint16]:
    """FP32 → BF16 bits, to the nearest, ties to even. What is a BF16 already keeps its bits; of
    another not-a-number the upper half stays, made quiet."""
    import numpy as np

    bits = np.ascontiguousarray(values, "<f4").view("<u4").reshape(values.shape)
    upper = bits >> np.uint32(16)
    rounded = (bits + np.uint32(0x7FFF) + (upper & np.uint32(1))) >> np.uint32(16)
    quiet = np.where(bits & np.uint32(0xFFFF), upper | np.uint32(0x0040), upper)
    return np.where(np.isnan(values), quiet, rounded).astype("<u2")


def _rounded(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """FP64 → BF16, widened. On the way an inexact FP32 is made odd, so that it is no tie: rounded
    twice, a number just above the middle of two would go down."""
    import numpy as np

    near = values.astype("<f4")
    bits = near.view("<u4").copy()
    inexact = ~np.isnan(values) & (near.astype("<f8") != values)
    bits -= (inexact & (np.abs(near.astype("<f8")) > np.abs(values))).astype("<u4")
    return _widen(_narrow((bits | inexact.astype("<u4")).view("<f4")))
