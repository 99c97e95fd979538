"""A target's matrix: parameters with values, and one variant of the target for each combination.

    [commands.plan]
    matrix = { gpu = ["L4", "H100"], batch = [1, 8] }      →  :plan[gpu=L4,batch=1] …
    argv   = ["build-plan", "--batch", "{matrix.batch}"]

`{matrix.NAME}` is replaced in every string of the target, keys of tables included; a string that
is nothing else becomes the value itself, so that numbers and booleans stay what they are.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from tritonbuild.errors import did_you_mean
from tritonbuild.keys import KeyPath
from tritonbuild.label import (
    EXPECTED_PARAMETER,
    EXPECTED_VALUE,
    PARAMETER,
    VALUE,
    variant_name,
)
from tritonbuild.manifest_errors import real_path, type_name

MATRIX = "matrix"
SIGN = b"{matrix."
"""What a manifest holds where something is to be replaced."""
LIMIT = 1000
"""Variants of a target."""
_TEMPLATE = re.compile(r"\{matrix\.([^{}]*)\}")

Value = str | int | float | bool
Fault = tuple[KeyPath, str, str, str]
"""Key path below the target, what was found, what is expected, the remedy."""


class Wrong(Exception):
    """What is wrong with a matrix or its use."""

    def __init__(self, *faults: Fault):
        super().__init__(*faults)
        self.faults = faults


@dataclass(frozen=True)
class Variant:
    """A target with the values of one combination in their places."""

    name: str
    """`plan[gpu=L4]`; the target's own where it has no matrix."""
    raw: dict[str, Any]
    written: Mapping[KeyPath, KeyPath] = field(default_factory=dict)
    """Where a key was replaced: its path → the path in the manifest."""
    values: Mapping[KeyPath, Value] = field(default_factory=dict)
    """Where a value that is no string has replaced one."""

    def as_texts(self, error: ValidationError) -> dict[str, Any] | None:
        """The target with the texts of values where only strings are taken, such as arguments of
        a program; None if that is not what is wrong."""
        places = {
            where
            for item in error.errors(include_url=False)
            if item["type"] == "string_type"
            for where, _ in [real_path(item["loc"], self.raw)]
            if where in self.values
        }
        return _with_texts(self.raw, (), places) if places else None


def variants(name: str, raw: Mapping[str, Any]) -> Iterator[Variant]:
    """Of a target as its manifest says it. Raises Wrong."""
    matrix = raw.get(MATRIX, {})
    faults = list(_faults(matrix))
    if faults:
        raise Wrong(*faults)
    rest = {key: value for key, value in raw.items() if key != MATRIX}
    for combination in itertools.product(*matrix.values()):
        chosen = dict(zip(matrix, combination, strict=True))
        filling = _Filling(chosen)
        filled = filling.value(rest, (), ())
        if filling.faults:
            raise Wrong(*filling.faults)
        texts = {key: _text(value) for key, value in chosen.items()}
        label = variant_name(name, texts) if texts else name
        yield Variant(label, filled, filling.written, filling.values)


