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
from tritonbuild.inspector import Fact, Inspector, inspector
from tritonbuild.keys import KeyPath, dotted, key_path
from tritonbuild.label import Label
from tritonbuild.lock import LockedFile, Request
from tritonbuild.merkle import Conflict, Entry, File, Folder, Symlink, folder_of, merge
from tritonbuild.pointers import is_pointer, is_pointer_file
from tritonbuild.redact import public
from tritonbuild.resolver import Desk, Resolver, resolver
from tritonbuild.tools import Bind, Process, Tool, ToolContext, tool

__all__ = [
    "DOCKERFILE",
    "REPORT",
    "SHIPPED",
    "Action",
    "ActionError",
    "ActionId",
    "AnalysisError",
    "Annotated",
    "Artifact",
    "Attributes",
    "BaseModel",
    "Bind",
    "ByName",
    "Conflict",
    "Context",
    "Dep",
    "Desk",
    "Digest",
    "Entry",
    "EnvironmentFailure",
    "Fact",
    "Field",
    "File",
    "Files",
    "Folder",
    "GpuNeed",
    "ImageInfo",
    "ImportRequest",
    "Imported",
    "Importer",
    "Inspector",
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
    "inspector",
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
SHIPPED = "shipped"
"""Output of a tool that `push` starts: `{"digest": …, "moved": bytes, "there": bytes}`."""
REPORT = "report.json"
"""Output of a tool that `doctor` starts."""
DOCKERFILE = "dockerfile.json"
"""Output of a tool that `compose --emit-dockerfile` starts."""


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

    # Built when it is used: a workspace has targets of few rules.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


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
class ImageInfo:
    """Provider: the target is an image, or an index of images. It is placed as an OCI layout, with
    the target's Files beside."""

    layout: Output
    """A sparse layout (`tritonbuild.oci.sparse`)."""
    tags: tuple[str, ...] = ()
    """What it is pushed and loaded as; stamps in them are not replaced yet."""
    attached: Mapping[str, Output] = field(default_factory=dict)
    """Artifact type → a document about the image, pushed as a referrer."""
    origins: tuple[str, ...] = ()
    """References of images in registries that it was built on."""
    remarks: tuple[Output, ...] = ()
    """JSON files, lists of texts: what is no error, and is told whenever it is built."""


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
    """What an interactive verb starts: a tool that runs until it is stopped, or that does what the
    verb says and ends."""

    action: Action


@dataclass(frozen=True)
class Ask:
    """What an interactive verb asks of its target."""

    verb: typing.Literal["run", "config", "push", "doctor", "dockerfile"] = "run"
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

    @property
    def epoch(self) -> int:
        """The time of all that is written: SOURCE_DATE_EPOCH, else 0; seconds since 1970.
        https://reproducible-builds.org/specs/source-date-epoch/"""

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
        outputs: Iterable[str] = (),
        is_test: bool = False,
    ) -> RunInfo:
        """What an interactive verb starts; not part of any build. What the command line says
        replaces parameters by name. `outputs` are files that tell the verb something. `is_test`: a
        non-zero exit is a verdict, not a failure."""

    def locked(self, request: Request) -> tuple[LockedFile, ...]:
        """What triton.lock pins for a request."""

    def stamped(self, text: str, key: str = "") -> str:
        """The text, which the manifest has at a key, with what is known of the repository's commit
        in the place of `{git.commit}` and the like (`tritonbuild.stamps`). Raises AnalysisError."""

    def stampable(self, text: str, key: str = "") -> str:
        """A text as it is, whose words are replaced when it is used: no other commit builds the
        target anew. Raises AnalysisError for a word that means nothing."""

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

    def push(self, ctx: Context[Any]) -> RunInfo:
        """What `tritonbuild push` starts where the target is no image: a tool that moves what it
        made to the place that the setting `to` says, in JSON, and tells in its output SHIPPED how
        that went; called after `analyze`. By default nothing."""
        raise ctx.error("a target of this rule cannot be pushed")

    def doctor(self, ctx: Context[Any]) -> RunInfo:
        """What `tritonbuild doctor` starts: a tool that looks at what the target stands for and
        tells in its output REPORT what it found, a list of `{"subject", "ok", "text", "remedy"}` in
        JSON; called after `analyze`. By default nothing."""
        raise ctx.error("a target of this rule cannot be examined")

    def dockerfile(self, ctx: Context[Any]) -> RunInfo:
        """What `compose --emit-dockerfile` starts: a tool that tells in its output DOCKERFILE how
        Docker makes the image, path → text in JSON; the setting `name` says what the Dockerfile is
        called. Called after `analyze`. By default nothing."""
        raise ctx.error("Docker does not make a target of this rule")
