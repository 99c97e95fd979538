"""Where each field of a config came from.

A *leaf* is a place of a config that people see as one line: a scalar, a whole list of scalars, or
a message that is present and says nothing (`dynamic_batching {}`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import TYPE_CHECKING, Any, Literal

from tritonbuild.rule import KeyPath

if TYPE_CHECKING:
    from google.protobuf.message import Message

Source = Literal["manifest", "file", "completed", "default", "server"]
"""`manifest`: an attribute or its `config`; `file`: the `config_file`; `completed`: found out from
the model's files; `default`: what Triton fills in for any model; `server`: what only a running
one knew."""
Sources = dict[KeyPath, Source]
LEFT_TO_TRITON: tuple[Source, ...] = ("completed", "default", "server")
"""What a written config does not say."""


def leaves(config: Message, above: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Every leaf and its value, in the schema's order, a map's entries by key."""
    for field, value in config.ListFields():
        here = (*above, field.name)
        if isinstance(value, MutableMapping):
            for key in sorted(value):
                yield from _item(value[key], (*here, str(key)))
        elif not isinstance(value, MutableSequence):
            yield from _item(value, here)
        elif field.message_type is None:
            yield here, list(value)
        else:
            for index, item in enumerate(value):
                yield from _item(item, (*here, index))


def _item(item: Any, here: KeyPath) -> Iterator[tuple[KeyPath, Any]]:
    if not hasattr(item, "ListFields"):
        yield here, item
        return
    empty = True
    for leaf in leaves(item, here):
        empty = False
        yield leaf
    if empty:
        yield here, None


def all_from(config: Message, source: Source) -> Sources:
    """Of a config with one source."""
    return {path: source for path, _ in leaves(config)}


def after(
    before: Mapping[KeyPath, Any], sources: Mapping[KeyPath, Source], config: Message, now: Source
) -> Sources:
    """Sources of a config that was changed: what is not as it was `before` (its leaves then)
    came `now`."""
    return {
        path: sources[path] if path in sources and before.get(path, ...) == value else now
        for path, value in leaves(config)
    }


def written(
    config: Message, table: Mapping[str, Any], attributes: Iterable[KeyPath] = ()
) -> Sources:
    """Of a written config: what the manifest's `config` table names, and what stands at or below
    what its other `attributes` set, is the manifest's; all else came with the `config_file`."""
    said = {*_said(table), *attributes}
    return {
        path: "manifest"
        if any(path[:length] in said for length in range(len(path) + 1))
        else "file"
        for path, _ in leaves(config)
    }


def _said(table: Mapping[str, Any], above: KeyPath = ()) -> Iterator[KeyPath]:
    """What a table sets as a whole: a table in it only adds to what is there."""
    for name, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _said(value, (*above, name))
        else:
            yield (*above, name)
