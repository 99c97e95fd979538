"""Implicit states: what Triton carries from one request of a sequence to the next."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import File, KeyPath

from ..words import enum, shape
from .sizes import byte_size
from .subject import Finding, Subject

HERE: KeyPath = ("sequence_batching", "state")
FOLDER = "initial_state"


def states(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    batcher = config.sequence_batching
    with_initial: set[str] = set()
    seen: set[str] = set()
    for index, state in enumerate(batcher.state):
        key = (*HERE, index)
        if len(state.initial_state) > 1:
            found = f"{len(state.initial_state)} initial states"
            yield Finding((*key, "initial_state"), found, "one, or none")
        elif state.initial_state:
            if state.input_name in with_initial:
                found = f"the initial state of {state.input_name!r} twice"
                yield Finding((*key, "initial_state", 0), found, "once")
            with_initial.add(state.input_name)
            yield from _initial(state, (*key, "initial_state", 0), subject)
        elif state.input_name in seen:
            found = f"another state has input_name {state.input_name!r}"
            yield Finding((*key, "input_name"), found, "", "Triton drops this one", fatal=False)
        seen.add(state.input_name)
        yield from _shared_memory(state, key, subject)
    if batcher.state and config.backend == "python":
        yield Finding(
            HERE,
            "implicit state with the python backend",
            "a backend that reads it",
            "keep the state in the model itself, by correlation id",
            fatal=False,
        )


def _initial(state: Any, key: KeyPath, subject: Subject) -> Iterator[Finding]:
    initial = state.initial_state[0]
    if initial.data_type != state.data_type:
        found = f"{enum(initial, 'data_type')} for a state of {enum(state, 'data_type')}"
        yield Finding((*key, "data_type"), found, enum(state, "data_type"))
    if not initial.name:
        yield Finding((*key, "name"), "an initial state without a name", "any name")
    dims, wanted = list(initial.dims), list(state.dims)
    if -1 in dims:
        yield Finding((*key, "dims"), f"dims {shape(dims)}", "sizes; it can't vary")
    elif len(dims) != len(wanted) or any(
        size not in (other, -1) for other, size in zip(dims, wanted, strict=True)
    ):
        found = f"dims {shape(dims)} for a state of {shape(wanted)}"
        yield Finding((*key, "dims"), found, shape(wanted))
    kind = initial.WhichOneof("state_data")
    if kind is None:
        yield Finding(key, "no data", "zero_data or data_file")
    elif kind == "data_file":
        path = f"{FOLDER}/{initial.data_file}"
        file = subject.folder.get(path)
        if not isinstance(file, File):
            remedy = f'add it to the model: files = {{ "{path}" = … }}'
            yield Finding((*key, "data_file"), f"the model has no file {path!r}", "", remedy)
        elif (size := byte_size(initial, dims)) is not None and file.digest.size < size:
            found = f"{path!r} has {file.digest.size} bytes"
            yield Finding((*key, "data_file"), found, f"{size}")


def _shared_memory(state: Any, key: KeyPath, subject: Subject) -> Iterator[Finding]:
    """Faults that Triton finds only when a sequence begins."""
    if not state.use_growable_memory:
        return
    if not state.use_same_buffer_for_input_output:
        yield Finding(
            (*key, "use_growable_memory"),
            "use_growable_memory without use_same_buffer_for_input_output",
            "both; every sequence fails otherwise",
            fatal=False,
        )
    if any(group.kind in (group.KIND_CPU, group.KIND_MODEL) for group in subject.groups):
        yield Finding(
            (*key, "use_growable_memory"),
            "use_growable_memory with an instance that is not on a GPU",
            "KIND_GPU; every sequence fails otherwise",
            fatal=False,
        )
