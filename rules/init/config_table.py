"""ModelConfig → TOML: what a manifest's `config` says so that laying it over gives the message."""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence
from typing import TYPE_CHECKING, Any

from ..model_config import message as model_config
from ..model_config.overlay import lay_over

if TYPE_CHECKING:
    from google.protobuf.message import Message


def table_of(config: Message) -> dict[str, Any]:
    """The fields that are set, in the schema's order. Raises ValueError for what TOML cannot say
    (whole numbers above 64 bits, signed)."""
    table = _message(config)
    again = model_config.empty()
    wrong = list(lay_over(again, table, ""))
    if wrong or again != config:
        raise ValueError(str(wrong[0]) if wrong else "the config cannot be said in TOML")
    return table


def _message(message: Message) -> dict[str, Any]:
    return {field.name: _field(field, value) for field, value in message.ListFields()}


def _field(field: Any, value: Any) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        of = field.message_type.fields_by_name["value"]
        entries: Mapping[Any, Any] = value
        return {str(key): _value(of, item) for key, item in sorted(entries.items())}
    if isinstance(value, MutableSequence):
        return [_value(field, item) for item in value]
    return _value(field, value)


def _value(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        table = _message(value)
        # A parameter is written as its text.
        if list(field.message_type.fields_by_name) == ["string_value"]:
            return table.get("string_value", "")
        return table
    if field.enum_type is not None:
        return field.enum_type.values_by_number[value].name
    if isinstance(value, int) and not isinstance(value, bool) and value > 2**63 - 1:
        raise ValueError(f"{field.name}: {value} is too large for TOML")
    return value
