"""The API that rules are written against; the built-in rules use nothing else.

A rule is a class for one kind of target: the table that declares it in `triton.toml`, its typed
attributes, the providers that it hands to targets that depend on it, and `analyze`, which turns
a target into actions. Analysis is pure: it runs nothing and reads no file's content.

    class Greeting(Rule):
        table = "greetings"
        provides = (Files,)

        class Attributes(Rule.Attributes):
            name: str = Field(description="Who is greeted.")

        def analyze(self, ctx):
            made = ctx.tool(greet, parameters={"name": ctx.attributes.name}, outputs=["hello.txt"])
            yield Files(made)
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Generic, Protocol, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import core_schema

from tritonbuild.action import Action, ActionId, Artifact, Literal, Needs, Output, Source
from tritonbuild.digest import Digest
from tritonbuild.errors import (
    ActionError,
    AnalysisError,
    EnvironmentFailure,
    Problem,
    TritonbuildError,
    UsageError,
    did_you_mean,
)
from tritonbuild.gpus import GpuNeed
from tritonbuild.importer import Imported, Importer, ImportRequest, importer
from tritonbuild.keys import KeyPath, dotted, key_path
from tritonbuild.label import Label
from tritonbuild.lock import LockedFile, Request
from tritonbuild.merkle import Conflict, Entry, File, Folder, Symlink, folder_of, merge
from tritonbuild.pointers import is_pointer, is_pointer_file
from tritonbuild.redact import public
from tritonbuild.resolver import Desk, Resolver, resolver
from tritonbuild.tools import Process, Tool, ToolContext, tool

__all__ = [
    "Action",
    "ActionError",
    "ActionId",
    "AnalysisError",
    "Annotated",
    "Artifact",
    "Attributes",
    "BaseModel",
    "ByName",
    "Conflict",
    "Context",
    "Dep",
    "Desk",
    "Digest",
    "Entry",
    "EnvironmentFailure",
    "Field",
    "File",
    "Files",
    "Folder",
    "GpuNeed",
    "ImportRequest",
    "Imported",
    "Importer",
    "KeyPath",
    "Label",
    "Literal",
    "LockedFile",
    "Needs",
    "Output",
    "Problem",
    "Process",
    "Request",
    "Resolver",
    "Rule",
    "RunInfo",
    "Source",
    "SourceRef",
    "Strict",
    "Symlink",
    "TestInfo",
    "Tool",
    "ToolContext",
    "TritonbuildError",
    "UsageError",
    "did_you_mean",
    "dotted",
    "folder_of",
    "importer",
    "is_pointer",
    "is_pointer_file",
    "key_path",
    "merge",
    "public",
    "resolver",
    "tool",
    "workspace_default",
]

P = TypeVar("P")
P_co = TypeVar("P_co", covariant=True)
WORKSPACE_DEFAULT = "workspace-default"


class _Text:
    """An attribute that is written as a string. Compared by identity: it stands at one place in
    one manifest."""

    def __init__(self, text: str):
        self.text = text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.text!r})"

    @classmethod
    def _make(cls, text: str, source: Any) -> Any:
        return cls(text)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(
            lambda text: cls._make(text, source),
            core_schema.str_schema(min_length=1, strict=True),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda ref: ref.text),
        )


class Dep(_Text, Generic[P_co]):
    """A label or pattern; of the targets that a pattern matches, those that provide P are kept."""

    def __init__(self, text: str, wants: type = object):
        super().__init__(text)
        self.wants = wants

    @classmethod
    def _make(cls, text: str, source: Any) -> Any:
        return cls(text, get_args(source)[0])


class ByName(Dep[P_co]):
    """A label, or the bare name of a target that provides P, in the same package or else in the
    root."""


class SourceRef(_Text):
    """A file, folder or glob of the package; or `:target`, or `:target/one/of/its/outputs`."""

    @property
    def is_label(self) -> bool:
        return self.text.startswith(("//", ":"))

    @property
    def label(self) -> str:
        """The label's text, without the output that may follow."""
        package, colon, rest = self.text.partition(":")
        return f"{package}{colon}{rest.partition('/')[0]}"

    @property
    def output(self) -> str:
        """The path of one output, or empty for all of the target's."""
        return self.text.partition(":")[2].partition("/")[2]


class Strict(BaseModel):
    """A table in a manifest: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Attributes(Strict):
    """What every target may say."""

    tags: list[str] = Field(default=[], description="Words to select targets by (`--tag`).")
    matrix: dict[str, Annotated[list[str | int | float | bool], Field(min_length=1)]] = Field(
        default={},
        description="Parameters with values: the target stands for one variant of each "
        'combination, such as `:plan[gpu=L4]`; "{matrix.gpu}" in its strings is that value. What '
        "a rule sees is a variant, and empty here.",
    )


def workspace_default(description: str) -> Any:
    """A field whose default stands under the same name in the root's `[workspace]`."""
    return Field(default=None, description=description, json_schema_extra={WORKSPACE_DEFAULT: True})


