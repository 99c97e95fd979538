"""Tensors of every datatype, with every value that it has."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st
from tritonbuild.rules.verify.tensors import DTYPES, Tensor, from_array, from_bytes

shapes = st.lists(st.integers(0, 3), max_size=3).map(tuple)
letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
names = st.text(letters, min_size=1, max_size=5)


@st.composite
def tensors(draw: st.DrawFn, named: st.SearchStrategy[str] = names) -> Tensor:
    """Numbers are any bits: not-a-numbers with every payload, -0.0, subnormals."""
    datatype = draw(st.sampled_from(sorted(DTYPES)))
    shape = draw(shapes)
    count = math.prod(shape)
    if datatype == "BYTES":
        items = draw(st.lists(strings, min_size=count, max_size=count))
        array = np.empty(count, object)
        array[:] = items
        return Tensor(draw(named), datatype, array.reshape(shape))
    if datatype == "BOOL":
        flags = draw(st.lists(st.booleans(), min_size=count, max_size=count))
        return from_array(draw(named), np.array(flags, bool).reshape(shape))
    width = 2 if datatype == "BF16" else np.dtype(DTYPES[datatype]).itemsize
    size = count * width
    raw = draw(st.one_of(st.binary(min_size=size, max_size=size), special(datatype, count)))
    return from_bytes(draw(named), datatype, list(shape), raw)


strings = st.one_of(st.binary(max_size=6), st.text(max_size=4).map(str.encode), st.just(b"a\0"))


def special(datatype: str, count: int) -> st.SearchStrategy[bytes]:
    """Values at the edges of a type, repeated."""
    values = {
        "FP16": ["007c", "00fc", "007e", "017e", "017c", "0080", "0100"],
        "BF16": ["807f", "80ff", "c07f", "c17f", "817f", "0080", "0100"],
        "FP32": ["0000807f", "0000c07f", "0100c0ff", "0100807f", "00000080", "01000000"],
        "FP64": ["000000000000f07f", "000000000000f87f", "010000000000f8ff", "0000000000000080"],
    }
    width = 2 if datatype == "BF16" else np.dtype(DTYPES[datatype]).itemsize
    other = ["00" * width, "ff" * width, "ff" * (width - 1) + "7f", "00" * (width - 1) + "80"]
    return st.sampled_from(values.get(datatype, other)).map(
        lambda bits: bytes.fromhex(bits) * count
    )
