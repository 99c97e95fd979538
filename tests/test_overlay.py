"""TOML laid over a protobuf message; the message is Triton's ModelConfig."""

from __future__ import annotations

from typing import Any

import pytest
import tomli
from tritonbuild.rules.model_config.message import empty, installed_schema, parse, to_text
from tritonbuild.rules.model_config.overlay import lay_over

A_FIELD = f"a field that {installed_schema()} knows"


def config_of(toml: str, over: str = "") -> Any:
    """What TOML says, over a config file."""
    config, problems = parse(over.encode(), "config.pbtxt")
    assert problems == []
    assert list(lay_over(config, tomli.loads(toml), "config")) == []
    return config


def wrong(toml: str) -> Any:
    """The one problem of a config in TOML."""
    (problem,) = lay_over(empty(), tomli.loads(toml), "config")
    return problem


DENSENET = """\
max_batch_size = 8

[[input]]
name = "data_0"
data_type = "FP32"
dims = [3, 224, 224]
reshape = { shape = [1, 3, 224, 224] }

[[instance_group]]
count = 2
kind = "KIND_CPU"

[parameters]
z = "last"
EXECUTION_ENV_PATH = "$$TRITON_MODEL_DIRECTORY/é.tar.gz"

[dynamic_batching]
preferred_batch_size = [4, 8]
max_queue_delay_microseconds = 100
priority_queue_policy = { 2 = { timeout_action = "DELAY" } }
"""
DENSENET_TEXT = """\
max_batch_size: 8
input {
  name: "data_0"
  data_type: TYPE_FP32
  dims: 3
  dims: 224
  dims: 224
  reshape {
    shape: 1
    shape: 3
    shape: 224
    shape: 224
  }
}
instance_group {
  count: 2
  kind: KIND_CPU
}
dynamic_batching {
  preferred_batch_size: 4
  preferred_batch_size: 8
  max_queue_delay_microseconds: 100
  priority_queue_policy {
    key: 2
    value {
      timeout_action: DELAY
    }
  }
}
parameters {
  key: "EXECUTION_ENV_PATH"
  value {
    string_value: "$$TRITON_MODEL_DIRECTORY/é.tar.gz"
  }
}
parameters {
  key: "z"
  value {
    string_value: "last"
  }
}
"""


def test_every_kind_of_field_can_be_said_in_toml() -> None:
    assert to_text(config_of(DENSENET)).decode() == DENSENET_TEXT


def test_an_empty_table_sets_an_empty_message() -> None:
    assert to_text(config_of("dynamic_batching = {}")) == b"dynamic_batching {\n}\n"


def test_an_enum_may_be_said_without_its_prefix() -> None:
    long, short = (config_of(f'[[output]]\ndata_type = "{name}"') for name in ("TYPE_BF16", "BF16"))
    assert long == short


def test_a_parameter_may_be_a_table_as_in_the_schema() -> None:
    assert config_of('parameters = { a = { string_value = "b" } }') == config_of(
        'parameters = { a = "b" }'
    )


def test_scalars_and_lists_of_the_manifest_replace_those_of_the_file() -> None:
    config = config_of(
        "max_batch_size = 0\ndynamic_batching = { preferred_batch_size = [2] }",
        "max_batch_size: 8 dynamic_batching { preferred_batch_size: [ 4, 8 ] }",
    )
    assert config.max_batch_size == 0
    assert list(config.dynamic_batching.preferred_batch_size) == [2]


def test_tables_of_the_manifest_merge_with_those_of_the_file() -> None:
    config = config_of(
        'parameters = { b = "new" }\ndynamic_batching = { preserve_ordering = true }',
        "dynamic_batching { max_queue_delay_microseconds: 9 }"
        'parameters { key: "a" value { string_value: "old" } }'
        'parameters { key: "b" value { string_value: "old" } }',
    )
    assert {key: value.string_value for key, value in config.parameters.items()} == {
        "a": "old",
        "b": "new",
    }
    assert config.dynamic_batching.max_queue_delay_microseconds == 9
    assert config.dynamic_batching.preserve_ordering


