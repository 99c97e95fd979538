"""Instance groups and warm-up."""

from __future__ import annotations

from .case import ONE, Case, Cases, files, model


def _group(said: str) -> str:
    return f"instance_group {{ {said} }} "


INSTANCES: Cases = {
    "one_group": model(_group("count: 2 kind: KIND_CPU name: 'g'")),
    "two_groups": model(_group("kind: KIND_CPU") + _group("kind: KIND_MODEL")),
    "groups_of_one_name": model(_group("name: 'g'") * 2),
    "auto_group": model(_group("count: 1")),
    "auto_group_with_gpus": model(_group("gpus: [ 0 ]")),
    "no_instance": model(_group("count: 0")),
    "less_than_no_instance": model(_group("count: -1")),
    "cpu_with_gpus": model(_group("kind: KIND_CPU gpus: [ 0 ]")),
    "model_with_gpus": model(_group("kind: KIND_MODEL gpus: [ 0 ]")),
    "gpu": model(_group("kind: KIND_GPU")),
    "gpu_by_id": model(_group("kind: KIND_GPU gpus: [ 0 ]")),
    "gpu_of_negative_id": model(_group("kind: KIND_GPU gpus: [ -1 ]")),
    "profile": model(_group("profile: '1'")),
    "passive": model(_group("passive: true")),
    "passive_and_active": model(_group("passive: true") + _group("")),
    "host_policy": model(_group("kind: KIND_CPU host_policy: 'numa_0'")),
    "secondary_device": model(_group("secondary_devices { kind: KIND_NVDLA device_id: 1 }")),
    "rate_limiter": model(
        _group("rate_limiter { resources { name: 'r' global: true count: 2 } priority: 3 }")
    ),
    "resource_of_two_kinds": model(
        _group(
            "rate_limiter { resources { name: 'r' global: true count: 2 } "
            "resources { name: 'r' count: 2 } }"
        )
    ),
}


def _warmup(inputs: str, *, size: int = 1, more: str = "") -> str:
    return f'model_warmup {{ name: "w" batch_size: {size} {inputs} {more} }} '


def _given(said: str, *, name: str = "x", datatype: str = "TYPE_FP32", dims: str = "4") -> str:
    value = f"data_type: {datatype} dims: [ {dims} ] {said}"
    return f'inputs {{ key: "{name}" value {{ {value} }} }} '


ZERO, RANDOM = _given("zero_data: true"), _given("random_data: true")
DATA = _warmup(_given('input_data_file: "x"'))
TEXT = 'input { name: "x" data_type: TYPE_STRING dims: [ 1 ] }\n'


def _warm(more: str, *, batch: int = 8) -> Case:
    return model(more, batch=batch)


WARMUP: Cases = {
    "warm_with_zeros": _warm(_warmup(ZERO)),
    "warm_with_noise": _warm(_warmup(RANDOM, more="count: 2")),
    "warm_a_batch": _warm(_warmup(ZERO, size=8)),
    "warm_too_large_a_batch": _warm(_warmup(ZERO, size=9)),
    "warm_without_batches": _warm(_warmup(ZERO), batch=0),
    "warm_two_without_batches": _warm(_warmup(ZERO, size=2), batch=0),
    "warm_nothing": _warm(_warmup(ZERO, size=0)),
    "warm_without_inputs": _warm(_warmup("")),
    "warm_without_data": _warm(_warmup(_given(""))),
    "warm_other_type": _warm(_warmup(_given("zero_data: true", datatype="TYPE_INT32"))),
    "warm_other_shape": _warm(_warmup(_given("zero_data: true", dims="5"))),
    "warm_other_rank": _warm(_warmup(_given("zero_data: true", dims="1, 4"))),
    "warm_that_varies": _warm(_warmup(_given("zero_data: true", dims="-1"))),
    "warm_other_input": _warm(_warmup(_given("zero_data: true", name="z"))),
    "warm_one_input_more": _warm(_warmup(ZERO + _given("zero_data: true", name="z"))),
    "warm_strings": model(
        _warmup(_given("zero_data: true", datatype="TYPE_STRING", dims="1")), x=TEXT
    ),
    "warm_random_strings": model(
        _warmup(_given("random_data: true", datatype="TYPE_STRING", dims="1")), x=TEXT
    ),
    "warm_from_file": files(DATA, {**ONE, "warmup/x": bytes(16)}),
    "warm_from_long_file": files(DATA, {**ONE, "warmup/x": bytes(20)}),
    "warm_from_short_file": files(DATA, {**ONE, "warmup/x": bytes(15)}),
    "warm_from_no_file": files(DATA, ONE),
    "warm_optional": model(
        _warmup(""),
        batch=0,
        x='input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] optional: true }\n',
    ),
    "warm_two_samples": _warm(_warmup(ZERO) + _warmup(_given(""))),
}

DEADLY_WARMUP: Cases = {
    "warm_batches_without_inputs": model(
        _warmup(""), x='input { name: "x" data_type: TYPE_FP32 dims: [ 4 ] optional: true }\n'
    ),
}
