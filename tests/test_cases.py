"""Golden cases: how files of them are read and written."""

from __future__ import annotations

import io
import json
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from parts.tensors import letters, names, tensors
from tritonbuild.rules.verify import case_json, case_npz, cases
from tritonbuild.rules.verify.case import LARGE, Case, CaseError, Request
from tritonbuild.rules.verify.tensors import from_array, same

X = {"name": "x", "datatype": "INT8", "shape": [1], "data": [2]}
Y = {"name": "y", "datatype": "INT8", "shape": [1], "data": [1]}


def read(document: object) -> Case:
    """A case of a JSON file."""
    return case_json.read(json.dumps(document).encode())


def read_npz(folder: Path, **arrays: Any) -> Case:
    np.savez(folder / "c.npz", **arrays)
    return cases.read(folder / "c.npz", "c.npz")


def said(case: Case) -> object:
    """What stands in a case, with tensors as their values."""
    requests = [
        (
            {tensor.name: tensor.values.tolist() for tensor in request.inputs},
            [{t.name: t.values.tolist() for t in response} for response in request.responses],
            request.streams,
            dict(request.parameters),
        )
        for request in case.requests
    ]
    return requests, case.sequence, case.model, case.version


def test_a_case_has_inputs_outputs_and_perhaps_a_model() -> None:
    document = {"inputs": [X], "outputs": [Y], "model": "m", "version": "2"}
    assert said(read(document)) == ([({"x": [2]}, [{"y": [1]}], False, {})], False, "m", "2")


def test_a_case_of_a_decoupled_model_has_responses_in_their_order() -> None:
    document = {"inputs": [X], "responses": [[Y], [], [X]]}
    assert said(read(document)) == (
        [({"x": [2]}, [{"y": [1]}, {}, {"x": [2]}], True, {})],
        False,
        "",
        "",
    )
    assert read({"inputs": [], "responses": []}).requests[0].responses == ()


def test_a_sequence_has_requests_in_their_order() -> None:
    steps = [
        {"inputs": [X], "outputs": []},
        {"inputs": [], "responses": [[Y]], "parameters": {"priority": 2}},
    ]
    assert said(read({"sequence": steps, "model": "m"})) == (
        [({"x": [2]}, [{}], False, {}), ({}, [{"y": [1]}], True, {"priority": 2})],
        True,
        "m",
        "",
    )


def test_an_npz_holds_the_same_in_arrays(tmp_path: Path) -> None:
    x, y = np.array([2], np.int8), np.array([1], np.int8)
    case = read_npz(tmp_path, **{"inputs/a/b": x, "outputs/y": y, "model": np.array("m")})
    assert said(case) == ([({"a/b": [2]}, [{"y": [1]}], False, {})], False, "m", "")
    case = read_npz(tmp_path, **{"responses/2/y": y, "responses/0/x": x, "inputs/x": x})
    assert said(case)[0][0][1:3] == ([{"x": [2]}, {}, {"y": [1]}], True)  # type: ignore[index]
    arrays = {"sequence/1/inputs/x": x, "sequence/0/outputs/y": y, "sequence/1/responses": 0}
    case = read_npz(tmp_path, **{**arrays, "sequence/1/parameters/priority": 2})
    assert said(case)[0] == [  # type: ignore[index]
        ({}, [{"y": [1]}], False, {}),
        ({"x": [2]}, [], True, {"priority": 2}),
    ]