@dataclass(frozen=True)
class Files:
    """Provider: what a target makes, as people find it in `tritonbuild-out`."""

    entries: Mapping[str, Artifact]
    """Path below the target's output folder → what lies there."""


@dataclass(frozen=True)
class TestInfo:
    """Provider: the target is a verification; its verdict is the exit code of one action."""

    __test__ = False
    kind: str
    action: ActionId
    targets: tuple[Label, ...]
    """What it verifies."""


@dataclass(frozen=True)
class RunInfo:
    """What an interactive verb starts: a tool that runs until it is stopped, or that prints to
    standard output and ends."""

    action: Action


@dataclass(frozen=True)
class Ask:
    """What an interactive verb asks of its target."""

    verb: typing.Literal["run", "config"] = "run"
    """The verb, and the method of the rule that answers it."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What the command line says besides."""


RUN = Ask()


class Context(Protocol[P_co]):
    """A target under analysis."""

    label: Label
    attributes: Any
    """An instance of the rule's Attributes."""
    settings: Mapping[str, str]
    """What the command line says to an interactive verb; empty in a build."""

    def provider(self, dep: Dep[P]) -> P:
        """Of the one target that the reference means."""

    def own(self, wants: type[P]) -> P:
        """What `analyze` has yielded for this target."""

    def providers(self, deps: Dep[P] | Sequence[Dep[P]]) -> list[P]:
        """Of all targets that the references mean, each once, sorted by label."""

    def source(self, ref: SourceRef) -> Artifact:
        """One file, folder or output. Raises AnalysisError when it does not exist."""

    def sources(self, refs: Iterable[SourceRef]) -> dict[str, Artifact]:
        """Files by their path below the package (globs expanded), outputs by their own path."""

    def names(self, ref: SourceRef) -> list[str]:
        """The names in a folder of the workspace, sorted; folders end in `/`. Empty for a file."""

    def tool(
        self,
        tool: Tool,
        *,
        name: str = "",
        parameters: Mapping[str, Any] | None = None,
        hints: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Artifact] | None = None,
        outputs: Iterable[str],
        needs: Needs = ...,
        is_test: bool = False,
    ) -> dict[str, Output]:
        """Declares an action that calls a tool; its outputs by path. `name` tells it from the
        target's other actions (default: the tool's); the same may be declared again. `hints` help
        the tool and cannot change what it makes: they are not part of the key."""

    def program(
        self,
        argv: Sequence[str],
        *,
        name: str = "",
        inputs: Mapping[str, Artifact],
        outputs: Iterable[str],
        environment: Mapping[str, str] | None = None,
        network: bool = False,
        needs: Needs = ...,
        timeout: float | None = None,
    ) -> dict[str, Output]:
        """Declares an action that runs a program in the sandbox."""

    def interactive(
        self,
        tool: Tool,
        *,
        parameters: Mapping[str, Any],
        inputs: Mapping[str, Artifact],
        is_test: bool = False,
    ) -> RunInfo:
        """What an interactive verb starts; not part of any build. What the command line says
        replaces parameters by name. `is_test`: a non-zero exit is a verdict, not a failure."""

    def locked(self, request: Request) -> tuple[LockedFile, ...]:
        """What triton.lock pins for a request."""

    def error(
        self, found: str, *, key: str = "", expected: str = "", remedy: str = ""
    ) -> AnalysisError:
        """An error of this target; `key` is a path of attributes below it, such as `versions.1`."""


class Rule:
    """A kind of target. Subclasses need no state; one instance serves all targets."""

    table: ClassVar[str]
    """The manifest's table, a plural: `models`."""
    provides: ClassVar[tuple[type, ...]] = (Files,)
    """Types of provider that `analyze` may yield."""

    needed_to_run: ClassVar[frozenset[str]] = frozenset()
    """Attributes that only interactive verbs look at: a build does not depend on their targets."""

    class Attributes(Attributes):
        """The attributes of a target."""

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        """Declares actions through `ctx` and yields providers."""
        raise NotImplementedError

    def run(self, ctx: Context[Any]) -> RunInfo:
        """What `tritonbuild run` starts; called after `analyze`. By default nothing."""
        raise ctx.error("a target of this rule cannot be run")

    def config(self, ctx: Context[Any]) -> RunInfo:
        """What `tritonbuild config` starts: a tool that prints how the target is configured;
        called after `analyze`. By default nothing."""
        raise ctx.error("a target of this rule has no config to show")
