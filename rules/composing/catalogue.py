"""What is known of components besides what their files say: libraries that are opened by name,
packages and files that they use, and what comes from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tritonbuild.rule import ActionError, Problem


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Entry(_Table):
    """Of the server, or of a component."""

    packages: list[str] = []
    """Debian packages that are copied as a whole, as patterns."""
    paths: list[str] = []
    """Files, likewise, as paths without a leading slash."""
    beside: list[str] = Field(default=[], alias="with")
    """Backends that it cannot do without."""


class Catalogue(_Table):
    driver: list[str] = []
    loaded: list[str] = []
    opens: dict[str, list[str]] = {}
    core: Entry = Entry()
    backends: dict[str, Entry] = {}
    repoagents: dict[str, Entry] = {}
    caches: dict[str, Entry] = {}

    @classmethod
    def parse(cls, text: str, what: str) -> Catalogue:
        """Raises ActionError, with every fault."""
        import tomli

        try:
            return cls.model_validate(tomli.loads(text))
        except tomli.TOMLDecodeError as error:
            raise ActionError(Problem(f"{what}: {error}", "TOML")) from None
        except ValidationError as error:
            told = [
                Problem(f"{what}: {'.'.join(map(str, fault['loc']))}: {fault['msg']}")
                for fault in error.errors()
            ]
            raise ActionError(*told) from None

    def entries(self, components: Iterable[tuple[str, str]]) -> Iterator[Entry]:
        """Of the server and of components, by kind and name."""
        yield self.core
        for kind, name in components:
            entry = getattr(self, kind).get(name)
            if entry is not None:
                yield entry

    def beside(self, name: str) -> Sequence[str]:
        """Backends that a backend cannot do without."""
        entry = self.backends.get(name)
        return entry.beside if entry else ()

    def with_more(self, more: Catalogue) -> Catalogue:
        """With what a workspace adds to it."""
        documents = (self.model_dump(by_alias=True), more.model_dump(by_alias=True))
        return Catalogue.model_validate(_joined(*documents))


@cache
def shipped() -> Catalogue:
    path = Path(__file__).with_name("catalogue.toml")
    return Catalogue.parse(path.read_text(), path.name)


def _joined(one: Any, other: Any) -> Any:
    """Of two documents: lists one after the other, tables by their keys."""
    if isinstance(one, dict):
        both = {key: _joined(one[key], other[key]) for key in one.keys() & other.keys()}
        return {**one, **other, **both}
    return list(dict.fromkeys([*one, *other]))


@cache
def pattern(texts: tuple[str, ...]) -> re.Pattern[str]:
    """Of shell patterns, any of which matches."""
    return re.compile("|".join(map(_regex, texts)) or r"(?!)")


def _regex(text: str) -> str:
    parts = re.split(r"(\*\*|\*|\?|\[[^]]*\])", text)
    known = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        known.get(part, part if part.startswith("[") else re.escape(part)) for part in parts
    )
