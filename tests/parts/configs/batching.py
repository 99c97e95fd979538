"""The dynamic batcher."""

from __future__ import annotations

from .case import Case, Cases, model


def _batcher(said: str, *, batch: int = 8) -> Case:
    return model(f"dynamic_batching {{ {said} }}", batch=batch)


DELAY = "default_timeout_microseconds: 9 timeout_action: DELAY"

BATCHING: Cases = {
    "dynamic": _batcher(""),
    "dynamic_without_batches": _batcher("", batch=0),
    "dynamic_of_one": _batcher("", batch=1),
    "preferred": _batcher("preferred_batch_size: [ 4, 8 ] max_queue_delay_microseconds: 100"),
    "preferred_zero": _batcher("preferred_batch_size: [ 0 ]"),
    "preferred_negative": _batcher("preferred_batch_size: [ -4 ]"),
    "preferred_too_large": _batcher("preferred_batch_size: [ 4, 16 ]"),
    "preferred_without_batches": _batcher("preferred_batch_size: [ 1 ]", batch=0),
    "priorities": _batcher("priority_levels: 2 default_priority_level: 1"),
    "priorities_without_default": _batcher("priority_levels: 2"),
    "priorities_with_high_default": _batcher("priority_levels: 2 default_priority_level: 3"),
    "default_priority_alone": _batcher("default_priority_level: 1"),
    "policy_of_a_level": _batcher(
        "priority_levels: 2 default_priority_level: 1 "
        "priority_queue_policy { key: 2 value { max_queue_size: 4 } }"
    ),
    "policy_of_no_level": _batcher(
        "priority_levels: 2 default_priority_level: 1 "
        "priority_queue_policy { key: 3 value { max_queue_size: 4 } }"
    ),
    "policy_of_level_zero": _batcher(
        "priority_levels: 2 default_priority_level: 1 "
        "priority_queue_policy { key: 0 value { max_queue_size: 4 } }"
    ),
    "policy_without_levels": _batcher(
        "priority_queue_policy { key: 1 value { max_queue_size: 4 } }"
    ),
    "default_policy": _batcher(f"default_queue_policy {{ {DELAY} allow_timeout_override: true }}"),
    "ordered": _batcher("preserve_ordering: true"),
    "ordered_with_one_level": _batcher(
        "preserve_ordering: true priority_levels: 1 default_priority_level: 1"
    ),
    "ordered_with_two_levels": _batcher(
        "preserve_ordering: true priority_levels: 2 default_priority_level: 1"
    ),
    "ordered_and_delayed": _batcher(f"preserve_ordering: true default_queue_policy {{ {DELAY} }}"),
    "ordered_and_delayed_without_time": _batcher(
        "preserve_ordering: true default_queue_policy { timeout_action: DELAY }"
    ),
    "ordered_and_rejected": _batcher(
        "preserve_ordering: true default_queue_policy { default_timeout_microseconds: 9 }"
    ),
    "ordered_and_delayed_in_a_level": _batcher(
        "preserve_ordering: true priority_levels: 1 default_priority_level: 1 "
        f"priority_queue_policy {{ key: 1 value {{ {DELAY} }} }}"
    ),
    "two_schedulers": model("dynamic_batching { } sequence_batching { }"),
}
