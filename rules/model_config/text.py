"""A config as protobuf text, field by field."""

from __future__ import annotations

import io
from collections.abc import Iterator, MutableMapping, MutableSequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import KeyPath

if TYPE_CHECKING:
    from google.protobuf.message import Message


@dataclass(frozen=True)
class Line:
    depth: int
    text: str
    path: KeyPath = ()
    """Of a leaf (see `sources`); empty for lines that only open or close a message."""
    value: str = ""
    """Of a leaf, as text."""


def lines(config: Message, above: KeyPath = (), depth: int = 0) -> Iterator[Line]:
    """Protobuf text in the schema's order, maps by key; a list of scalars is one line."""
    for field, value in config.ListFields():
        name, here = field.name, (*above, field.name)
        if isinstance(value, MutableMapping):
            entry: Any = field.message_type
            keys, held = entry.fields_by_name["key"], entry.fields_by_name["value"]
            for key in sorted(value):
                yield Line(depth, f"{name} {{")
                shown = _scalar(keys, key)
                if held.message_type is None:
                    text = _scalar(held, value[key])
                    yield Line(depth + 1, f"key: {shown}")
                    yield Line(depth + 1, f"value: {text}", (*here, str(key)), text)
                else:
                    yield Line(depth + 1, f"key: {shown}")
                    yield from _message("value", value[key], (*here, str(key)), depth + 1)
                yield Line(depth, "}")
        elif isinstance(value, MutableSequence) and field.message_type is None:
            text = f"[{', '.join(_scalar(field, item) for item in value)}]"
            yield Line(depth, f"{name}: {text}", here, text)
        elif isinstance(value, MutableSequence):
            for index, item in enumerate(value):
                yield from _message(name, item, (*here, index), depth)
        elif field.message_type is not None:
            yield from _message(name, value, here, depth)
        else:
            text = _scalar(field, value)
            yield Line(depth, f"{name}: {text}", here, text)


def _message(name: str, message: Message, here: KeyPath, depth: int) -> Iterator[Line]:
    inside = list(lines(message, here, depth + 1))
    if inside:
        yield Line(depth, f"{name} {{")
        yield from inside
        yield Line(depth, "}")
    else:
        yield Line(depth, f"{name} {{}}", here, "{}")


def _scalar(field: Any, value: Any) -> str:
    from google.protobuf import text_format

    out = io.StringIO()
    text_format.PrintFieldValue(field, value, out, as_one_line=True, as_utf8=True)
    return out.getvalue()
