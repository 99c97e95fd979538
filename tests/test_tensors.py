"""Of rules/verify/tensors.py."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tritonbuild.rules.verify.tensors import (
    DTYPES,
    Tensor,
    from_array,
    from_bytes,
    from_json,
    to_bytes,
)


def tensor(data: object, shape: object, datatype: object = "FP32", **more: object) -> Tensor:
    return from_json({"name": "x", "shape": shape, "datatype": datatype, "data": data, **more})


def sent(given: Tensor) -> Tensor:
    """A tensor after its way over the wire."""
    return from_bytes(given.name, given.datatype, list(given.values.shape), to_bytes(given))


def test_nested_and_flat_data_are_the_same() -> None:
    nested = tensor([[1, 2, 3], [4, 5, 6]], [2, 3], "INT32")
    flat = tensor([1, 2, 3, 4, 5, 6], [2, 3], "INT32")
    assert nested.values.tolist() == flat.values.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert nested.values.dtype == np.int32


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


@pytest.mark.parametrize(
    ("data", "shape", "datatype", "message"),
    [
        (
            [1.5],
            [1],
            "INT32",
            r"tensor 'x': 1.5 is in the data: expected a whole number from -2147",
        ),
        ([256], [1], "UINT8", r"256 is in the data: expected a whole number from 0 to 255"),
        ([True], [1], "INT8", r"True is in the data: expected a whole number"),
        ([1], [1], "BOOL", r"1 is in the data: expected true or false"),
        (["1"], [1], "FP32", r"'1' is in the data: expected a number"),
        ([None], [1], "FP64", r"None is in the data: expected a number"),
        ([1], [1], "BYTES", r"1 is in the data: expected a string"),
        ([1, 2], [3], "FP32", r"data is nested as \[2\]: expected 3 values for shape \[3\]"),
        ([[1], [2, 3]], [3], "FP32", r"data is of uneven length: expected 3 values"),
        ([[1, 2]], [2, 1], "FP32", r"data is nested as \[1, 2\]: expected 2 values for shape"),
        ([1], [0], "FP32", r"data has 1 values: expected 0 for shape \[0\]"),
        ("abc", [3], "BYTES", r"data is 'abc': expected a list"),
        ([1], [-1], "FP32", r"shape is \[-1\]: expected a list of sizes"),
        ([1], 1, "FP32", r"shape is 1: expected a list of sizes"),
        ([1], [1], "FLOAT", r"datatype is 'FLOAT': expected one of BOOL, "),
    ],
)
def test_what_is_wrong_with_a_tensor_is_said(
    data: object, shape: object, datatype: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        tensor(data, shape, datatype)


def test_missing_and_unknown_keys_are_named() -> None:
    with pytest.raises(ValueError, match="tensor 'x': 'data' is missing"):
        from_json({"name": "x", "shape": [1], "datatype": "FP32"})
    with pytest.raises(ValueError, match="tensor 'x': unknown key 'values'"):
        tensor([1], [1], values=[])
    with pytest.raises(ValueError, match="a tensor is"):
        from_json({"shape": [1]})
