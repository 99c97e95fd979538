"""Of rules/verify/tensor_json.py."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from parts.tensors import tensors
from tritonbuild.rules.verify.tensor_json import from_json, to_json
from tritonbuild.rules.verify.tensors import FLOATS, Tensor, from_array, same


def tensor(data: object, shape: object, datatype: object = "FP32", **more: object) -> Tensor:
    return from_json({"name": "x", "shape": shape, "datatype": datatype, "data": data, **more})


def test_nested_and_flat_data_are_the_same() -> None:
    nested = tensor([[1, 2, 3], [4, 5, 6]], [2, 3], "INT32")
    flat = tensor([1, 2, 3, 4, 5, 6], [2, 3], "INT32")
    assert nested.values.tolist() == flat.values.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert nested.values.dtype == np.int32


@pytest.mark.parametrize("datatype", FLOATS)
def test_not_a_number_and_infinity_are_words(datatype: str) -> None:
    values = tensor(["NaN", "Infinity", "-Infinity", 1], [4], datatype).values
    assert math.isnan(values[0])
    assert values[1:].tolist() == [math.inf, -math.inf, 1]


def test_python_s_own_not_a_number_and_infinity_are_read_too() -> None:
    assert same(tensor(json.loads("[NaN, -Infinity]"), [2]), tensor(["NaN", "-Infinity"], [2]))


def test_words_are_no_whole_numbers() -> None:
    with pytest.raises(ValueError, match="'NaN' is in the data: expected a whole number"):
        tensor(["NaN"], [1], "INT8")


def test_whole_numbers_beyond_those_of_a_double_stay_exact() -> None:
    large = [2**53 + 1, -(2**63), 2**63 - 1]
    assert tensor(large, [3], "INT64").values.tolist() == large
    assert tensor([2**64 - 1, 1], [2], "UINT64").values.tolist() == [2**64 - 1, 1]


def test_what_is_too_large_for_a_float_is_infinite() -> None:
    assert tensor([1e5, -1e5], [2], "FP16").values.tolist() == [math.inf, -math.inf]
    assert tensor([1e39], [1], "BF16").values.tolist() == [math.inf]
    with pytest.raises(ValueError, match="no FP64 of shape"):
        tensor([10**400], [1], "FP64")


@given(tensors())
def test_what_is_written_is_read_back_to_the_bit(given: Tensor) -> None:
    try:
        document = to_json(given)
    except ValueError:
        return
    text = json.dumps(document, allow_nan=False)
    again = from_json(json.loads(text))
    assert again.name == given.name
    assert same(again, given)


@given(tensors())
def test_only_odd_values_cannot_be_written(given: Tensor) -> None:
    """Bytes that are no text, and a not-a-number that is not the usual one."""
    try:
        to_json(given)
    except ValueError:
        if given.datatype == "BYTES":
            assert any(not is_text(item) for item in given.values.ravel().tolist())
        else:
            assert np.isnan(given.values).any()


def is_text(item: bytes) -> bool:
    try:
        item.decode()
    except UnicodeDecodeError:
        return False
    return True


def test_floats_are_written_as_short_as_they_are_exact() -> None:
    for array in (
        np.array([0.1, -0.0, 1e-7], np.float32),
        np.array([0.1, -0.0, 65504], np.float16),
        np.array([0.1, -0.0, 1e300]),
    ):
        written = to_json(from_array("x", array))
        assert json.dumps(written["data"][:2]) == "[0.1, -0.0]"


def test_data_is_written_nested_as_the_shape_says() -> None:
    document = to_json(from_array("x", np.arange(4, dtype=np.int8).reshape(2, 2)))
    assert document == {
        "name": "x",
        "datatype": "INT8",
        "shape": [2, 2],
        "data": [[0, 1], [2, 3]],
    }
    assert to_json(from_array("x", np.array(7, np.int8)))["data"] == [7]


deep = st.recursive(st.just(0), lambda below: st.lists(below, max_size=3), max_leaves=8)
documents = st.fixed_dictionaries(
    {},
    optional={
        "name": st.one_of(st.text(max_size=3), st.none()),
        "datatype": st.sampled_from(["FP32", "BF16", "INT8", "BYTES", "BOOL", "X", 1]),
        "shape": st.one_of(st.lists(st.integers(-1, 2**70), max_size=3), st.text(max_size=2)),
        "data": st.one_of(
            deep,
            st.lists(st.one_of(st.integers(), st.floats(), st.text(), st.booleans(), st.none())),
        ),
    },
)


@given(documents)
def test_no_document_does_worse_than_to_be_refused(document: Any) -> None:
    try:
        from_json(document)
    except ValueError as error:
        assert str(error)  # noqa: PT017  # any other exception fails the test


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
    with pytest.raises(ValueError, match="not a tensor"):
        from_json({"shape": [1]})
