"""Which release of Triton knows which fields of ModelConfig.

A server refuses to load a model whose config has a field that it does not know. Nothing was ever
taken out of the schema, so only what is too new can be wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, MutableSequence
from functools import cache
from pathlib import Path
from typing import Any

from tritonbuild.rule import KeyPath

from .releases import before

PACKAGE = "inference."
"""Of the schema's protobuf."""


@cache
def since() -> Mapping[str, str]:
    """Field or enum value, such as `ModelConfig.runtime` → the first release that knows it."""
    import tomli

    table = tomli.loads(Path(__file__).with_name("schema.toml").read_text())["since"]
    return {str(name): str(release) for name, release in table.items()}


def newer_than(config: Any, release: str) -> Iterator[tuple[KeyPath, str]]:
    """What a config says that a release does not know yet: the place, and the release (such as
    `2.52`) that brought the field or the enum's value. An unknown release (`""`) is the newest."""
    too_new = {name: brought for name, brought in since().items() if before(release, brought)}
    if too_new:
        yield from _newer(config, too_new, ())


def _newer(
    message: Any, too_new: Mapping[str, str], above: KeyPath
) -> Iterator[tuple[KeyPath, str]]:
    for field, value in message.ListFields():
        here = (*above, field.name)
        if brought := too_new.get(field.full_name.removeprefix(PACKAGE)):
            yield here, brought
            continue
        if isinstance(value, MutableMapping):
            items = [((*here, str(key)), value[key]) for key in sorted(value)]
        elif isinstance(value, MutableSequence):
            items = [((*here, index), item) for index, item in enumerate(value)]
        else:
            items = [(here, value)]
        for at, item in items:
            if field.enum_type is not None:
                name = f"{field.enum_type.full_name}.{_name(field.enum_type, item)}"
                if brought := too_new.get(name.removeprefix(PACKAGE)):
                    yield at, brought
            elif hasattr(item, "ListFields"):
                yield from _newer(item, too_new, at)


def _name(enum: Any, number: int) -> str:
    """Of an enum's value; proto3 lets numbers through that have none."""
    value = enum.values_by_number.get(number)
    return value.name if value else str(number)