@pytest.mark.parametrize(
    ("document", "key", "message"),
    [
        ([Y], "", r'not a case: expected \{"inputs": \[tensor, …\], "outputs": \[tensor, …\]\}'),
        ({"outputs": [Y]}, "inputs", "inputs: no list of tensors"),
        ({"inputs": [], "outputs": "y"}, "outputs", "no list of tensors"),
        ({"inputs": [], "outputs": []}, "", "no outputs: expected at least one answer to compare"),
        ({"inputs": [], "outputs": [Y, Y]}, "outputs", "tensor 'y' is there twice"),
        ({"inputs": [], "outputs": [Y], "id": "7"}, "id", "unknown key 'id'"),
        (
            {"inputs": [], "outputs": [Y], "version": 1},
            "version",
            "version is 1: expected a string",
        ),
        ({"inputs": [X, {"name": "x"}], "outputs": [Y]}, "inputs[1]", "'shape' is missing"),
        ({"inputs": [{**X, "data": [300]}], "outputs": [Y]}, "inputs[0]", "300 is in the data"),
        ({"inputs": [], "outputs": [Y], "responses": []}, "", "both 'outputs' and 'responses'"),
        ({"inputs": [], "responses": [Y]}, "responses[0]", "no list of tensors"),
        ({"inputs": [], "responses": [[Y], [Y, Y]]}, "responses[1]", "'y' is there twice"),
        ({"sequence": [{"inputs": []}]}, "sequence[0].outputs", "no list of tensors"),
        ({"sequence": []}, "sequence", "no request"),
        ({"sequence": [{"inputs": [], "outputs": []}]}, "", "no outputs"),
        ({"sequence": [Y], "inputs": []}, "inputs", "unknown key 'inputs'"),
        ({"sequence": [{"inputs": [], "outputs": [{}]}]}, "sequence[0].outputs[0]", "not a tensor"),
        (
            {"inputs": [], "outputs": [Y], "parameters": {"sequence_id": 1}},
            "parameters.sequence_id",
            "expected no name that Triton keeps for itself",
        ),
        (
            {"inputs": [], "outputs": [Y], "parameters": {"priority": -1}},
            "parameters.priority",
            "priority is -1: expected a whole number from 0",
        ),
        (
            {"inputs": [], "outputs": [Y], "parameters": {"a": [1]}},
            "parameters.a",
            "expected a string, a number, true or false",
        ),
        (
            {"inputs": [], "outputs": [Y], "parameters": {"a": math.inf}},
            "parameters.a",
            "a finite number",
        ),
        ({"inputs": [], "outputs": [Y], "parameters": {"a": 2**63}}, "parameters.a", "64 bits"),
        ({"inputs": [], "outputs": [Y], "parameters": {"a": "\0"}}, "parameters.a", "without NUL"),
        ({"inputs": [], "outputs": [Y], "parameters": 1}, "parameters", "no table"),
        ({"inputs": [], "outputs": [{**Y, "name": "\ud800"}]}, "outputs", "a name in UTF-8"),
        ({"inputs": [], "outputs": [{**Y, "name": "a\0"}]}, "outputs", "without NUL"),
    ],
)
def test_what_is_wrong_with_a_case_is_said_with_its_place(
    document: object, key: str, message: str
) -> None:
    with pytest.raises(CaseError, match=message) as raised:
        read(document)
    assert raised.value.problem.key == key


def test_a_misspelled_key_has_a_remedy() -> None:
    with pytest.raises(CaseError) as raised:
        read({"inputs": [], "output": [Y]})
    assert raised.value.problem.remedy == "did you mean 'outputs'?"


def test_a_number_in_the_place_of_a_version_has_a_remedy() -> None:
    with pytest.raises(CaseError) as raised:
        read({"inputs": [], "outputs": [Y], "version": 2})
    assert raised.value.problem.remedy == 'say "2"'


def test_what_is_no_json_is_said_with_its_line() -> None:
    with pytest.raises(CaseError, match="not JSON: Expecting value at column 13") as raised:
        case_json.read(b'{\n  "inputs": oops\n}')
    assert raised.value.problem.line == 2


@pytest.mark.parametrize(
    "content", [b'{"inputs": [], "inputs": []}', b"\xff", b"[" * 100_000, b"1" * 5000]
)
def test_json_that_no_case_is_made_of_is_refused(content: bytes) -> None:
    with pytest.raises(CaseError, match="not JSON: "):
        case_json.read(content)


KEYS = ["inputs", "outputs", "responses", "sequence", "parameters", "model", "version"]
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from([X, Y]),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=2), below, max_size=4)
    ),
    max_leaves=12,
)


@given(documents)
@settings(max_examples=300)
def test_no_document_does_worse_than_to_be_refused(document: Any) -> None:
    with suppress(CaseError):
        read(document)


def test_a_file_of_another_kind_is_no_case(tmp_path: Path) -> None:
    for name, message in {
        "c.txt": "expected a file that ends in .json or .npz",
        "c.json": "not JSON: ",
        "c.npz": "not a readable .npz: ",
    }.items():
        (tmp_path / name).write_bytes(b"PK no")
        with pytest.raises(ValueError, match=message):
            cases.read(tmp_path / name, name)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": [1]}, "unknown array 'y': expected inputs/NAME"),
        ({"outputs/y": [object()]}, "not a readable .npz"),
        ({"outputs/y": [1j]}, "NumPy type complex128 has no datatype"),
        ({"sequence/0/outputs/y": [1], "inputs/x": [1]}, "array 'inputs/x' beside a sequence"),
        ({"outputs/y": [1], "responses/0/y": [1]}, "both 'outputs' and 'responses'"),
        ({"responses/99999/y": [1]}, "100000 under 'responses': expected at most 10000"),
        ({"responses": "many"}, "array 'responses' is 'many': expected how many"),
        ({"outputs/y": [1], "parameters/priority": [1, 2]}, "has 2 values: expected one"),
    ],
)
def test_an_npz_that_no_case_is_made_of_is_refused(
    tmp_path: Path, arrays: dict[str, Any], message: str
) -> None:
    with pytest.raises(CaseError, match=message):
        read_npz(tmp_path, **arrays)


