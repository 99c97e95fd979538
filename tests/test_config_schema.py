"""Which release knows which field."""

from __future__ import annotations

import re
from typing import Any

import pytest
from google.protobuf import text_format
from tritonbuild.rules.model_config.message import empty
from tritonbuild.rules.model_config.schema import newer_than, since

NEWER = {
    ("model_metrics",): ("2.52", "model_metrics { metric_control {} }"),
    ("runtime",): ("2.42", 'runtime: "model.py"'),
    ("input", 1, "is_non_linear_format_io"): (
        "2.49",
        "input {} input { is_non_linear_format_io: true }",
    ),
    ("sequence_batching", "iterative_sequence"): (
        "2.40",
        "sequence_batching { iterative_sequence: true }",
    ),
    ("sequence_batching", "state", 0, "use_growable_memory"): (
        "2.40",
        "sequence_batching { state { use_growable_memory: true } }",
    ),
    ("ensemble_scheduling", "max_inflight_requests"): (
        "2.63",
        "ensemble_scheduling { max_inflight_requests: 2 }",
    ),
}


def config(text: str) -> Any:
    return text_format.Parse(text, empty())


@pytest.mark.parametrize("path", NEWER)
def test_a_field_is_newer_than_the_releases_before_it(path: tuple[str | int, ...]) -> None:
    release, text = NEWER[path]
    major, minor = map(int, release.split("."))
    assert list(newer_than(config(text), f"{major}.{minor - 1}.0")) == [(path, release)]
    assert list(newer_than(config(text), f"{release}.0")) == []


def test_an_unknown_release_is_the_newest() -> None:
    everything = "\n".join(text for _, text in NEWER.values() if "sequence" not in text)
    assert list(newer_than(config(everything), "")) == []


def test_what_all_releases_know_is_never_too_new() -> None:
    text = 'name: "x" parameters { key: "a" value {} } input { data_type: TYPE_BF16 dims: 1 }'
    assert list(newer_than(config(text), "2.39.0")) == []


def test_every_field_that_is_listed_is_one_of_the_schema_here() -> None:
    pool = empty().DESCRIPTOR.file.pool
    for name, release in since().items():
        message, _, field = name.rpartition(".")
        assert field in pool.FindMessageTypeByName(f"inference.{message}").fields_by_name
        assert re.fullmatch(r"2\.\d\d", release)
