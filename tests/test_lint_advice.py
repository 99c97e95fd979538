"""What the lint advises of models that a server loads, yet were likely not meant so."""

from __future__ import annotations

import pytest
from parts.configs import CASES, STAND_INS
from parts.ours import Judge

ADVICE = {
    "same_name_twice": "input[1].name",
    "dynamic_without_batches": "dynamic_batching",
    "default_priority_alone": "dynamic_batching.default_priority_level",
    "policy_without_levels": "dynamic_batching.priority_queue_policy",
    "passive": "instance_group",
    "secondary_device": "instance_group[0].secondary_devices",
    "resource_of_two_kinds": "instance_group[0].rate_limiter.resources[1]",
    "control_that_is_an_input": "sequence_batching.control_input[0].name",
    "state": "sequence_batching.state",
    "warm_nothing": "model_warmup[0].batch_size",
    "warm_one_input_more": "model_warmup[0].inputs.z",
    "specific_and_absent": "version_policy.specific.versions[1]",
    "leading_zero_beside": "version_policy",
    "number_and_letters_beside": "version_policy",
    "hidden_folder": "version_policy",
    "optimized": "optimization.cuda",
    "accelerated": "optimization.execution_accelerators",
}
"""Model of tests/parts/configs → the place that is spoken of."""


@pytest.fixture(scope="module")
def judge() -> Judge:
    return Judge(CASES, STAND_INS, "2.51.0")


@pytest.mark.parametrize("name", ADVICE)
def test_what_loads_but_is_not_meant_is_told(name: str, judge: Judge) -> None:
    ours = judge.verdict(name)
    assert not ours.refused
    assert [said.partition(": ")[0] for said in ours.advice] == [ADVICE[name]]


def test_nothing_is_said_of_most_models_that_load(judge: Judge) -> None:
    verdicts = [judge.verdict(name) for name in CASES]
    fine = [ours for ours in verdicts if not ours.refused]
    assert sum(bool(ours.advice) for ours in fine) < len(fine) / 5
