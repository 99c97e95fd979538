"""Decoupled models in an ensemble: each gives any number of answers to one request, so answers of
two of them can't be joined, and the ensemble itself becomes decoupled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .caches import HERE
from .ensemble import STEPS
from .subject import Finding

OF_THE_REQUEST = -1
"""What tensors are that no decoupled model had a part in; else the step's index."""


def decoupling(config: Any, members: Mapping[str, Any]) -> Iterator[Finding]:
    """Of an ensemble whose tensors all flow (see `ensemble`). `members`: configs by name."""
    origins = {tensor.name: OF_THE_REQUEST for tensor in config.input}
    waiting = dict(enumerate(config.ensemble_scheduling.step))
    is_decoupled = False
    while ready := [
        index for index, step in waiting.items() if origins.keys() >= set(step.input_map.values())
    ]:
        for index in ready:
            step = waiting.pop(index)
            # A step without inputs is the ensemble's own fault.
            found = {origins[name] for name in step.input_map.values()} or {OF_THE_REQUEST}
            if len(found) > 1:
                yield Finding(
                    (*STEPS, index, "input_map"),
                    f"{step.model_name!r} takes answers of different decoupled models",
                    "what comes of one of them only",
                )
                return
            if members[step.model_name].model_transaction_policy.decoupled:
                is_decoupled, found = True, {index}
            origins.update(dict.fromkeys(step.output_map.values(), found.pop()))
    if len({origins.get(tensor.name, OF_THE_REQUEST) for tensor in config.output}) > 1:
        found_here = "outputs of different decoupled models"
        yield Finding(("output",), found_here, "outputs that come together")
    if is_decoupled and config.response_cache.enable:
        found_here = "response_cache in an ensemble with a decoupled member"
        yield Finding(HERE, found_here, "one of the two", "take response_cache away")
