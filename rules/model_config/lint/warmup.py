"""Warm-up: the requests that Triton runs before a model is ready."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tritonbuild.rule import File, KeyPath

from ..words import enum, listed, shape
from .sizes import byte_size
from .subject import Finding, Subject

FOLDER = "warmup"


def warmup(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    if config.HasField("ensemble_scheduling"):
        return  # which has none at all
    for index, sample in enumerate(config.model_warmup):
        key: KeyPath = ("model_warmup", index)
        if not sample.batch_size:
            found = f"sample {sample.name!r} has batch_size 0"
            yield Finding((*key, "batch_size"), found, "1 or more; it does nothing", fatal=False)
            continue
        if sample.batch_size > max(1, config.max_batch_size):
            found = f"batch_size {sample.batch_size} with max_batch_size {config.max_batch_size}"
            yield Finding((*key, "batch_size"), found, f"at most {max(1, config.max_batch_size)}")
        if not sample.inputs and config.max_batch_size > 0:
            # The backends read the size of a request's batch from its first input.
            found = f"sample {sample.name!r} without inputs, in a model that batches"
            yield Finding((*key, "inputs"), found, "at least one input")
        elif config.input:  # else only a running server knows them
            yield from _names(sample, key, config)
        for name in sorted(sample.inputs):
            where = (*key, "inputs", name)
            yield from _input(sample.inputs[name], name, where, subject)


def _names(sample: Any, key: KeyPath, config: Any) -> Iterator[Finding]:
    given = set(sample.inputs)
    wanted = {tensor.name for tensor in config.input if not tensor.optional}
    if missing := wanted - given:
        found = f"sample {sample.name!r} lacks {listed(missing)}"
        yield Finding((*key, "inputs"), found, "every input that is not optional")
    known = {tensor.name for tensor in config.input}
    batcher = config.sequence_batching
    known.update(tensor.name for tensor in batcher.control_input)
    known.update(state.input_name for state in batcher.state)
    for name in sorted(given - known):
        found = f"the model has no input {name!r}"
        yield Finding((*key, "inputs", name), found, f"one of {listed(known)}", fatal=False)


def _input(given: Any, name: str, key: KeyPath, subject: Subject) -> Iterator[Finding]:
    dims = list(given.dims)
    if -1 in dims:
        yield Finding((*key, "dims"), f"dims {shape(dims)}", "sizes; they can't vary")
    kind = given.WhichOneof("input_data_type")
    if kind is None:
        yield Finding(key, "no data", "zero_data, random_data or input_data_file")
    elif kind == "input_data_file":
        path = f"{FOLDER}/{given.input_data_file}"
        file = subject.folder.get(path)
        if not isinstance(file, File):
            yield Finding((*key, kind), f"the model has no file {path!r}")
        elif (size := byte_size(given, dims)) is not None and file.digest.size < size:
            yield Finding((*key, kind), f"{path!r} has {file.digest.size} bytes", f"{size}")
    tensor = next((each for each in subject.config.input if each.name == name), None)
    if tensor is None:
        return
    if given.data_type != tensor.data_type:
        found = f"{enum(given, 'data_type')} for an input of {enum(tensor, 'data_type')}"
        yield Finding((*key, "data_type"), found, enum(tensor, "data_type"))
    wanted = list(tensor.dims)
    if -1 not in dims and (
        len(dims) != len(wanted)
        or any(size not in (have, -1) for have, size in zip(dims, wanted, strict=True))
    ):
        found = f"dims {shape(dims)} for an input of {shape(wanted)}"
        yield Finding((*key, "dims"), found, f"{shape(wanted)}, without a batch dimension")
