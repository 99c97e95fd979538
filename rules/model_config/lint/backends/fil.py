"""The FIL backend: forests of decision trees."""

from __future__ import annotations

from collections.abc import Iterator

from ...words import enum
from ..subject import Finding, Subject
from .common import choice

FORMATS = ("lightgbm", "treelite_checkpoint", "xgboost", "xgboost_json", "xgboost_ubj")
ALGORITHMS = ("ALGO_AUTO", "BATCH_TREE_REORG", "NAIVE", "TREE_REORG")
STORAGE = ("AUTO", "DENSE", "SPARSE", "SPARSE8")
RENAMED_SINCE = "2.61"
"""Where `output_class` became `is_classifier`; the old name is still read."""


def fil(subject: Subject) -> Iterator[Finding]:
    config = subject.config
    yield from choice(config, "model_type", FORMATS)
    names = ["output_class"]
    if subject.is_from(RENAMED_SINCE):
        names.insert(0, "is_classifier")
    else:
        yield from choice(config, "algo", ALGORITHMS)
        yield from choice(config, "storage_type", STORAGE)
    said = next((name for name in names if name in config.parameters), None)
    if said is None:
        key = ("parameters", names[0])
        yield Finding(key, f"no parameter {names[0]}", "true for classes, false for values")
    elif config.parameters[said].string_value == "true" and "threshold" not in config.parameters:
        found = f"{said} without a threshold"
        yield Finding(("parameters", "threshold"), found, "a number, 0.5 for most")
    for side, name in (("input", "input__0"), ("output", "output__0")):
        for index, tensor in enumerate(getattr(config, side)):
            if tensor.name == name and enum(tensor, "data_type") != "TYPE_FP32":
                found = f"{enum(tensor, 'data_type')} for {name}"
                yield Finding((side, index, "data_type"), found, "TYPE_FP32", fatal=False)
        if all(tensor.name != name for tensor in getattr(config, side)):
            yield Finding((side,), f"no {side} {name!r}", f"{name}, of TYPE_FP32", fatal=False)
