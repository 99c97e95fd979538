"""Where a config.pbtxt says what; only asked for when there is an error to report.

https://protobuf.dev/reference/protobuf/textformat-spec/
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tritonbuild.rule import KeyPath

_TOKEN = re.compile(
    r"""(?P<skip>[\s,;]+|\#[^\n]*)|(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')"""
    r"""|(?P<mark>[{}<>:]|\[|\])|(?P<word>[^\s,;{}<>:\[\]"'#]+)"""
)
_MAPS = {"parameters", "cc_model_filenames", "input_map", "output_map", "inputs", "metric_tags"}
"""Fields whose items are known by their key rather than by their index."""


def line_of(content: bytes, key: KeyPath) -> int | None:
    """The line, from 1, of the longest known beginning of a place in the config; None when not
    even its first field is there."""
    lines: dict[KeyPath, int] = {}
    tokens = list(_tokens(content.decode(errors="replace")))
    _Reader(tokens, lines).message((), len(tokens))
    for length in range(len(key), 0, -1):
        if (line := lines.get(key[:length])) is not None:
            return line
    return None


def _tokens(text: str) -> Iterator[tuple[str, int]]:
    line, at = 1, 0
    while at < len(text) and (found := _TOKEN.match(text, at)):
        if found.lastgroup != "skip":
            yield found[0], line
        line += found[0].count("\n")
        at = found.end()


class _Reader:
    """Notes where fields begin. What cannot be read ends it: the config was parsed before."""

    def __init__(self, tokens: list[tuple[str, int]], lines: dict[KeyPath, int]):
        self._tokens = tokens
        self._lines = lines
        self._at = 0

    def message(self, above: KeyPath, end: int) -> None:
        """Its fields, up to and with the mark that closes it."""
        counts: dict[str, int] = {}
        while self._at < end:
            name, line = self._tokens[self._at]
            self._at += 1
            if name in "}>":
                return
            self._lines.setdefault((*above, name), line)
            if self._next() == ":":
                self._at += 1
            in_list = self._next() == "["
            self._at += in_list
            while self._at < end and self._next() != "]":
                index = counts.get(name, 0)
                counts[name] = index + 1
                self._value((*above, name), name, index, end)
                if not in_list:
                    break
            self._at += in_list

    def _value(self, above: KeyPath, name: str, index: int, end: int) -> None:
        _, line = self._tokens[self._at]
        if self._next() not in "{<":
            self._lines.setdefault((*above, index), line)
            self._at += 1
            return
        here = (*above, self._map_key() if name in _MAPS else index)
        self._lines.setdefault(here, line)
        first = self._at
        self._at = first + 1
        self.message(here, end)
        # A message that is not repeated is a place without an index, and the value of a map's
        # item stands under its key.
        for path, at in list(self._lines.items()):
            if path[: len(here)] == here:
                rest = path[len(here) :]
                self._lines.setdefault((*above, *rest), at)
                if rest[:1] == ("value",):
                    self._lines.setdefault((*here, *rest[1:]), at)

    def _map_key(self) -> str:
        """Of the item that begins here."""
        for at in range(self._at, min(self._at + 8, len(self._tokens) - 1)):
            if self._tokens[at][0] == "key":
                following = self._tokens[at + 1 : at + 3]
                return next((text for text, _ in following if text != ":"), "").strip("\"'")
        return ""

    def _next(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else "}"
