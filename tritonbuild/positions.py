"""Where in a manifest a key stands. Only asked for when there is an error to report."""

from __future__ import annotations

from collections.abc import Sequence

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

Path = tuple[str, ...]
"""Keys, and indexes of arrays as digits."""


def line_of(content: bytes, path: Sequence[str | int]) -> int | None:
    """The line, from 1, of the longest known beginning of a key path; None when even its first
    key is not there. Items of arrays are numbered from 0."""
    lines: dict[Path, int] = {}
    document = Parser(Language(tree_sitter_toml.language())).parse(content).root_node
    arrays: dict[Path, int] = {}
    for node in document.named_children:
        match node.type:
            case "pair":
                _pair(node, (), lines)
            case "table":
                _table(node, _keys(node.named_children[0]), lines)
            case "table_array_element":
                keys = _keys(node.named_children[0])
                index = arrays.get(keys, 0)
                arrays[keys] = index + 1
                _table(node, (*keys, str(index)), lines)
    for length in range(len(path), 0, -1):
        if (line := lines.get(tuple(map(str, path[:length])))) is not None:
            return line
    return None


def _table(node: Node, path: Path, lines: dict[Path, int]) -> None:
    _mark(node, path, lines)
    for child in node.named_children[1:]:
        if child.type == "pair":
            _pair(child, path, lines)


def _pair(node: Node, above: Path, lines: dict[Path, int]) -> None:
    key, value = node.named_children[0], node.named_children[-1]
    path = (*above, *_keys(key))
    _mark(node, path, lines)
    _value(value, path, lines)


def _value(node: Node, path: Path, lines: dict[Path, int]) -> None:
    children = [child for child in node.named_children if child.type != "comment"]
    if node.type == "inline_table":
        for child in children:
            _pair(child, path, lines)
    elif node.type == "array":
        for index, child in enumerate(children):
            _mark(child, (*path, str(index)), lines)
            _value(child, (*path, str(index)), lines)


def _mark(node: Node, path: Path, lines: dict[Path, int]) -> None:
    """A path and all its beginnings, each where it first appears."""
    for length in range(1, len(path) + 1):
        lines.setdefault(path[:length], node.start_point[0] + 1)


def _keys(node: Node) -> Path:
    if node.type == "dotted_key":
        return tuple(key for child in node.named_children for key in _keys(child))
    text = (node.text or b"").decode()
    return (text[1:-1] if node.type == "quoted_key" else text,)
