"""The rules `backends`, `repoagents` and `caches`: components of a server.

Without `path` a component is bound late: it is the one that the distribution of whoever uses it
has. Names of files are Triton's:
https://github.com/triton-inference-server/backend#backend-shared-library
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import ByteSize, TypeAdapter, ValidationError

from tritonbuild.rule import Artifact, Context, Field, Rule, SourceRef

from .python.requirements import checked

MODEL = "model.py"
"""What makes a backend python-based."""
DEFAULT_SIZE = "64MiB"
"""Of the local cache, which does not start without one."""
SECRETS = {
    "redis": {"user": "TRITONCACHE_REDIS_USERNAME", "password": "TRITONCACHE_REDIS_PASSWORD"}
}
"""Cache → its settings that are secret → where it looks for them besides."""


@dataclass(frozen=True)
class ComponentInfo:
    """Provider: a component."""

    kind: str
    """Its table, also its folder in a distribution: `backends`."""
    name: str
    folder: Artifact | None
    """None: from the distribution of whoever uses it."""
    python_based: bool
    """It is Python that runs in the python backend."""
    requirements: tuple[str, ...]
    """Python packages that it needs."""

    @property
    def is_own(self) -> bool:
        """It is the user's, whatever its name."""
        return self.folder is not None


class BackendInfo(ComponentInfo):
    """Provider: a backend."""


class RepoAgentInfo(ComponentInfo):
    """Provider: a repository agent."""


@dataclass(frozen=True)
class CacheInfo(ComponentInfo):
    """Provider: a response cache."""

    config: tuple[tuple[str, str], ...] = ()
    """What `--cache-config` tells it, sorted."""


class _Component(Rule):
    info: ClassVar[type[ComponentInfo]]
    library: ClassVar[str]
    """The file that makes a folder a component, with `{}` for its name."""

    class Attributes(Rule.Attributes):
        path: SourceRef | None = Field(
            default=None,
            description="The folder of one of your own. Without it: the distribution's.",
        )

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        yield self.info(self.table, ctx.label.base, self._folder(ctx), False, ())

    def _folder(self, ctx: Context[Any], *others: str) -> Artifact | None:
        """Raises AnalysisError for a folder with neither its library nor one of the others."""
        path: SourceRef | None = ctx.attributes.path
        if path is None:
            return None
        if path.is_label:
            found = f"{path.text!r} is a label"
            raise ctx.error(found, key="path", expected="a folder of the workspace")
        folder, names = ctx.source(path), ctx.names(path)
        wanted = (self.library.format(ctx.label.base), *others)
        if not set(wanted) & set(names):
            raise ctx.error(
                f"{path.text} holds {', '.join(names[:8]) or 'no files'}",
                key="path",
                expected=" or ".join(wanted),
                remedy=f"the target's name, {ctx.label.base!r}, is the component's",
            )
        return folder


class Backends(_Component):
    """What runs models: a C++ library, or Python that runs in the python backend."""

    table = "backends"
    provides = (BackendInfo,)
    info = BackendInfo
    library = "libtriton_{}.so"

    class Attributes(_Component.Attributes):
        requirements: list[str] = Field(
            default=[],
            description="Python packages that a python-based backend needs, such as `onnxruntime`; "
            "each of its models gets them.",
        )

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        folder, name = self._folder(ctx, MODEL), ctx.label.base
        requirements = checked(ctx, ctx.attributes.requirements)
        # With both files there, Triton takes the library.
        python_based = folder is not None and self.library.format(name) not in ctx.names(
            ctx.attributes.path
        )
        if folder is not None and requirements and not python_based:
            raise ctx.error(
                f"{ctx.attributes.path.text} is a C++ backend",
                key="requirements",
                expected=f"requirements only where {MODEL} is the backend",
            )
        yield BackendInfo(self.table, name, folder, python_based, requirements)


class RepoAgents(_Component):
    """What sees a model's folder before it is loaded."""

    table = "repoagents"
    provides = (RepoAgentInfo,)
    info = RepoAgentInfo
    library = "libtritonrepoagent_{}.so"


class Caches(_Component):
    """Where the server keeps responses; a server has one at most."""

    table = "caches"
    provides = (CacheInfo,)
    info = CacheInfo
    library = "libtritoncache_{}.so"

    class Attributes(_Component.Attributes):
        config: dict[str, str | int | bool] = Field(
            default={},
            description="What the server tells it (`--cache-config`): `size` for the local one, "
            f"such as `64MiB`, which is also its default of {DEFAULT_SIZE}; `host` and `port` for "
            "redis. Redis' user and password come from the environment of whoever starts the "
            f"server: {', '.join(SECRETS['redis'].values())}.",
        )

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        name, config = ctx.label.base, dict(ctx.attributes.config)
        if name == "local":
            config.setdefault("size", DEFAULT_SIZE)
        for key in config:
            if key in SECRETS.get(name, {}):
                variable = SECRETS[name][key]
                remedy = f"take it away, and set {variable} where the server is started"
                raise ctx.error("a secret in a manifest", key=f"config.{key}", remedy=remedy)
            if not key or not set(key).isdisjoint("=, "):
                found, expected = f"{key!r} is no name of a setting", "such as `size`"
                raise ctx.error(found, key="config", expected=expected)
        texts = sorted((key, self._text(ctx, key, value)) for key, value in config.items())
        yield CacheInfo(self.table, name, self._folder(ctx), False, (), tuple(texts))

    @staticmethod
    def _text(ctx: Context[Any], key: str, value: str | int | bool) -> str:
        """As the command line of a server writes it; sizes in bytes."""
        if isinstance(value, bool):
            return str(value).lower()
        if key != "size":
            return str(value)
        try:
            return str(int(TypeAdapter(ByteSize).validate_python(value)))
        except ValidationError:
            raise ctx.error(
                f"{value!r} is not a size", key="config.size", expected="such as `64MiB`"
            ) from None
