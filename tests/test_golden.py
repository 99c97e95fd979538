"""Golden answers: what counts as different, and how it is told."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from tritonbuild.rules.verify.compare import Mismatch, Tolerances, Unlike, difference
from tritonbuild.rules.verify.report import Outcome, Report
from tritonbuild.rules.verify.tensors import Tensor, from_array

from tritonbuild.errors import Problem


def floats(*values: float) -> Tensor:
    return from_array("y", np.array(values, np.float32))


def different(expected: Tensor, got: Tensor, rtol: float = 0, atol: float = 0) -> Mismatch:
    found = difference(expected, got, rtol, atol)
    assert isinstance(found, Mismatch)
    return found


def test_floats_agree_within_the_tolerance() -> None:
    assert difference(floats(100, 0), floats(100.9, 0.01), rtol=0.01, atol=0.02) is None
    assert different(floats(100, 0), floats(101.1, 0), rtol=0.01).index == (0,)
    assert different(floats(100, 0), floats(100, 0.03), atol=0.02).index == (1,)


def test_not_a_number_agrees_only_with_itself() -> None:
    assert difference(floats(math.nan, math.inf), floats(math.nan, math.inf), 0, 0) is None
    assert different(floats(math.nan), floats(1), rtol=9, atol=9).expected == "nan"
    assert different(floats(1), floats(math.nan), rtol=9, atol=9).got == "nan"
    assert different(floats(math.inf), floats(-math.inf), rtol=9, atol=9).got == "-inf"


def test_whole_numbers_booleans_and_strings_agree_exactly() -> None:
    large = 2**63
    for expected, got in [
        (np.array([large], np.uint64), np.array([large + 1], np.uint64)),
        (np.array([True]), np.array([False])),
        (np.array(["a"]), np.array(["b"])),
    ]:
        assert difference(from_array("y", expected), from_array("y", expected), 0, 0) is None
        found = different(from_array("y", expected), from_array("y", got), rtol=9, atol=9)
        assert (found.tolerance, found.differing) == ("", 1)


def test_a_mismatch_tells_the_first_and_the_worst_place() -> None:
    expected = from_array("y", np.zeros((2, 3), np.float32))
    got = from_array("y", np.array([[0, 0.25, 0], [-4, 0, 1]], np.float32))
    assert different(expected, got, atol=0.125).problem(("outputs", "y")) == Problem(
        "0.25 at [0, 1]; 3 of 6 values differ; the worst at [1, 0]: expected 0.0, got -4.0",
        "0.0 (rtol 0, atol 0.125)",
        key="outputs.y",
    )


def test_a_single_value_is_told_in_short() -> None:
    nine, eight = (from_array("y", np.array(value)) for value in (9, 8))
    assert different(nine, eight).problem(("sequence", 1, "outputs", "y")) == Problem(
        "8", "9", key="sequence[1].outputs.y"
    )


@pytest.mark.parametrize(
    ("expected", "got", "enough"),
    [
        ((100, 1), (100.4, 1), 0.005),
        ((100, 2), (101, 2.061), 0.04),
        ((100,), (150,), None),
        ((0,), (1e-7,), None),
        ((1,), (math.nan,), None),
    ],
)
def test_a_tolerance_that_would_do_is_told_where_it_is_small(
    expected: tuple[float, ...], got: tuple[float, ...], enough: float | None
) -> None:
    found = different(floats(*expected), floats(*got))
    assert found.enough == enough
    if enough:
        assert difference(floats(*expected), floats(*got), enough, 0) is None
        assert found.problem(()).remedy == f"if that is near enough: rtol = {enough:g}"
    else:
        assert found.problem(()).remedy == ""


def test_tolerances_are_of_all_outputs_or_by_output() -> None:
    assert Tolerances(0.5, {"y": 0.25}).of("y") == (0.5, 0.25)
    assert Tolerances(0.5, {"y": 0.25}).of("z") == (0.5, 1e-8)


def test_values_are_as_long_as_their_type_is_precise() -> None:
    found = different(floats(0.1), floats(0.3))
    assert (found.expected, found.got) == ("0.1", "0.3")


def test_a_missing_output_another_datatype_and_another_shape_are_told() -> None:
    assert difference(floats(1), None, 0, 0) == Unlike(
        "the output did not come back", "FP32 of shape [1]"
    )
    whole = from_array("y", np.array([1], np.int8))
    assert difference(floats(1), whole, 0, 0) == Unlike("datatype INT8", "datatype FP32")
    assert difference(floats(1), floats(1, 2), 0, 0) == Unlike("shape [2]", "shape [1]")


def test_a_report_has_every_outcome() -> None:
    wrong = different(floats(1), floats(2))
    report = Report("golden", ["m"], 1.5)
    problem = wrong.problem(("outputs", "y"))
    report.outcomes += [
        Outcome("a", "m", seconds=0.25),
        Outcome("b", "m", "p/b.json", [problem], {"outputs.y": wrong}, 0.5),
    ]
    assert not report.passed
    document = json.loads(report.json)
    assert [each["status"] for each in document["outcomes"]] == ["passed", "failed"]
    told = {"found": "2.0 at [0]", "expected": "1.0 (rtol 0, atol 0)", "key": "outputs.y"}
    assert document["problems"][0].items() >= {**told, "file": "p/b.json"}.items()
    assert document["outcomes"][1]["problems"][0].items() >= told.items()
    (mismatch,) = document["outcomes"][1]["mismatches"]
    assert (mismatch["key"], mismatch["index"], mismatch["got"]) == ("outputs.y", [0], "2.0")


def test_a_report_for_a_ci_server_is_xml_whatever_a_model_says() -> None:
    report = Report("smoke", ["m"], problems=[Problem("\x1b[31m<bad>\x00")])
    (suite,) = ET.fromstring(report.junit)
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.attrib["message"] == "\ufffd[31m<bad>\ufffd"