def template_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A JSON Schema in which `{matrix.NAME}` may stand wherever a value is wanted."""
    text = {"type": "string", "pattern": _TEMPLATE.pattern}

    def open_up(node: Any) -> Any:
        if isinstance(node, list):
            return [open_up(item) for item in node]
        if not isinstance(node, dict):
            return node
        opened = {
            key: {name: open_up(below) for name, below in item.items()}
            if key in ("properties", "$defs")
            else item
            if key in ("default", "const", "enum", "required")
            else open_up(item)
            for key, item in node.items()
        }
        told = {
            key: opened.pop(key) for key in ("title", "description", "default") if key in opened
        }
        scalar = opened.get("type") in ("integer", "number", "boolean")
        if scalar or "enum" in opened or "const" in opened or "pattern" in opened:
            opened = {"anyOf": [opened, text]}
        return {**opened, **told}

    opened: dict[str, Any] = open_up(schema)
    return opened


class _Filling:
    """Puts the values of one combination in their places."""

    def __init__(self, chosen: Mapping[str, Value]):
        self._chosen = chosen
        self.written: dict[KeyPath, KeyPath] = {}
        self.values: dict[KeyPath, Value] = {}
        self.faults: list[Fault] = []

    def value(self, value: Any, place: KeyPath, written: KeyPath) -> Any:
        """`written` is the place in the manifest."""
        match value:
            case str():
                return self._string(value, place, written)
            case dict():
                return self._table(value, place, written)
            case list():
                return [
                    self.value(item, (*place, index), (*written, index))
                    for index, item in enumerate(value)
                ]
        return value

    def _string(self, text: str, place: KeyPath, written: KeyPath) -> Value:
        whole = _TEMPLATE.fullmatch(text)
        if whole is None or whole[1] not in self._chosen:
            return self._filled(text, written)
        value = self._chosen[whole[1]]
        if not isinstance(value, str):
            self.values[place] = value
        return value

    def _table(self, table: Mapping[str, Any], place: KeyPath, written: KeyPath) -> dict[str, Any]:
        filled: dict[str, Any] = {}
        for key, item in table.items():
            own = self._filled(key, (*written, key))
            if own in filled:
                found = f"two keys become {own!r}"
                self.faults.append(((*written, key), found, "a key of its own for each", ""))
            if own != key:
                self.written[(*place, own)] = (*written, key)
            filled[own] = self.value(item, (*place, own), (*written, key))
        return filled

    def _filled(self, text: str, written: KeyPath) -> str:
        return _TEMPLATE.sub(lambda found: self._text_of(found[1], written), text)

    def _text_of(self, name: str, written: KeyPath) -> str:
        if name in self._chosen:
            return _text(self._chosen[name])
        if self._chosen:
            expected, remedy = "a parameter of the matrix", did_you_mean(name, self._chosen)
        else:
            expected, remedy = "a target with a matrix", f"say matrix = {{ {name} = [ … ] }}"
        self.faults.append((written, f"there is no {{matrix.{name}}}", expected, remedy))
        return ""


def _faults(matrix: Any) -> Iterator[Fault]:
    """What is wrong with a matrix itself."""
    if not isinstance(matrix, dict):
        yield (MATRIX,), f"matrix is {type_name(matrix)}", "a table: parameter → values", ""
        return
    for name, values in matrix.items():
        place: KeyPath = (MATRIX, name)
        if not PARAMETER.fullmatch(name):
            yield place, f"{name!r} is not a parameter's name", EXPECTED_PARAMETER, ""
        if not isinstance(values, list) or not values:
            found = f"{name} is {type_name(values) if values != [] else 'an empty array'}"
            yield place, found, "an array with at least one value", ""
            continue
        texts: set[str] = set()
        for index, value in enumerate(values):
            if fault := _fault_of(value, texts):
                yield (*place, index), *fault
            else:
                texts.add(_text(value))
    lists = [values for values in matrix.values() if isinstance(values, list)]
    if (count := math.prod(map(len, lists))) > LIMIT:
        yield (MATRIX,), f"{count} combinations", f"at most {LIMIT}", "split the target"


def _fault_of(value: Any, texts: set[str]) -> tuple[str, str, str] | None:
    if not isinstance(value, str | int | float):
        return f"{value!r} is {type_name(value)}", "a string, a number or a boolean", ""
    if not VALUE.fullmatch(_text(value)):
        remedy = "the value becomes a part of the label: use a short word and build on it"
        return f"{value!r} cannot stand in a label", EXPECTED_VALUE, remedy
    if _text(value) in texts:
        return f"{_text(value)} is given twice", "each value once", "take one of them away"
    return None


def _text(value: Value) -> str:
    """As TOML writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _with_texts(value: Any, place: KeyPath, places: set[KeyPath]) -> Any:
    if place in places:
        return _text(value)
    if isinstance(value, dict):
        return {key: _with_texts(item, (*place, key), places) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_texts(item, (*place, i), places) for i, item in enumerate(value)]
    return value
