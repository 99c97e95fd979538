"""The `distributions` rule: where a Triton release comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tritonbuild.rule import (
    Artifact,
    Context,
    Dep,
    Field,
    Request,
    Rule,
    SourceRef,
    did_you_mean,
)

from .formats.kinds import KINDS
from .model_config.releases import FILE as RELEASE_FILE
from .python.fetch import fetch
from .python.interpreter import PythonInfo, bundled_python
from .python.requirements import checked
from .pytriton import COMPONENTS, PROJECT, RELEASES, lay_out_pytriton

TRITONS = frozenset(kind.backend for kind in KINDS)
"""Backends that are Triton's own."""


@dataclass(frozen=True)
class DistributionInfo:
    """Provider: a Triton, and the Python of its python backend."""

    name: str
    """The label, for messages."""
    release: str
    """Triton's version, such as `2.51.0`; empty when only the file tells it, if that."""
    release_file: Artifact | None
    """The file that tells it, as `model_config.releases.release_in` reads it."""
    tree: Artifact
    """A folder laid out like /opt/tritonserver."""
    python: PythonInfo
    components: Mapping[str, tuple[str, ...]]
    """`backends`, `repoagents`, `caches` → the names of those that it has."""
    constraints: tuple[str, ...]
    """Requirements that every Python environment beside it gets."""

    def component(self, kind: str, name: str, ctx: Context[Any]) -> None:
        """Raises AnalysisError when it does not have the component."""
        has = self.components[kind]
        if name not in has:
            folder = f"declare it with the folder it lies in: [{kind}.{name}] path = …"
            near = did_you_mean(name, has)
            if kind == "backends" and name in TRITONS:
                near = ""
                folder = f"name a distribution that has it, as NVIDIA's images do, or {folder}"
            raise ctx.error(
                f"{self.name} has no {name!r} among its {kind}",
                expected=f"one of: {', '.join(has)}" if has else f"nothing: it has no {kind}",
                remedy=f"{near} If it is your own, {folder}" if near.startswith("did") else folder,
            )


def needed(ctx: Context[Any], dep: Dep[DistributionInfo] | None) -> DistributionInfo:
    """The distribution that a target serves from. Raises AnalysisError when none is named."""
    if dep is None:
        raise ctx.error(
            "no distribution to serve from",
            key="distribution",
            expected="a label",
            remedy='say distribution = "//:NAME" here or in [workspace]',
        )
    return ctx.provider(dep)


class Distributions(Rule):
    """A Triton release: the one that PyPI carries, or a folder."""

    table = "distributions"
    provides = (DistributionInfo,)

    class Attributes(Rule.Attributes):
        pypi: str | None = Field(
            default=None,
            description="The release that PyPI carries, as a requirement: `nvidia-pytriton==0.7.0`."
            " It has the server, the python backend, ensembles and the local cache.",
        )
        path: SourceRef | None = Field(
            default=None,
            description="A folder laid out like /opt/tritonserver. Its file TRITON_VERSION, where "
            "it has one, tells the release.",
        )
        python: str = Field(
            default="3.11", description="The Python that its python backend is linked to."
        )
        requirements: list[str] | None = Field(
            default=None,
            description="What its python backend needs in every environment. If not said: "
            "`numpy<2` with the release of PyPI, whose Triton fails with numpy 2; else `numpy`.",
        )

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        attributes = ctx.attributes
        if (attributes.pypi is None) == (attributes.path is None):
            found = "neither `pypi` nor `path`" if attributes.path is None else "`pypi` and `path`"
            raise ctx.error(found, expected="exactly one of the two")
        python = bundled_python(ctx, attributes.python)
        release, release_file, tree, components, requirements = (
            _from_pypi(ctx, python) if attributes.path is None else _from_folder(ctx)
        )
        if attributes.requirements is not None:
            requirements = attributes.requirements
        yield DistributionInfo(
            str(ctx.label),
            release,
            release_file,
            tree,
            python,
            components,
            checked(ctx, requirements),
        )


_Parts = tuple[str, Artifact | None, Artifact, Mapping[str, tuple[str, ...]], list[str]]
"""Release, the file that tells it, tree, components, requirements."""


def _from_pypi(ctx: Context[Any], python: PythonInfo) -> _Parts:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name, parse_wheel_filename

    text = ctx.attributes.pypi
    expected = f"{PROJECT}==VERSION; known are {', '.join(RELEASES)}"
    try:
        requirement = Requirement(text)
    except InvalidRequirement:
        raise ctx.error(f"{text!r} is not a requirement", key="pypi", expected=expected) from None
    if canonicalize_name(requirement.name) != PROJECT or requirement.url or requirement.extras:
        found = f"{text!r} is not known to carry a Triton"
        raise ctx.error(found, key="pypi", expected=expected)
    request = Request("pypi-nodeps", (str(requirement),), python.version, python.platform)
    wheels = ctx.locked(request)
    if len(wheels) != 1:
        found = f"triton.lock has {len(wheels) or 'no'} files for {request}"
        remedy = "take a marker (`; …`) away, if it has one, or run `tritonbuild lock`"
        raise ctx.error(found, key="pypi", expected="one wheel", remedy=remedy)
    (wheel,) = wheels
    fetched = fetch(ctx, wheel, "pypi")
    _, version, _, _ = parse_wheel_filename(wheel.name)
    made = ctx.tool(
        lay_out_pytriton,
        parameters={"python": python.version},
        inputs={"wheel": fetched},
        outputs=["tree"],
    )
    return RELEASES.get(str(version), ""), None, made["tree"], COMPONENTS, ["numpy<2"]


def _from_folder(ctx: Context[Any]) -> _Parts:
    path: SourceRef = ctx.attributes.path
    if path.is_label:
        found = f"{path.text!r} is a label"
        raise ctx.error(found, key="path", expected="a folder of the workspace")
    tree, names = ctx.source(path), ctx.names(path)
    if "bin/" not in names or "backends/" not in names:
        raise ctx.error(
            f"{path.text} holds {', '.join(names[:8]) or 'nothing'}",
            key="path",
            expected="bin/tritonserver, lib/ and backends/, as in /opt/tritonserver",
        )
    components = {
        kind: tuple(
            name.rstrip("/")
            for name in (
                ctx.names(SourceRef(f"{path.text.rstrip('/')}/{kind}"))
                if f"{kind}/" in names
                else ()
            )
            if name.endswith("/")
        )
        for kind in COMPONENTS
    }
    release = f"{path.text.rstrip('/')}/{RELEASE_FILE}"
    file = ctx.source(SourceRef(release)) if RELEASE_FILE in names else None
    return "", file, tree, components, ["numpy"]
