"""Batches: `max_batch_size` and the dynamic batcher with its queues."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tritonbuild.rule import KeyPath

from .subject import Finding, Subject

HERE: KeyPath = ("dynamic_batching",)


def batching(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if config.max_batch_size < 0:
        found = f"max_batch_size {config.max_batch_size}"
        yield Finding(("max_batch_size",), found, "0 (requests are not batched) or more")
    if not config.HasField("dynamic_batching"):
        return
    batcher = config.dynamic_batching
    preferred = (*HERE, "preferred_batch_size")
    yield from sizes(batcher.preferred_batch_size, preferred, config.max_batch_size)
    yield from _priorities(batcher)
    if batcher.preserve_ordering:
        yield from _order(batcher)
    queues = batcher.priority_levels or batcher.HasField("default_queue_policy")
    if config.max_batch_size == 0 and not queues:
        yield Finding(
            HERE,
            "dynamic_batching with max_batch_size 0",
            "max_batch_size of 1 or more",
            "no batch is ever made: set max_batch_size, or take dynamic_batching away",
            fatal=False,
        )


def sizes(preferred: Iterable[int], key: KeyPath, max_batch_size: int) -> Iterator[Finding]:
    """What is wrong with preferred batch sizes, the dynamic or the sequence batcher's."""
    for index, size in enumerate(preferred):
        if size <= 0:
            yield Finding((*key, index), f"preferred batch size {size}", "1 or more")
        elif size > max(max_batch_size, 0):
            found = f"preferred batch size {size} above max_batch_size {max_batch_size}"
            yield Finding((*key, index), found, f"at most {max_batch_size}")


def _priorities(batcher: Any) -> Iterator[Finding]:
    levels, default = batcher.priority_levels, batcher.default_priority_level
    if not levels:
        for name, said in (
            ("default_priority_level", default),
            ("priority_queue_policy", batcher.priority_queue_policy),
        ):
            if said:
                found = f"{name} without priority_levels"
                remedy = "set priority_levels; without it all requests have one priority"
                yield Finding((*HERE, name), found, "", remedy, fatal=False)
        return
    if not 1 <= default <= levels:
        yield Finding(
            (*HERE, "default_priority_level"),
            f"default_priority_level {default} of {levels} priority_levels",
            f"1 to {levels}",
        )
    for level in sorted(batcher.priority_queue_policy):
        if not 1 <= level <= levels:
            yield Finding(
                (*HERE, "priority_queue_policy", str(level)),
                f"a policy for level {level} of {levels} priority_levels",
                f"1 to {levels}",
            )


def _order(batcher: Any) -> Iterator[Finding]:
    """What would let one request overtake another."""
    if batcher.priority_levels > 1:
        found = f"preserve_ordering with {batcher.priority_levels} priority_levels"
        yield Finding((*HERE, "priority_levels"), found, "one level, or none of the two")
    policies = [(("default_queue_policy",), batcher.default_queue_policy)] + [
        (("priority_queue_policy", str(level)), batcher.priority_queue_policy[level])
        for level in sorted(batcher.priority_queue_policy)
    ]
    for where, policy in policies:
        if policy.default_timeout_microseconds and policy.timeout_action == policy.DELAY:
            yield Finding(
                (*HERE, *where, "timeout_action"),
                "preserve_ordering with requests that are delayed when they time out",
                "timeout_action REJECT",
            )
