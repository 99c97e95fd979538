"""Where the lint finds what is wrong between an ensemble and its members, and how it says it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from tritonbuild.rules.model_config import message
from tritonbuild.rules.model_config.lint import Finding, Member, wiring

from tritonbuild.rule import dotted

X = 'input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] }\n'
Y = 'output { name: "y" data_type: TYPE_FP32 dims: [ 4 ] }\n'
MODEL = 'name: "m" backend: "python"\n'
STEP = (
    'step {{ model_name: "{0}" model_version: -1 input_map {{ key: "{1}" value: "{2}" }} '
    'output_map {{ key: "{3}" value: "{4}" }} }} '
)


def config(text: str) -> Any:
    parsed, problems = message.parse(text.encode(), "config.pbtxt")
    assert not problems
    return parsed


def ensemble(*steps: str, io: str = X + Y, more: str = "", name: str = "e") -> Any:
    scheduling = f"ensemble_scheduling {{ {' '.join(steps)} }}"
    return config(f'name: "{name}" platform: "ensemble"\n{io}{more}{scheduling}')


def step(member: str, x: str = "x", x_from: str = "x", y: str = "y", y_to: str = "y") -> str:
    return STEP.format(member, x, x_from, y, y_to)


def member(text: str = MODEL + X + Y, *versions: int) -> Member:
    return Member(config(text), versions or (1,))


def only(ensemble: Any, members: Mapping[str, Member]) -> tuple[str, Finding]:
    """The place of the only finding, and the finding."""
    (finding,) = wiring(ensemble, members)
    return dotted(finding.key), finding


def test_a_right_ensemble_is_left_alone() -> None:
    chain = ensemble(step("m", y_to="between"), step("m", x_from="between"))
    assert not list(wiring(chain, {"m": member()}))


def test_what_is_no_ensemble_is_left_alone() -> None:
    assert not list(wiring(config(MODEL), {}))


@pytest.mark.parametrize(
    ("made", "other", "place", "found"),
    [
        (
            ensemble(step("absent")),
            member(),
            "ensemble_scheduling.step[0].model_name",
            "no model 'absent'",
        ),
        (
            ensemble(step("m", x="z")),
            member(MODEL + X.replace("dims", "optional: true dims") + Y),
            "ensemble_scheduling.step[0].input_map.z",
            "'m' has no input 'z'",
        ),
        (
            ensemble(step("m", y="z")),
            member(),
            "ensemble_scheduling.step[0].output_map.z",
            "'m' has no output 'z'",
        ),
        (
            ensemble(step("m")),
            member(MODEL + X + X.replace('"x"', '"b"') + Y),
            "ensemble_scheduling.step[0].input_map",
            "input 'b' of 'm' gets nothing",
        ),
        (
            ensemble(step("m")),
            member(MODEL + X.replace("FP32", "INT8") + Y),
            "ensemble_scheduling.step[0].input_map.x",
            "tensor 'x' is TYPE_INT8 for 'm' and TYPE_FP32 for the ensemble",
        ),
        (
            ensemble(step("m")),
            member(MODEL + X + Y.replace("4", "2, 2")),
            "ensemble_scheduling.step[0].output_map.y",
            "tensor 'y' has shape [2, 2] for 'm' and [4] for the ensemble",
        ),
        (
            ensemble(step("m"), more="max_batch_size: 8\n"),
            member(MODEL + X + Y + "max_batch_size: 4"),
            "max_batch_size",
            "max_batch_size 8, but 'm' takes batches of 4 at most",
        ),
        (
            ensemble(step("m").replace("-1", "7")),
            member(MODEL + X + Y, 1, 3),
            "ensemble_scheduling.step[0].model_version",
            "version 7 of 'm' is not loaded",
        ),
    ],
)
def test_a_fault_is_found_where_it_is_said(
    made: Any, other: Member, place: str, found: str
) -> None:
    where, finding = only(made, {"m": other})
    assert (where, finding.found, finding.fatal) == (place, found, True)


def test_a_circle_of_ensembles_is_told_from_one_to_itself() -> None:
    first, second = ensemble(step("b"), name="a"), ensemble(step("a"), name="b")
    where, finding = only(first, {"a": Member(first, (1,)), "b": Member(second, (1,))})
    assert where == "ensemble_scheduling.step[0].model_name"
    assert finding.found == "ensembles that are made of one another: a → b → a"


def test_a_circle_below_is_found_too() -> None:
    first, second = ensemble(step("b"), name="a"), ensemble(step("a"), name="b")
    members = {"a": Member(first, (1,)), "b": Member(second, (1,))}
    _, finding = only(ensemble(step("a"), name="c"), members)
    assert finding.found == "ensembles that are made of one another: a → b → a"


def test_a_member_may_batch_what_the_ensemble_does_not() -> None:
    whole = {"x": X.replace("4", "-1, 4"), "y": Y.replace("4", "-1, 4")}
    batched = member(MODEL + X + Y + "max_batch_size: 4")
    assert not list(wiring(ensemble(step("m"), io="".join(whole.values())), {"m": batched}))


def test_ensembles_that_share_all_their_members_are_followed_once() -> None:
    """Of forty layers of two each there are 2**40 ways through."""
    names = [(f"a{layer}", f"b{layer}") for layer in range(40)]
    members = {"m": member()}
    for here, below in zip(names, [*names[1:], ("m", "m")], strict=True):
        members |= {name: Member(ensemble(*map(step, below), name=name), (1,)) for name in here}
    made = ensemble(step("a0", y_to="between"), step("b0", x_from="between"))
    assert not list(wiring(made, members))


@pytest.mark.parametrize(
    "said",
    [
        MODEL,
        MODEL + X,
        MODEL + X + Y + "max_batch_size: 4",
        MODEL + X.replace("dims: [ 4 ]", "") + Y.replace("TYPE_FP32", "TYPE_INVALID"),
    ],
)
def test_what_is_not_known_of_a_member_is_not_judged(said: str) -> None:
    made = ensemble(step("m"), more="max_batch_size: 8\n")
    unknown = replace(member(said), is_full=False)
    assert list(wiring(made, {"m": replace(unknown, is_full=True)}))
    assert not list(wiring(made, {"m": unknown}))


def test_a_member_may_batch_without_saying_so() -> None:
    made = ensemble(step("m"), io=(X + Y).replace("4", "-1, 4"))
    assert list(wiring(made, {"m": member()}))
    assert not list(wiring(made, {"m": replace(member(), is_full=False)}))


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (X.replace("FP32", "INT8") + Y, "tensor 'x' is TYPE_INT8 for 'm'"),
        (X + X.replace('"x"', '"b"') + Y, "input 'b' of 'm' gets nothing"),
        (
            "max_batch_size: 8\n" + X + Y.replace("4", "2, 4"),
            "tensor 'y' has shape [-1, 2, 4] for 'm'",
        ),
    ],
)
def test_what_is_known_of_a_member_is_judged(said: str, found: str) -> None:
    made = ensemble(step("m"))
    _, finding = only(made, {"m": replace(member(MODEL + said), is_full=False)})
    assert finding.found.startswith(found)


def test_a_step_may_take_nothing_of_a_member_without_wants() -> None:
    """Triton refuses it as a step; that is the ensemble's own fault, and not looked at here."""
    nothing = step("m").replace('input_map { key: "x" value: "x" } ', "")
    assert "input_map" not in nothing
    optional = member(MODEL + X.replace("dims", "optional: true dims") + Y)
    assert not list(wiring(ensemble(nothing), {"m": optional}))