def test_a_damaged_npz_is_refused(tmp_path: Path) -> None:
    file = io.BytesIO()
    np.savez_compressed(file, **{"outputs/y": np.arange(100)})  # type: ignore[arg-type]  # by name
    whole = file.getvalue()
    for place in range(0, len(whole), 7):
        (tmp_path / "c.npz").write_bytes(whole[:place] + b"\xff\xff" + whole[place + 2 :])
        try:
            cases.read(tmp_path / "c.npz", "c.npz")
        except CaseError:
            continue


def test_an_npz_that_says_to_be_huge_is_refused(tmp_path: Path) -> None:
    import zipfile

    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776, 65536), }"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(tmp_path / "c.npz", "w") as archive:
        archive.writestr("outputs/y.npy", array)
    with pytest.raises(CaseError, match="not a readable"):
        cases.read(tmp_path / "c.npz", "c.npz")


numbers = st.one_of(st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False))
words = st.text(letters, max_size=4)
parameters = st.dictionaries(
    st.sampled_from(["a", "b/c", "é"]), numbers.filter(lambda n: abs(n) != math.inf) | words
)
distinct = st.lists(names, unique=True, max_size=3)


@st.composite
def sets(draw: st.DrawFn) -> tuple[Any, ...]:
    return tuple(draw(tensors(st.just(name))) for name in draw(distinct))


@st.composite
def requests(draw: st.DrawFn) -> Request:
    streams = draw(st.booleans())
    answers = draw(st.lists(sets(), max_size=3)) if streams else [draw(sets())]
    return Request(draw(sets()), tuple(answers), streams, draw(parameters))


@st.composite
def whole_cases(draw: st.DrawFn) -> Case:
    sequence = draw(st.booleans())
    asked = tuple(draw(st.lists(requests(), min_size=1, max_size=3 if sequence else 1)))
    model, version = draw(st.sampled_from(["", "m"])), draw(st.sampled_from(["", "1"]))
    return Case(asked, sequence, model, version)


def alike(one: Case, other: Case) -> bool:
    """To the bit, in any order of the tensors of one request."""

    def parts(case: Case) -> Any:
        for request in case.requests:
            yield len(request.inputs), [len(response) for response in request.responses]
            yield request.streams, sorted(request.parameters.items())
            yield [type(value) for _, value in sorted(request.parameters.items())]

    def all_tensors(case: Case) -> Any:
        for request in case.requests:
            for side in (request.inputs, *request.responses):
                yield from sorted(side, key=lambda tensor: tensor.name)

    return (
        (one.sequence, one.model, one.version) == (other.sequence, other.model, other.version)
        and list(parts(one)) == list(parts(other))
        and all(
            first.name == second.name and same(first, second)
            for first, second in zip(all_tensors(one), all_tensors(other), strict=True)
        )
    )


@given(whole_cases())
@settings(max_examples=300)
def test_a_written_case_is_read_back_to_the_bit(tmp_path_factory: Any, case: Case) -> None:
    try:
        suffix, content = cases.write(case)
    except CaseError:
        assert not any(request.streams or request.outputs for request in case.requests)
        return
    file = tmp_path_factory.getbasetemp() / f"case{suffix}"
    file.write_bytes(content)
    assert alike(cases.read(file, file.name), case)
    assert cases.write(case) == (suffix, content)
    file.write_bytes(case_npz.write(case))
    assert alike(cases.read(file, "case.npz"), case)


def test_what_json_can_hold_is_written_as_json() -> None:
    halves = from_array("x", np.array([0.1, np.inf, np.nan], np.float16))
    case = Case((Request((halves,), ((from_array("y", np.array(["é"])),),)),), model="m")
    assert cases.write(case) == (
        ".json",
        """\
{
  "model": "m",
  "inputs": [
    {"name": "x", "datatype": "FP16", "shape": [3], "data": [0.1, "Infinity", "NaN"]}
  ],
  "outputs": [
    {"name": "y", "datatype": "BYTES", "shape": [1], "data": ["é"]}
  ]
}
""".encode(),
    )


def test_what_json_cannot_hold_and_what_is_large_is_written_as_an_npz() -> None:
    for array in (np.array([b"\xff"]), np.zeros(LARGE + 1)):
        case = Case((Request((), ((from_array("y", array),),)),))
        suffix, content = cases.write(case)
        assert suffix == ".npz"
        assert np.load(io.BytesIO(content))["outputs/y"].tolist() == array.tolist()


def test_a_case_that_proves_nothing_is_not_written() -> None:
    with pytest.raises(CaseError, match="no outputs"):
        cases.write(Case((Request((), ((),)),)))
