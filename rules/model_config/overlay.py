"""A protobuf message said in TOML: a message is a table, a repeated field a list, a map a table.

Beyond that
- an enum's value is its name, with or without the prefix that all its names share: `TYPE_FP32`
  or `FP32`, `KIND_CPU` or `CPU`;
- an empty table sets an empty message: `dynamic_batching = {}`;
- a string stands for a message that holds nothing but a `string_value`:
  `parameters = { EXECUTION_ENV_PATH = "env.tar.gz" }`.

A table is laid over what the message holds already: scalars and lists replace, tables merge, and
of several fields that exclude one another (a oneof) the table's stays.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import Problem, did_you_mean, dotted

from .message import installed_schema

if TYPE_CHECKING:
    from google.protobuf.message import Message


def lay_over(config: Message, table: Mapping[str, Any], key: str) -> Iterator[Problem]:
    """Sets what the table says, and yields what is wrong with it by its key path below `key`."""
    fields = config.DESCRIPTOR.fields_by_name
    chosen: dict[str, str] = {}
    for name, value in table.items():
        field = fields.get(name)
        if field is None:
            found = f"{config.DESCRIPTOR.name} has no field {name!r}"
            expected = f"a field that {installed_schema()} knows"
            yield Problem(found, expected, did_you_mean(name, fields), key=below(key, name))
            continue
        if (choice := field.containing_oneof) is not None:
            other = chosen.setdefault(choice.name, name)
            if other != name:
                expected = f"one of {', '.join(option.name for option in choice.fields)}"
                found = f"{other} and {name} exclude one another"
                yield Problem(found, expected, "take one of them away", key=below(key, name))
                continue
        yield from _set(config, field, value, below(key, name))


def _set(config: Message, field: Any, value: Any, key: str) -> Iterator[Problem]:
    here = getattr(config, field.name)
    if isinstance(here, MutableMapping):
        yield from _set_map(here, field, value, key)
    elif isinstance(here, MutableSequence):
        yield from _set_list(here, field, value, key)
    elif field.message_type is not None:
        here.SetInParent()
        yield from _lay_over_message(here, value, key)
    else:
        try:
            setattr(config, field.name, _scalar(field, value))
        except _WrongError as error:
            yield error.problem(key)


def _set_map(here: MutableMapping[Any, Any], field: Any, value: Any, key: str) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield _WrongError(value, "a table").problem(key)
        return
    key_field = field.message_type.fields_by_name["key"]
    value_field = field.message_type.fields_by_name["value"]
    for name, item in value.items():
        try:
            # TOML's keys are always strings.
            at = _scalar(
                key_field, int(name) if name.isdecimal() and _is_number(key_field) else name
            )
            if value_field.message_type is None:
                here[at] = _scalar(value_field, item)
        except _WrongError as error:
            yield error.problem(below(key, name))
            continue
        if value_field.message_type is not None:
            yield from _lay_over_message(here[at], item, below(key, name))


def _set_list(here: Any, field: Any, value: Any, key: str) -> Iterator[Problem]:
    if not isinstance(value, list):
        yield _WrongError(value, "a list").problem(key)
        return
    del here[:]
    for index, item in enumerate(value):
        if field.message_type is not None:
            yield from _lay_over_message(here.add(), item, below(key, index))
            continue
        try:
            here.append(_scalar(field, item))
        except _WrongError as error:
            yield error.problem(below(key, index))


def _lay_over_message(message: Message, value: Any, key: str) -> Iterator[Problem]:
    if isinstance(value, str) and list(message.DESCRIPTOR.fields_by_name) == ["string_value"]:
        value = {"string_value": value}
    if isinstance(value, Mapping):
        yield from lay_over(message, value, key)
    else:
        yield _WrongError(value, "a table").problem(key)


def below(key: str, part: str | int) -> str:
    """The key path of something below a key; an empty one is the message itself."""
    separator = "." if key and isinstance(part, str) else ""
    return f"{key}{separator}{dotted((part,))}"


class _WrongError(Exception):
    """A value that its field cannot hold."""

    def __init__(self, value: Any, expected: str, remedy: str = ""):
        super().__init__(expected)
        self.value, self.expected, self.remedy = value, expected, remedy

    def problem(self, key: str) -> Problem:
        shown = json.dumps(self.value, default=str, ensure_ascii=False)
        shown = shown if len(shown) <= 60 else f"{shown[:59]}…"
        return Problem(shown, self.expected, self.remedy, key=key)


_INTEGERS = {  # by FieldDescriptor.CPPTYPE_*
    1: ("a whole number of 32 bits", -(2**31), 2**31 - 1),
    2: ("a whole number of 64 bits", -(2**63), 2**63 - 1),
    3: ("a whole number of 32 bits, not negative", 0, 2**32 - 1),
    4: ("a whole number of 64 bits, not negative", 0, 2**64 - 1),
}
_OTHERS: dict[int, tuple[str, type | tuple[type, ...]]] = {
    5: ("a number", (int, float)),
    6: ("a number", (int, float)),
    7: ("true or false", bool),
    9: ("a string", str),
}


def _is_number(field: Any) -> bool:
    return field.cpp_type in _INTEGERS


def _scalar(field: Any, value: Any) -> Any:
    """The value as protobuf takes it. Raises _WrongError."""
    if field.enum_type is not None:
        return _enum(field.enum_type, value)
    if field.cpp_type in _INTEGERS:
        expected, least, most = _INTEGERS[field.cpp_type]
        if type(value) is not int or not least <= value <= most:
            raise _WrongError(value, expected)
        return value
    expected, types = _OTHERS[field.cpp_type]
    if not isinstance(value, types) or (isinstance(value, bool) and types is not bool):
        raise _WrongError(value, expected)
    return value


def _enum(enum: Any, value: Any) -> int:
    names = list(enum.values_by_name)
    prefix = os.path.commonprefix(names).rpartition("_")[0]  # noqa: RUF071  # no paths
    for name in (value, f"{prefix}_{value}") if isinstance(value, str) else ():
        if name in enum.values_by_name:
            return int(enum.values_by_name[name].number)
    raise _WrongError(value, f"one of {', '.join(names)}", did_you_mean(str(value).upper(), names))
