"""Golden cases held against their models before anybody is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tritonbuild.rules.model_config import message
from tritonbuild.rules.verify.cases import Case, Request
from tritonbuild.rules.verify.check import answered, check
from tritonbuild.rules.verify.known import Known, known
from tritonbuild.rules.verify.tensors import Tensor, from_array

PLAIN = """
input { name: "x" data_type: TYPE_FP32 dims: [ -1, 2 ] }
input { name: "words" data_type: TYPE_STRING dims: [ 1 ] optional: true }
output { name: "y" data_type: TYPE_FP32 dims: [ 2 ] }
"""
BATCHED = PLAIN + "max_batch_size: 4\n"
DECOUPLED = PLAIN + "model_transaction_policy { decoupled: true }"
STATEFUL = (
    BATCHED
    + """
sequence_batching {
  control_input {
    name: "START" control { kind: CONTROL_SEQUENCE_START bool_false_true: [ false, true ] }
  }
  control_input { name: "ID" control { kind: CONTROL_SEQUENCE_CORRID data_type: TYPE_STRING } }
}
"""
)
ENSEMBLE = (
    PLAIN
    + """
platform: "ensemble"
ensemble_scheduling { step { model_name: "member" } }
"""
)


def config(text: str) -> Any:
    parsed, problems = message.parse(text.encode(), "config.pbtxt")
    assert not problems
    return parsed


def model(text: str, *, is_full: bool = True, versions: tuple[int, ...] = ()) -> Known:
    return known({"m": (config(text), is_full)}, {"m": versions})["m"]


def floats(name: str, *shape: int) -> Tensor:
    return from_array(name, np.zeros(shape, np.float32))


X, Y = floats("x", 3, 2), floats("y", 2)


def plain(*inputs: Tensor, outputs: tuple[Tensor, ...] = ()) -> Case:
    return Case((Request(inputs, (outputs,)),))


def streamed(*responses: tuple[Tensor, ...], inputs: tuple[Tensor, ...] = (X,)) -> Case:
    return Case((Request(inputs, responses, streams=True),))


def sequence(*requests: Request) -> Case:
    return Case(requests, sequence=True)


def found(case: Case, text: str | Known) -> list[tuple[str, str, str, str]]:
    """Key, found, expected, remedy of each problem."""
    problems = check(case, "m", text if isinstance(text, Known) else model(text))
    return [(p.key, p.found, p.expected, p.remedy) for p in problems]


def test_a_case_that_fits_has_no_problem() -> None:
    words = from_array("words", np.array(["a"]))
    assert not found(plain(X, words, outputs=(Y,)), PLAIN)
    assert not found(plain(X), PLAIN)
    assert not found(plain(floats("x", 4, 3, 2), outputs=(floats("y", 4, 2),)), BATCHED)


def test_an_input_that_the_model_does_not_have_is_told_with_the_nearest() -> None:
    assert found(plain(X, floats("word", 1)), PLAIN) == [
        ("inputs.word", "model 'm' has no input 'word'", "", "did you mean 'words'?")
    ]


def test_an_output_that_the_model_does_not_have_is_told() -> None:
    assert found(plain(X, outputs=(floats("z", 2),)), PLAIN) == [
        ("outputs.z", "model 'm' has no output 'z'", "", "one of: y")
    ]


def test_a_missing_input_is_told() -> None:
    assert found(plain(), PLAIN) == [
        (
            "inputs",
            "input 'x' is missing",
            "FP32 of shape [-1, 2], as the model's config says",
            "",
        )
    ]


def test_another_datatype_is_told_on_both_sides() -> None:
    x, y = (from_array(name, np.zeros((2, 2), np.float16)) for name in ("x", "y"))
    assert found(plain(x, outputs=(Tensor("y", "FP16", y.values[0]),)), PLAIN) == [
        ("inputs.x", "FP16 is given", "FP32, as the model's config says", ""),
        ("outputs.y", "FP16 is expected", "FP32, as the model's config says", ""),
    ]


@pytest.mark.parametrize("shape", [(2,), (3, 3), (1, 3, 2), ()])
def test_a_shape_that_does_not_fit_is_told(shape: tuple[int, ...]) -> None:
    ((key, told, expected, _),) = found(plain(floats("x", *shape)), PLAIN)
    assert (key, told) == ("inputs.x", f"shape {list(shape)} is given")
    assert expected == "[-1, 2], as the model's config says"


@pytest.mark.parametrize("shape", [(3, 2), (1, 3, 3), ()])
def test_a_model_that_batches_wants_the_batch_first(shape: tuple[int, ...]) -> None:
    ((key, told, expected, _),) = found(plain(floats("x", *shape)), BATCHED)
    assert (key, told) == ("inputs.x", f"shape {list(shape)} is given")
    assert expected == ("[-1, -1, 2], as the model's config says, with the batch before its dims")


def test_a_batch_is_at_most_as_large_as_the_config_says() -> None:
    for size in (0, 5):
        assert found(plain(floats("x", size, 3, 2)), BATCHED) == [
            ("inputs", f"a batch of {size}", "from 1 to 4, the max_batch_size", "")
        ]


def test_inputs_have_one_batch_size() -> None:
    words = from_array("words", np.array([["a"], ["b"]]))
    ((key, told, *_),) = found(plain(floats("x", 1, 3, 2), words), BATCHED)
    assert (key, told) == ("inputs", "batches of 1 and 2")


def test_outputs_may_have_another_batch_than_inputs() -> None:
    assert not found(plain(floats("x", 1, 3, 2), outputs=(floats("y", 7, 2),)), BATCHED)


def test_a_shape_tensor_is_left_to_the_server() -> None:
    text = 'input { name: "x" data_type: TYPE_INT32 dims: [ 2 ] is_shape_tensor: true }'
    shape = from_array("x", np.zeros(3, np.int32))
    assert not found(plain(shape), text + "max_batch_size: 2")


def test_a_decoupled_model_is_asked_for_responses() -> None:
    assert not found(streamed(), DECOUPLED)
    assert not found(streamed((Y,), (), (Y,)), DECOUPLED)
    ((key, told, expected, _),) = found(plain(X, outputs=(Y,)), DECOUPLED)
    assert (key, told) == ("outputs", "\"outputs\" of model 'm', which is decoupled")
    assert expected.startswith('"responses": [[tensor, …], …]')


def test_responses_are_checked_one_by_one() -> None:
    (problem,) = found(streamed((Y,), (floats("y", 3),)), DECOUPLED)
    assert problem[0] == "responses[1].y"


def test_any_model_may_be_asked_for_one_response() -> None:
    assert not found(streamed((Y,)), PLAIN)
    for responses in ((), ((Y,), (Y,))):
        ((key, told, expected, remedy),) = found(streamed(*responses), PLAIN)
        assert key == "responses"
        assert told == f"{len(responses)} responses of model 'm', which is not decoupled"
        assert expected == "one response"
        assert "model_transaction_policy.decoupled" in remedy


def test_a_stateful_model_is_asked_in_sequences() -> None:
    one = Request((floats("x", 1, 3, 2),), ((),))
    assert not found(sequence(one, one), STATEFUL)
    ((_, told, expected, _),) = found(Case((one,)), STATEFUL)
    assert told == "a single request to model 'm', which has sequence_batching"
    assert expected == '{"sequence": [{"inputs": …, "outputs": …}, …]}'


def test_only_a_stateful_model_is_asked_in_sequences() -> None:
    ((key, told, *_),) = found(sequence(Request((X,), ((),))), PLAIN)
    assert (key, told) == (
        "sequence",
        "a sequence for model 'm', which has no sequence_batching",
    )


def test_a_model_that_iterates_by_itself_takes_single_requests_too() -> None:
    text = BATCHED + "sequence_batching { iterative_sequence: true }"
    one = Request((floats("x", 1, 3, 2),), ((),))
    assert not found(Case((one,)), text)
    assert not found(sequence(one), text)


def test_each_request_of_a_sequence_is_checked() -> None:
    good = Request((floats("x", 1, 3, 2),), ((),))
    bad = Request((floats("x", 2, 3, 2),), ((floats("y", 2),),))
    assert [problem[:2] for problem in found(sequence(good, bad), STATEFUL)] == [
        ("sequence[1].inputs", "a batch of 2"),
        ("sequence[1].outputs.y", "shape [2] is expected"),
    ]


def test_a_control_input_is_the_server_s() -> None:
    start = from_array("START", np.array([[True]]))
    ((key, _, _, remedy),) = found(
        sequence(Request((floats("x", 1, 3, 2), start), ((),))), STATEFUL
    )
    assert (key, remedy) == ("sequence[0].inputs.START", "leave it out; the server makes it")


def test_correlation_ids_are_strings_where_the_model_wants_them() -> None:
    assert model(STATEFUL).string_ids
    assert not model(STATEFUL.replace("TYPE_STRING }", "TYPE_UINT64 }")).string_ids


def test_a_version_that_is_not_served_is_told() -> None:
    case = Case((Request((X,), ((Y,),)),), version="1")
    policy = PLAIN + "version_policy { latest { num_versions: 2 } }"
    (problem,) = found(case, model(policy, versions=(3, 1, 2)))
    assert problem == (
        "version",
        "version '1' of model 'm' is not served",
        "2, 3, which the config's version_policy chooses",
        "",
    )
    specific = PLAIN + "version_policy { specific { versions: [ 1 ] } }"
    assert not found(case, model(specific, versions=(1, 2)))
    assert not found(case, model(PLAIN + "version_policy { all { } }", versions=(1, 2)))
    assert not found(case, model(policy))


@pytest.mark.parametrize(
    ("member", "right", "wrong"),
    [
        (DECOUPLED, streamed((Y,), (Y,)), plain(X, outputs=(Y,))),
        (STATEFUL, sequence(Request((X,), ((Y,),))), plain(X, outputs=(Y,))),
        (PLAIN, plain(X, outputs=(Y,)), sequence(Request((X,), ((Y,),)))),
    ],
)
def test_an_ensemble_is_what_its_members_are(member: str, right: Case, wrong: Case) -> None:
    configs = {"m": (config(ENSEMBLE), True), "member": (config(member), True)}
    ensemble = known(configs, {})["m"]
    assert not found(right, ensemble)
    assert len(found(wrong, ensemble)) == 1


def test_what_an_ensemble_says_of_being_decoupled_is_not_what_counts() -> None:
    said = ENSEMBLE + "model_transaction_policy { decoupled: true }"
    configs = {"m": (config(said), True), "member": (config(PLAIN), True)}
    assert not found(plain(X, outputs=(Y,)), known(configs, {})["m"])


def test_what_only_a_server_knows_is_not_judged() -> None:
    nothing = model("", is_full=False)
    for case in (plain(X, outputs=(Y,)), streamed(), sequence(Request((X,), ((Y,),)))):
        assert not found(case, nothing)


def test_what_is_known_of_a_config_that_is_not_full_is_judged() -> None:
    part = model(PLAIN.replace("data_type: TYPE_STRING", ""), is_full=False)
    other = floats("other", 1)
    assert not found(plain(X, other, floats("words", 1), outputs=(Y, other)), part)
    assert not found(plain(floats("x", 1, 3, 2)), part), "the server may find that it batches"
    assert [p[1] for p in found(plain(floats("x", 3)), part)] == ["shape [3] is given"]
    half = from_array("x", np.zeros((1, 2), np.float16))
    assert [p[1] for p in found(plain(half), part)] == ["FP16 is given"]


def test_a_model_whose_members_are_not_known_may_be_anything() -> None:
    configs = {"m": (config(ENSEMBLE), True), "member": (config(""), False)}
    ensemble = known(configs, {})["m"]
    assert not found(streamed(), ensemble)
    assert not found(sequence(Request((X,), ((Y,),))), ensemble)


def test_an_answer_is_held_against_the_config() -> None:
    wrong = from_array("y", np.zeros((1, 2), np.int8))
    problems = list(answered([wrong, floats("more", 1)], ("outputs",), model(PLAIN)))
    assert [(p.key, p.found, p.expected) for p in problems] == [
        ("outputs.y", "INT8 came", "FP32, as the model's config says"),
        ("outputs.y", "shape [1, 2] came", "[2], as the model's config says"),
    ]
