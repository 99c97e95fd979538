"""What is wrong in a manifest, in the manifest's words and with the place where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from tritonbuild.errors import Problem, did_you_mean
from tritonbuild.keys import KeyPath, dotted

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

OF_VALUES = ("literal_error", "enum", "greater_than", "less_than", "finite_number", "multiple_of",
             "value_error")  # fmt: skip
"""How pydantic's kinds of error begin that find the type right and the value wrong."""

WANTED = {
    "bool_type": "a boolean",
    "dict_type": "a table",
    "float_type": "a number",
    "int_type": "an integer",
    "list_type": "an array",
    "model_type": "a table",
    "string_type": "a string",
}
"""What pydantic's kinds of error want, in TOML's words."""


def explain(
    error: ValidationError, raw: Any, model: type[BaseModel]
) -> Iterator[tuple[KeyPath, str, str, str]]:
    """What pydantic found, in a manifest's words: key path, found, expected, remedy."""
    told: dict[KeyPath, tuple[str, list[str], str]] = {}
    for item in error.errors(include_url=False):
        where, value = real_path(item["loc"], raw)
        if item["type"] == "extra_forbidden":
            remedy = did_you_mean(str(where[-1]), _fields(model, where))
            told[where] = (f"unknown key {where[-1]!r}", [], remedy)
        elif item["type"] == "missing":
            key = item["loc"][-1]
            told[(*where, key)] = (f"{key} is missing", [f"{key} = …"], "")
        else:
            # The members of a union complain of the same value, each in its own way.
            found = told.setdefault(where, _wrong(item, where, value))
            expected = WANTED.get(item["type"]) or _plain(item["msg"])
            if expected not in found[1]:
                found[1].append(expected)
    for where, (text, wanted, remedy) in told.items():
        # Where one member of a union complains of something inside, that is what is wrong.
        if not any(other[: len(where)] == where for other in told if other != where):
            yield where, text, " or ".join(wanted), remedy


def _wrong(item: ErrorDetails, where: KeyPath, value: Any) -> tuple[str, list[str], str]:
    """Found, expected so far and remedy, of a value of the wrong type, or that is itself wrong."""
    if not item["type"].startswith(OF_VALUES):
        return f"{_show(value)} is {type_name(value)}", [], ""
    remedy = str(item.get("ctx", {}).get("remedy", ""))
    if item["type"] in ("literal_error", "enum") and isinstance(value, str):
        remedy = _near(value, re.findall("'([^']*)'", item["ctx"]["expected"]))
    found = _show(value) if isinstance(where[-1], int) else f"{where[-1]} is {_show(value)}"
    return found, [], remedy


def _near(word: str, options: list[str]) -> str:
    remedy = did_you_mean(word, options)
    return remedy if remedy.startswith("did") else ""  # else all of them are told as expected


def _plain(message: str) -> str:
    return message.removeprefix("Input should be ").removeprefix("Value error, ")


def problem_at(file: str, content: bytes, key: KeyPath, found: str, **rest: str) -> Problem:
    from tritonbuild.positions import line_of

    return Problem(found, file=file, line=line_of(content, key), key=dotted(key), **rest)


def real_path(loc: tuple[str | int, ...], raw: Any) -> tuple[KeyPath, Any]:
    """The part of pydantic's location that is in the data; it also names validators."""
    path: list[str | int] = []
    value = raw
    for part in loc:
        in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if in_list or (isinstance(value, dict) and part in value):
            value = value[part]
        else:
            continue
        path.append(part)
    return tuple(path), value


def _fields(model: type[BaseModel], where: KeyPath) -> list[str]:
    return list(model.model_fields) if len(where) == 1 else []


def _show(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def type_name(value: Any) -> str:
    names = {dict: "a table", list: "an array", str: "a string", bool: "a boolean"}
    names |= {int: "an integer", float: "a float"}
    return names.get(type(value), f"a {type(value).__name__}")
