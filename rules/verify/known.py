"""What is known of the models that a server serves, to hold golden cases against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..model_config.policy import chosen


@dataclass(frozen=True)
class Known:
    """A model. What is None only a running server can tell."""

    config: Any
    """Its ModelConfig, as far as it is known."""
    is_full: bool
    """Nothing is missing in it: an input that is not there does not exist."""
    decoupled: bool | None
    """Whether it gives any number of responses, and takes only requests that allow for it."""
    takes_sequences: bool | None
    wants_sequences: bool | None
    """Whether it takes nothing else."""
    string_ids: bool
    """Whether its correlation ids are strings."""
    versions: Sequence[int]
    """Those that are loaded; empty: not known."""


def known(
    configs: Mapping[str, tuple[Any, bool]], versions: Mapping[str, Sequence[int]]
) -> dict[str, Known]:
    """By Triton's name, given of each model its config and whether that is full, and the numbers
    of its version folders. An ensemble is what its members are, which must be among them."""
    return {name: _known(name, configs, versions.get(name, ())) for name in configs}


def _known(name: str, configs: Mapping[str, tuple[Any, bool]], versions: Sequence[int]) -> Known:
    config, is_full = configs[name]
    reached = set(_reached(name, configs))
    is_sure = all(each in configs and configs[each][1] for each in reached)
    parts = [configs[each][0] for each in sorted(reached) if each in configs]
    sequences = [part.sequence_batching for part in parts if part.HasField("sequence_batching")]
    return Known(
        config=config,
        is_full=is_full,
        decoupled=_any(map(_is_decoupled, parts), is_sure),
        takes_sequences=_any((True for each in sequences), is_sure),
        wants_sequences=_any((not each.iterative_sequence for each in sequences), is_sure),
        string_ids=any(_is_string(control) for each in sequences for control in _ids(each)),
        versions=chosen(sorted(versions), config.version_policy) if is_full else (),
    )


def _reached(name: str, configs: Mapping[str, tuple[Any, bool]]) -> Iterator[str]:
    """A model with the members of an ensemble, and theirs."""
    seen = {name}
    queue = [name]
    while queue:
        yield (each := queue.pop())
        steps = configs[each][0].ensemble_scheduling.step if each in configs else ()
        found = {step.model_name for step in steps} - seen
        seen |= found
        queue += sorted(found)


def _is_decoupled(config: Any) -> bool:
    """Of itself; what an ensemble says of it is not looked at by Triton."""
    return bool(config.model_transaction_policy.decoupled and not config.ensemble_scheduling.step)


def _any(facts: Iterable[bool], is_sure: bool) -> bool | None:
    """What is said is so; what is not said may be so where not everything is known."""
    return True if any(facts) else False if is_sure else None


def _ids(sequence_batching: Any) -> Iterator[Any]:
    for given in sequence_batching.control_input:
        for control in given.control:
            kinds = control.DESCRIPTOR.enum_types_by_name["Kind"].values_by_number
            if kinds[control.kind].name == "CONTROL_SEQUENCE_CORRID":
                yield control


def _is_string(control: Any) -> bool:
    return datatype(control) == "BYTES"


def datatype(described: Any) -> str:
    """Of an input, an output or a control, in the protocol's words; empty where it has none."""
    number = described.data_type
    name = str(
        described.DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number[number].name
    )
    return {"TYPE_STRING": "BYTES", "TYPE_INVALID": ""}.get(name, name.removeprefix("TYPE_"))
