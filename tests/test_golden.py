"""Golden cases: how they are read, what counts as different, and how it is told."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from tritonbuild.rules.verify import cases
from tritonbuild.rules.verify.cases import Case
from tritonbuild.rules.verify.compare import Mismatch, difference
from tritonbuild.rules.verify.report import Outcome, Report
from tritonbuild.rules.verify.tensors import Tensor, from_array

Y = {"name": "y", "datatype": "INT8", "shape": [1], "data": [1]}


def read(folder: Path, document: object) -> Case:
    """A case of a JSON file."""
    (folder / "case.json").write_text(json.dumps(document))
    return cases.read(folder / "case.json", "case.json")


def floats(*values: float) -> Tensor:
    return from_array("y", np.array(values, np.float32))


def different(expected: Tensor, got: Tensor, rtol: float = 0, atol: float = 0) -> Mismatch:
    found = difference(expected, got, rtol, atol)
    assert isinstance(found, Mismatch)
    return found


def test_a_json_case_has_tensors_and_perhaps_a_model(tmp_path: Path) -> None:
    case = read(tmp_path, {"inputs": [], "outputs": [Y], "model": "m", "version": "2"})
    assert [tensor.name for tensor in case.outputs] == ["y"]
    assert (case.inputs, case.model, case.version) == ((), "m", "2")


def test_an_npz_case_is_the_same_in_arrays(tmp_path: Path) -> None:
    arrays = {
        "inputs/a/b": np.array([1], np.float16),
        "outputs/y": np.array([1], np.int8),
        "model": np.array("m"),
    }
    np.savez(tmp_path / "c.npz", **arrays)  # type: ignore[arg-type]  # arrays by name
    case = cases.read(tmp_path / "c.npz", "c.npz")
    assert [(tensor.name, tensor.datatype) for tensor in case.inputs] == [("a/b", "FP16")]
    assert [(tensor.name, tensor.datatype) for tensor in case.outputs] == [("y", "INT8")]
    assert (case.model, case.version) == ("m", "")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([Y], r'expected \{"inputs": \[tensor, …\], "outputs": \[tensor, …\]\}'),
        ({"outputs": [Y]}, "no list of tensors under 'inputs'"),
        ({"inputs": [], "outputs": []}, "no outputs: a case needs at least one answer"),
        ({"inputs": [], "outputs": [Y, Y]}, "tensor 'y' is there twice"),
        ({"inputs": [], "outputs": [Y], "id": "7"}, "unknown key 'id'"),
        ({"inputs": [], "outputs": [Y], "version": 1}, "version is 1: expected a string"),
        ({"inputs": [{"name": "x"}], "outputs": [Y]}, "tensor 'x': 'shape' is missing"),
    ],
)
def test_what_is_wrong_with_a_case_is_said(tmp_path: Path, document: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read(tmp_path, document)


def test_a_file_of_another_kind_is_no_case(tmp_path: Path) -> None:
    for name, message in {
        "c.txt": "expected a file that ends in .json or .npz",
        "c.json": "not JSON: ",
        "c.npz": "not a readable .npz: ",
    }.items():
        (tmp_path / name).write_bytes(b"PK no")
        with pytest.raises(ValueError, match=message):
            cases.read(tmp_path / name, name)


def test_an_npz_with_pickles_or_other_arrays_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", y=np.array([1], np.int8))
    with pytest.raises(ValueError, match="unknown array 'y': expected inputs/NAME"):
        cases.read(tmp_path / "a.npz", "a.npz")
    np.savez(tmp_path / "b.npz", **{"outputs/y": np.array([object()])})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="not a readable"):
        cases.read(tmp_path / "b.npz", "b.npz")


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
    assert str(different(expected, got, atol=0.125)) == (
        "output 'y' at [0, 1]: expected 0.0, got 0.25 (rtol 0, atol 0.125); "
        "3 of 6 values differ; the worst at [1, 0]: expected 0.0, got -4.0"
    )


def test_values_are_as_long_as_their_type_is_precise() -> None:
    found = different(floats(0.1), floats(0.3))
    assert (found.expected, found.got) == ("0.1", "0.3")


def test_a_missing_output_another_datatype_and_another_shape_are_told() -> None:
    assert difference(floats(1), None, 0, 0) == "output 'y' did not come back"
    whole = from_array("y", np.array([1], np.int8))
    assert difference(floats(1), whole, 0, 0) == "output 'y': expected FP32, got INT8"
    wide = floats(1, 2)
    assert difference(floats(1), wide, 0, 0) == "output 'y': expected shape [1], got [2]"


def test_a_report_has_every_outcome() -> None:
    wrong = different(floats(1), floats(2))
    report = Report("golden", ["m"], 1.5)
    report.outcomes += [Outcome("a", [], 0.25), Outcome("b", [f"b: {wrong}"], 0.5, [wrong])]
    assert not report.passed
    document = json.loads(report.json)
    assert [each["status"] for each in document["outcomes"]] == ["passed", "failed"]
    assert document["outcomes"][1]["mismatches"][0]["got"] == "2.0"


def test_a_report_for_a_ci_server_is_xml_whatever_a_model_says() -> None:
    report = Report("smoke", ["m"], problems=["\x1b[31m<bad>\x00"])
    (suite,) = ET.fromstring(report.junit)
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert failure.attrib["message"] == "\ufffd[31m<bad>\ufffd"
