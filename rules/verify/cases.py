"""Golden cases: requests with the answers that a model must give, read from files.

`NAME.json` holds tensors as KServe v2 JSON does:

    {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}],
     "outputs": [{"name": "y", "shape": [1], "datatype": "FP32", "data": [3]}]}

with `"model"`, and `"version"` if need be, where the target has several models. `NAME.npz`, as
`numpy.savez` writes it, holds an array for each tensor under `inputs/x`, `outputs/y`, and `model`
and `version` as arrays of one string. Two raw bytes (`V2`) are a BF16.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .tensors import Tensor, from_array, from_json


@dataclass(frozen=True)
class Case:
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    """What must come back; outputs that are not listed are not looked at."""
    model: str = ""
    """Triton's name; empty: the target's only one."""
    version: str = ""
    """Empty: the server's choice."""


def read(file: Path, name: str) -> Case:
    """A case of a file; its name says of which format. Raises ValueError, with what is wrong."""
    if name.endswith(".json"):
        return _from_json(file)
    if name.endswith(".npz"):
        return _from_npz(file)
    raise ValueError("not a golden case: expected a file that ends in .json or .npz")


def _from_json(file: Path) -> Case:
    try:
        document = json.loads(file.read_bytes())
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(document, dict):
        raise ValueError('expected {"inputs": [tensor, …], "outputs": [tensor, …]}')
    if unknown := sorted(set(document) - {"inputs", "outputs", "model", "version"}):
        raise ValueError(f"unknown key {unknown[0]!r}: expected inputs, outputs, model, version")
    for key in ("model", "version"):
        if not isinstance(document.get(key, ""), str):
            raise ValueError(f"{key} is {document[key]!r}: expected a string")
    for key in ("inputs", "outputs"):
        if not isinstance(document.get(key), list):
            raise ValueError(f"no list of tensors under {key!r}")
    return _case(
        [from_json(tensor) for tensor in document["inputs"]],
        [from_json(tensor) for tensor in document["outputs"]],
        document.get("model", ""),
        document.get("version", ""),
    )


def _from_npz(file: Path) -> Case:
    import zipfile

    import numpy as np

    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"not a readable .npz: {error}") from None
    words = {key: str(arrays.pop(key).item()) for key in ("model", "version") if key in arrays}
    sides: dict[str, list[Tensor]] = {"inputs": [], "outputs": []}
    for key, array in arrays.items():
        side, slash, name = key.partition("/")
        if side not in sides or not slash:
            raise ValueError(
                f"unknown array {key!r}: expected inputs/NAME, outputs/NAME, model, version"
            )
        sides[side].append(from_array(name, array))
    return _case(sides["inputs"], sides["outputs"], **words)


def _case(inputs: list[Tensor], outputs: list[Tensor], *words: Any, **more: Any) -> Case:
    if not outputs:
        raise ValueError("no outputs: a case needs at least one answer to compare")
    for tensors in (inputs, outputs):
        names = [tensor.name for tensor in tensors]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"tensor {name!r} is there twice")
    return Case(tuple(inputs), tuple(outputs), *words, **more)
