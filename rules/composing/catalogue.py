"""What is known of components besides what their files say: libraries that are opened by name,
packages and files that they use, and what comes from elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

from tritonbuild.rule import ActionError, Problem, ToolContext

from .selection import KINDS


def _checked(text: str) -> str:
    try:
        re.compile(_regex(text))
    except ValueError as error:
        raise PydanticCustomError("pattern", "no pattern: {why}", {"why": str(error)}) from None
    except re.error as error:
        told = {"text": text, "why": error.msg}
        raise PydanticCustomError("pattern", "{text} is no pattern: {why}", told) from None
    return text


Pattern = Annotated[str, AfterValidator(_checked)]
"""As `pattern` takes it."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(_Table):
    """Of the server, or of a component."""

    packages: list[Pattern] = []
    """Debian packages that are copied as a whole, as patterns."""
    paths: list[Pattern] = []
    """Files, likewise, as paths without a leading slash."""
    beside: list[str] = Field(default=[], alias="with")
    """Backends that it cannot do without. Of what is shipped alone: it is known before actions
    run, and a workspace's file is not."""


class Catalogue(_Table):
    driver: list[Pattern] = []
    loaded: list[str] = []
    opens: dict[Pattern, list[Pattern]] = {}
    core: Entry = Entry()
    backends: dict[str, Entry] = {}
    repoagents: dict[str, Entry] = {}
    caches: dict[str, Entry] = {}

    @classmethod
    def parse(cls, text: str, what: str) -> Catalogue:
        """What a workspace adds. Raises ActionError, with every fault."""
        read = cls.read(text, what)
        problems = [
            Problem(
                f"{what}: {place}.with: only tritonbuild's own catalogue has it",
                "`packages` and `paths`",
                "name in the image itself which backends it has besides",
            )
            for place in read._beside
        ]
        if problems:
            raise ActionError(*problems)
        return read

    @classmethod
    def read(cls, text: str, what: str) -> Catalogue:
        """Any catalogue. Raises ActionError, with every fault."""
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

    @property
    def _beside(self) -> list[str]:
        """Entries that say `with`."""
        named = {"core": self.core}
        for kind in KINDS:
            named |= {f"{kind}.{name}": entry for name, entry in getattr(self, kind).items()}
        return [place for place, entry in named.items() if "beside" in entry.model_fields_set]

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
    return Catalogue.read(path.read_text(), path.name)


def known(ctx: ToolContext, file: str) -> Catalogue:
    """What is shipped, and what a workspace adds, if it has such an input. Raises ActionError."""
    if file not in ctx.inputs.entries:
        return shipped()
    return shipped().with_more(Catalogue.parse(ctx.read(file).decode(errors="replace"), file))


def _joined(one: Any, other: Any) -> Any:
    """Of two documents: lists one after the other, tables by their keys."""
    if isinstance(one, dict):
        both = {key: _joined(one[key], other[key]) for key in one.keys() & other.keys()}
        return {**one, **other, **both}
    return list(dict.fromkeys([*one, *other]))


@cache
def pattern(texts: tuple[str, ...]) -> re.Pattern[str]:
    """Of shell patterns, any of which matches: `*` stands for all but a slash, `**` for that too,
    `[!a]` for any other character."""
    return re.compile("|".join(map(_regex, texts)) or r"(?!)")


def _regex(text: str) -> str:
    """Raises ValueError for a set that holds nothing."""
    parts = re.split(r"(\*\*|\*|\?|\[[!^]?\]?[^]]*\])", text)
    wild = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(
        wild.get(part) or (_set(part) if number % 2 else re.escape(part))
        for number, part in enumerate(parts)
    )


def _set(part: str) -> str:
    """Of characters: `[a-c]`."""
    negated = part[1] in "!^"
    characters = part[2 if negated else 1 : -1]
    if not characters:
        raise ValueError(f"{part} stands for nothing")
    escaped = "".join(one if one == "-" else re.escape(one) for one in characters)
    return f"[^/{escaped}]" if negated else f"[{escaped}]"
