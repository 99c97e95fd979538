"""Warm-up made of golden cases: `model_warmup`, and the files that it names.

Triton makes `batch_size` requests of one sample, each with the file's content for a batch of one:
so of a batch the first of its items is what warms up, as many times as the batch is large.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tritonbuild.rule import Entry, Folder, Problem

SAMPLES = "samples.json"
"""What `verify.warmup` makes of cases: a list of {"name", "model", "inputs": {name: {"datatype",
"shape", "file", "row"}}}; `file` holds the tensor, `row` what is at the first place of its first
dimension, for models that batch."""


def lay_out_warmup(
    configs: tuple[Any, ...], samples: list[Mapping[str, Any]], count: int, given: Folder
) -> tuple[dict[str, Entry], list[Problem]]:
    """Adds samples to a written config and to its completed copy, the last; returns the files of
    the folder `warmup`. `given` holds the tensors as they were stored."""
    *_, full = configs
    files: dict[str, Entry] = {}
    problems: list[Problem] = []
    if full.HasField("sequence_batching"):
        problems.append(
            Problem(
                "warm-up of golden cases for a model with sequence batching",
                "a folder with files of its inputs and control inputs",
                "say `model_warmup` in the config, and warmup = FOLDER",
                key="warmup",
            )
        )
        return files, problems
    for sample in samples:
        found = list(_misfits(full, sample))
        problems += found
        if found:
            continue
        batch, inputs = _inputs(sample, given, files, batches=full.max_batch_size > 0)
        for config in configs:
            entry = config.model_warmup.add(name=sample["name"], batch_size=batch, count=count)
            for name, told in inputs.items():
                entry.inputs[name].data_type = _datatype(config, told["datatype"])
                entry.inputs[name].dims.extend(told["dims"])
                entry.inputs[name].input_data_file = told["file"]
    return files, problems


def samples_of(content: bytes) -> list[Mapping[str, Any]]:
    loaded: list[Mapping[str, Any]] = json.loads(content)
    return loaded


def _inputs(
    sample: Mapping[str, Any], given: Folder, files: dict[str, Entry], *, batches: bool
) -> tuple[int, dict[str, dict[str, Any]]]:
    """The batch size, and for each input its datatype, dims and file."""
    told: dict[str, dict[str, Any]] = {}
    batch = 1
    stem = re.sub(r"[^A-Za-z0-9_.-]", "-", sample["name"])
    for index, (name, tensor) in enumerate(sorted(sample["inputs"].items())):
        file, shape = f"{stem}.{index}", tensor["shape"]
        kind = "row" if batches else "file"
        if batches:
            batch, shape = shape[0], shape[1:]
        while file in files:  # of a case with nearly the same name
            file += "-"
        content = given.get(tensor[kind])
        assert content is not None, f"{tensor[kind]} was stored"
        files[file] = content
        told[name] = {"datatype": tensor["datatype"], "dims": shape or [1], "file": file}
    return batch, told


def _misfits(config: Any, sample: Mapping[str, Any]) -> Iterator[Problem]:
    """Why a case is no request to this model."""
    name, given = sample["name"], sample["inputs"]
    inputs = {tensor.name: tensor for tensor in config.input}
    batches = config.max_batch_size > 0
    if sample["model"] not in ("", config.name):
        yield _wrong(name, f"it is for model {sample['model']!r}", repr(config.name))
    for tensor in sorted(set(inputs) - set(given)):
        if not inputs[tensor].optional:
            yield _wrong(name, f"no input {tensor!r}", "every input of the model")
    sizes: set[int] = set()
    for tensor, told in given.items():
        datatype, shape = told["datatype"], told["shape"]
        if tensor not in inputs:
            if inputs:
                expected = f"one of {', '.join(inputs)}"
                yield _wrong(name, f"the model has no input {tensor!r}", expected)
            continue
        wanted = inputs[tensor]
        if wanted.data_type != _datatype(config, datatype):
            expected = _protocol(config, wanted.data_type)
            yield _wrong(name, f"input {tensor!r} is {datatype}", expected)
        dims = [-1, *wanted.dims] if batches else list(wanted.dims)
        fits = len(dims) == len(shape) and all(
            d in (-1, s) for d, s in zip(dims, shape, strict=True)
        )
        if not fits:
            yield _wrong(name, f"input {tensor!r} has shape {shape}", f"{dims}, as the config says")
        elif batches:
            sizes.add(shape[0])
    if len(sizes) > 1 or 0 in sizes:
        yield _wrong(name, f"batches of {sorted(sizes)}", "one batch size above 0 for all inputs")
    elif sizes and max(sizes) > config.max_batch_size:
        yield _wrong(name, f"a batch of {max(sizes)}", f"at most {config.max_batch_size}")


def _wrong(case: str, found: str, expected: str) -> Problem:
    return Problem(f"{case}: {found}", expected, key="warmup.cases")


def _datatype(config: Any, protocol: str) -> int:
    """ModelConfig's number for a datatype of the protocol."""
    name = f"TYPE_{'STRING' if protocol == 'BYTES' else protocol}"
    return int(_datatypes(config).values_by_name[name].number)


def _protocol(config: Any, number: int) -> str:
    name = str(_datatypes(config).values_by_number[number].name)
    return "BYTES" if name == "TYPE_STRING" else name.removeprefix("TYPE_")


def _datatypes(config: Any) -> Any:
    return config.DESCRIPTOR.file.enum_types_by_name["DataType"]