def test_the_manifest_s_scheduler_takes_the_place_of_the_file_s() -> None:
    config = config_of("sequence_batching = { oldest = {} }", "dynamic_batching { }")
    assert to_text(config) == b"sequence_batching {\n  oldest {\n  }\n}\n"


@pytest.mark.parametrize(
    ("toml", "key", "found", "expected", "remedy"),
    [
        (
            "max_batch_sise = 8",
            "config.max_batch_sise",
            "ModelConfig has no field 'max_batch_sise'",
            A_FIELD,
            "did you mean 'max_batch_size'?",
        ),
        (
            "[[input]]\ndim = [1]",
            "config.input[0].dim",
            "ModelInput has no field 'dim'",
            A_FIELD,
            "did you mean 'dims'?",
        ),
        (
            'max_batch_size = "8"',
            "config.max_batch_size",
            '"8"',
            "a whole number of 32 bits",
            "",
        ),
        ("max_batch_size = true", "config.max_batch_size", "true", "a whole number of 32 bits", ""),
        (
            "max_batch_size = 3_000_000_000",
            "config.max_batch_size",
            "3000000000",
            "a whole number of 32 bits",
            "",
        ),
        (
            "dynamic_batching = { priority_levels = -1 }",
            "config.dynamic_batching.priority_levels",
            "-1",
            "a whole number of 64 bits, not negative",
            "",
        ),
        (
            "[[input]]\ndims = [1, 2.5]",
            "config.input[0].dims[1]",
            "2.5",
            "a whole number of 64 bits",
            "",
        ),
        ("[[input]]\ndims = 3", "config.input[0].dims", "3", "a list", ""),
        ("input = { name = 'x' }", "config.input", '{"name": "x"}', "a list", ""),
        ("input = ['x']", "config.input[0]", '"x"', "a table", ""),
        ("dynamic_batching = true", "config.dynamic_batching", "true", "a table", ""),
        ("parameters = { a = 1 }", "config.parameters.a", "1", "a table", ""),
        ("parameters = 'a'", "config.parameters", '"a"', "a table", ""),
        ("metric_tags = { a = 1 }", "config.metric_tags.a", "1", "a string", ""),
        (
            "dynamic_batching = { priority_queue_policy = { high = {} } }",
            "config.dynamic_batching.priority_queue_policy.high",
            '"high"',
            "a whole number of 64 bits, not negative",
            "",
        ),
        (
            "dynamic_batching = { preserve_ordering = 1 }",
            "config.dynamic_batching.preserve_ordering",
            "1",
            "true or false",
            "",
        ),
        (
            "platform = 1979-05-27",
            "config.platform",
            '"1979-05-27"',
            "a string",
            "",
        ),
        (
            "[[instance_group]]\nkind = 'KIND_CPUS'",
            "config.instance_group[0].kind",
            '"KIND_CPUS"',
            "one of KIND_AUTO, KIND_GPU, KIND_CPU, KIND_MODEL",
            "did you mean 'KIND_CPU'?",
        ),
        (
            "dynamic_batching = {}\nsequence_batching = {}",
            "config.sequence_batching",
            "dynamic_batching and sequence_batching exclude one another",
            "one of dynamic_batching, sequence_batching, ensemble_scheduling",
            "take one of them away",
        ),
    ],
)
def test_what_is_wrong_is_told_by_its_key(
    toml: str, key: str, found: str, expected: str, remedy: str
) -> None:
    problem = wrong(toml)
    assert (problem.key, problem.found, problem.expected, problem.remedy) == (
        key,
        found,
        expected,
        remedy,
    )


def test_everything_that_is_wrong_is_told_at_once() -> None:
    table = tomli.loads("max_batch_size = '1'\nplatfrom = 'x'\n[[input]]\ndims = [true]")
    assert [problem.key for problem in lay_over(empty(), table, "config")] == [
        "config.max_batch_size",
        "config.platfrom",
        "config.input[0].dims[0]",
    ]