DECOUPLED = "model_transaction_policy { decoupled: true }\n"
JOINS = MODEL + X + X.replace('"x"', '"b"') + Y


def test_answers_of_two_decoupled_models_cannot_be_joined() -> None:
    join = step("join", x_from="one").replace(
        "output_map", 'input_map { key: "b" value: "two" } output_map'
    )
    made = ensemble(step("d", y_to="one"), step("d", y_to="two"), join)
    members = {"d": member(MODEL + X + Y + DECOUPLED), "join": member(JOINS)}
    where, finding = only(made, members)
    assert where == "ensemble_scheduling.step[2].input_map"
    assert finding.found == "'join' takes answers of different decoupled models"


def test_a_decoupled_member_cannot_be_cached() -> None:
    made = ensemble(step("d"), more="response_cache { enable: true }\n")
    where, finding = only(made, {"d": member(MODEL + X + Y + DECOUPLED)})
    assert (where, finding.fatal) == ("response_cache.enable", True)


def test_outputs_of_two_decoupled_models_never_come_together() -> None:
    io = X + Y + Y.replace('"y"', '"z"')
    made = ensemble(step("d"), step("d", y_to="z"), io=io)
    where, finding = only(made, {"d": member(MODEL + X + Y + DECOUPLED)})
    assert (where, finding.fatal) == ("output", True)


def test_a_step_without_inputs_is_not_judged_here() -> None:
    made = ensemble('step { model_name: "m" model_version: -1 }')
    assert not list(wiring(made, {"m": member(MODEL + Y)}))
