"""Of rules/verify/tensors.py."""

from __future__ import annotations

import io
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts.tensors import tensors
from tritonbuild.rules.verify.tensor_json import from_json
from tritonbuild.rules.verify.tensors import (
    DTYPES,
    Tensor,
    from_array,
    from_bytes,
    same,
    to_array,
    to_bytes,
)


def tensor(data: object, shape: object, datatype: object = "FP32", **more: object) -> Tensor:
    return from_json({"name": "x", "shape": shape, "datatype": datatype, "data": data, **more})


def sent(given: Tensor) -> Tensor:
    """A tensor after its way over the wire."""
    return from_bytes(given.name, given.datatype, list(given.values.shape), to_bytes(given))


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name not in ("BOOL", "BYTES")])
def test_numbers_of_each_datatype_survive_the_wire(datatype: str) -> None:
    assert sent(tensor([0, 1, 2, 100], [4], datatype)).values.tolist() == [0, 1, 2, 100]


def test_booleans_and_strings_survive_the_wire() -> None:
    assert sent(tensor([True, False], [2], "BOOL")).values.tolist() == [True, False]
    strings = sent(tensor(["", "é", "a\0b"], [3, 1], "BYTES"))
    assert strings.values.tolist() == [[b""], ["é".encode()], [b"a\0b"]]


def test_an_empty_tensor_survives_the_wire() -> None:
    assert sent(tensor([], [0, 4], "FP32")).values.shape == (0, 4)
    assert sent(tensor([], [2, 0], "BYTES")).values.shape == (2, 0)


def test_a_scalar_has_one_value_and_an_empty_shape() -> None:
    assert tensor([7], [], "INT64").values.tolist() == 7


def test_not_a_number_and_infinity_are_floats() -> None:
    values = sent(tensor([math.nan, math.inf, -math.inf], [3], "BF16")).values
    assert math.isnan(values[0])
    assert values[1:].tolist() == [math.inf, -math.inf]


def test_bf16_rounds_to_the_nearest_and_ties_to_even() -> None:
    step = 2.0**-7  # between the BF16 numbers above 1
    given = [1 + step * 0.5, 1 + step * 1.5, 1 + step * 0.75, -(1 + step * 0.25)]
    assert tensor(given, [4], "BF16").values.tolist() == [1, 1 + 2 * step, 1 + step, -1]


def test_arrays_of_a_file_know_their_datatype() -> None:
    assert from_array("x", np.array([1.5], np.float16)).datatype == "FP16"
    assert from_array("x", np.array([1], ">i8")).datatype == "INT64"
    assert from_array("x", np.array([True])).datatype == "BOOL"
    text = from_array("x", np.array([["ab", "é"]]))
    assert (text.datatype, text.values.tolist()) == ("BYTES", [[b"ab", "é".encode()]])
    halves = (np.array([1.0, -2.5], np.float32).view("<u4") >> 16).astype("<u2").view("V2")
    assert from_array("x", halves).values.tolist() == [1.0, -2.5]


def test_an_array_of_another_type_is_refused() -> None:
    with pytest.raises(ValueError, match=r"tensor 'x': NumPy type complex64 has no datatype"):
        from_array("x", np.array([1j], np.complex64))


def test_bytes_that_do_not_fill_the_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"tensor 'x': 2 values came back for shape \[3\]"):
        from_bytes("x", "INT8", [3], b"ab")


def test_an_unknown_datatype_in_an_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="'FP8' is no datatype of the protocol"):
        from_bytes("x", "FP8", [1], b"a")


@given(tensors())
def test_every_tensor_survives_the_wire_to_the_bit(given: Tensor) -> None:
    again = sent(given)
    assert again.name == given.name
    assert same(again, given)
    if given.datatype == "BYTES":
        assert again.values.tolist() == given.values.tolist()
    else:
        assert again.values.tobytes() == given.values.tobytes()


@given(tensors())
def test_every_tensor_survives_an_npz_to_the_bit(given: Tensor) -> None:
    file = io.BytesIO()
    np.savez(file, x=to_array(given))
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        again = from_array(given.name, archive["x"])
    assert same(again, given)


@given(tensors())
def test_columns_first_and_big_endian_are_the_same(given: Tensor) -> None:
    array = to_array(given)
    assert same(from_array("x", np.asfortranarray(array).reshape(array.shape, order="A")), given)
    if array.dtype.kind in "fiu":
        assert same(from_array("x", array.astype(array.dtype.newbyteorder(">"))), given)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_bf16_is_the_nearest_to_a_double(value: float) -> None:
    (found,) = tensor([value], [1], "BF16").values.tolist()
    exponent = max(math.frexp(value)[1] - 8, -133)  # of the step between two, which have 8 bits
    step = Fraction(2) ** exponent
    exact = abs(Fraction(value))
    below = exact // step * step
    distances = {below: exact - below, below + step: below + step - exact}
    nearest = [near for near, far in distances.items() if far == min(distances.values())]
    even = nearest[0] if len(nearest) == 1 else next(n for n in nearest if n / step % 2 == 0)
    largest = Fraction(2) ** 127 * (2 - Fraction(1, 2**7))
    assert abs(found) == (math.inf if even > largest else float(even))
    assert math.copysign(1, found) == math.copysign(1, value)


def test_a_bf16_just_above_a_tie_is_not_rounded_twice() -> None:
    step = 2.0**-7
    assert tensor([1 + step / 2 + 2.0**-40], [1], "BF16").values.tolist() == [1 + step]
    assert tensor([1 + step / 2], [1], "BF16").values.tolist() == [1]
