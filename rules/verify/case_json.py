"""Golden cases in JSON; `cases` says what stands in them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from .case import Case, CaseError
from .case_document import build, documents
from .tensor_json import from_json, to_json


def read(content: bytes) -> Case:
    """Raises CaseError."""
    try:
        document = json.loads(content, object_pairs_hook=_table)
    except json.JSONDecodeError as error:
        found = f"not JSON: {error.msg} at column {error.colno}"
        raise CaseError(found, line=error.lineno) from None
    except (ValueError, RecursionError) as error:
        raise CaseError(f"not JSON: {error}") from None
    return build(document, from_json)


def _table(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise ValueError(f"key {key!r} is there twice")
        table[key] = value
    return table


def write(case: Case) -> bytes:
    """Raises ValueError where JSON cannot hold it."""
    return f"{_layout(documents(case, to_json), '')}\n".encode()


def _layout(value: Any, indent: str) -> str:
    """A line for each tensor, so that people and their tools see which one changed."""
    below = f"{indent}  "
    if isinstance(value, dict) and "datatype" not in value:
        ends, parts = "{}", [f"{_text(k)}: {_layout(v, below)}" for k, v in value.items()]
    elif isinstance(value, list):
        ends, parts = "[]", [_layout(item, below) for item in value]
    else:
        return _text(value)
    if not parts:
        return ends
    lines = ",\n".join(below + part for part in parts)
    return f"{ends[0]}\n{lines}\n{indent}{ends[1]}"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
