"""TOML as people write it by hand: a table's keys each on a line, what is below them inline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 96


def block(header: Sequence[str], values: Mapping[str, Any]) -> str:
    """`[header]` and its keys, a line each. `config` gets a table of its own below it."""
    from tomlkit import key

    lines = [f"[{key(list(header)).as_string()}]"]
    for name, value in values.items():
        if name != "config":
            lines.append(_line(name, value))
    if config := values.get("config"):
        lines.append(f"[{key([*header, 'config']).as_string()}]")
        lines += [_line(name, value) for name, value in config.items()]
    return "\n".join(lines) + "\n"


def commented(text: str) -> str:
    """A block that waits. Remarks have a space after their sign, this has none."""
    return "".join(f"#{line}\n" for line in text.splitlines())


def remark(text: str) -> str:
    """A comment, wrapped."""
    import textwrap

    visible = "".join(sign if sign.isprintable() else " " for sign in text)
    return "".join(f"# {line}\n" for line in textwrap.wrap(visible, WIDTH))


def _line(name: str, value: Any) -> str:
    from tomlkit import key

    start = f"{key(name).as_string()} = "
    inline = _inline(value)
    if len(start) + len(inline) <= WIDTH or not isinstance(value, list) or not value:
        return start + inline
    items = "".join(f"  {_inline(item)},\n" for item in value)
    return f"{start}[\n{items}]"


def _inline(value: Any) -> str:
    from tomlkit import item, key

    if isinstance(value, Mapping):
        pairs = [f"{key(name).as_string()} = {_inline(inner)}" for name, inner in value.items()]
        return f"{{ {', '.join(pairs)} }}" if pairs else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return str(item(value).as_string())
