"""The `distributions` rule: where a Triton release comes from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tritonbuild.rule import (
    REPORT,
    Artifact,
    Context,
    Dep,
    Field,
    LockedFile,
    Request,
    Rule,
    RunInfo,
    SourceRef,
    did_you_mean,
)

from .composing.info import ImagesInfo
from .composing.slim import SLIM
from .model_config.releases import FILE as RELEASE_FILE
from .python.fetch import fetch
from .python.interpreter import DEFAULT, PythonInfo, bundled_python
from .python.requirements import checked
from .pytriton import COMPONENTS, PROJECT, RELEASES, lay_out_pytriton


@dataclass(frozen=True)
class Host:
    """A Triton that runs on this machine as it is."""

    tree: Artifact
    """A folder laid out like /opt/tritonserver."""
    python: PythonInfo


@dataclass(frozen=True)
class DistributionInfo:
    """Provider: a Triton, and the Python of its python backend."""

    name: str
    """The label, for messages."""
    release: str
    """Triton's version, such as `2.51.0`; empty when only the file tells it, if that."""
    release_file: Artifact | None
    """The file that tells it, as `model_config.releases.release_in` reads it."""
    python: str
    """The Python that its python backend is linked to, such as `3.11`; empty: not known."""
    components: Mapping[str, tuple[str, ...]] | None
    """`backends`, `repoagents`, `caches` → the names of those that it has, such as a release of
    NVIDIA's; None: only its images tell."""
    constraints: tuple[str, ...]
    """Requirements that every Python environment beside it gets."""
    host: Host | None = None
    images: ImagesInfo | None = None
    """Either the one or the other."""
    origin: LockedFile | None = None
    """The file that it came as."""

    def on_host(self, ctx: Context[Any]) -> Host:
        """Raises AnalysisError for one that only images hold."""
        if self.host is None:
            raise ctx.error(
                f"{self.name} lies in images, and its server runs in one",
                key="distribution",
                expected="a distribution that runs here (`pypi`, `path`)",
                remedy="build an image of it that carries the models, and run or verify that",
            )
        return self.host

    def component(self, kind: str, name: str, ctx: Context[Any]) -> None:
        """Raises AnalysisError when it does not have the component."""
        if self.components is None:
            return  # who cuts it out looks for it
        has = self.components[kind]
        if name not in has:
            from .formats.kinds import KINDS

            folder = f"declare it with the folder it lies in: [{kind}.{name}] path = …"
            near = did_you_mean(name, has)
            if kind == "backends" and name in {known.backend for known in KINDS}:
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


_IN_IMAGES = ("release", "min", "full", "image")
"""Attributes of which one at least says that it lies in images."""


class Distributions(Rule):
    """A Triton release: the one that PyPI carries, a folder, or images."""

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
        release: str | None = Field(
            default=None,
            description="A release of NVIDIA's, such as `25.08`: its images `min` and `full`.",
        )
        min: str | None = Field(
            default=None,
            description="The image that images stand on which name no base: a system with CUDA, "
            "and nothing of Triton.",
        )
        full: str | None = Field(
            default=None,
            description="The image that the server, backends, repository agents and caches are cut "
            "out of, and what they need beside them.",
        )
        image: str | None = Field(
            default=None,
            description="One image that is base and Triton at once, kept whole. With `full`, an "
            "image of the same release, components that it lacks come from there.",
        )
        gpu: bool = Field(default=True, description="Its images are those built for GPUs.")
        platform: str = Field(default="linux/amd64", description="Of its images.")
        slim: list[str] = Field(
            default=[],
            description="What is left out of what is cut out of `full`: "
            f"{', '.join(f'`{name}` ({lost})' for name, lost in SLIM.items())}.",
        )
        component_cache: str | None = Field(
            default=None,
            description="A repository of a registry, `registry.example/acme/triton-cuts`, that "
            "keeps what is cut out of `full`: a release is cut once for all who may pull from "
            "there and push to it.",
        )
        catalogue: SourceRef | None = Field(
            default=None,
            description="A file of the workspace that adds to what is known of components of "
            "`full` besides what their files say: libraries that are opened by name, packages, "
            "files, libraries of the machine that runs the image.",
        )
        python: str | None = Field(
            default=None,
            description="The Python that its python backend is linked to. If not said: 3.11; of "
            "NVIDIA's images what the release has.",
        )
        glibc: str | None = Field(
            default=None, description="The C library of its images, such as `2.39`, likewise."
        )
        requirements: list[str] | None = Field(
            default=None,
            description="What its python backend needs in every environment. If not said: `numpy`; "
            "`numpy<2` with the release of PyPI and with images, whose Triton may fail with "
            "numpy 2.",
        )

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        attributes = ctx.attributes
        in_images = [key for key in _IN_IMAGES if getattr(attributes, key) is not None]
        sources = [key for key in ("pypi", "path") if getattr(attributes, key) is not None]
        sources += in_images[:1]
        if len(sources) != 1:
            found = " and ".join(f"`{key}`" for key in sources) or "nothing that says where it is"
            expected = "`pypi`, `path`, `release` (or `min` and `full`), or `image`"
            raise ctx.error(found, key=sources[1] if sources else "", expected=expected)
        yield _from_images(ctx) if in_images else _on_host(ctx)

    def doctor(self, ctx: Context[Any]) -> RunInfo:
        from .composing.cut import Cut
        from .composing.examine import examine_images

        images = ctx.own(DistributionInfo).images
        if images is None or images.base is None or not images.layers:
            raise ctx.error(
                "no `full` on a base of its own to look at", expected="`release`, `min` and `full`"
            )
        examination = Cut(ctx, images, images.base, ()).examination()
        return ctx.interactive(examine_images, outputs=[REPORT], **examination)


def _from_images(ctx: Context[Any]) -> DistributionInfo:
    from .composing.distribution import images_of

    attributes = ctx.attributes
    images, release, release_file = images_of(ctx)
    wanted = ["numpy<2"] if attributes.requirements is None else attributes.requirements
    nvidias = attributes.release is not None and attributes.full is None
    return DistributionInfo(
        str(ctx.label),
        "",
        release_file,
        attributes.python or (release.python if release else ""),
        release.components if release is not None and nvidias else None,
        checked(ctx, wanted),
        images=images,
    )


def _on_host(ctx: Context[Any]) -> DistributionInfo:
    attributes = ctx.attributes
    for key in ("catalogue", "component_cache", "glibc", "platform", "slim"):
        if key in attributes.model_fields_set:
            raise ctx.error(f"`{key}` without images", key=key, expected="it with `full` only")
    python = bundled_python(ctx, attributes.python or DEFAULT)
    release, release_file, tree, components, requirements, origin = (
        _from_pypi(ctx, python) if attributes.path is None else _from_folder(ctx)
    )
    if attributes.requirements is not None:
        requirements = attributes.requirements
    return DistributionInfo(
        str(ctx.label),
        release,
        release_file,
        python.version,
        components,
        checked(ctx, requirements),
        host=Host(tree, python),
        origin=origin,
    )


_Parts = tuple[
    str, Artifact | None, Artifact, Mapping[str, tuple[str, ...]], list[str], LockedFile | None
]
"""Release, the file that tells it, tree, components, requirements, the file that it came as."""


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
    return RELEASES.get(str(version), ""), None, made["tree"], COMPONENTS, ["numpy<2"], wheel


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
    return "", file, tree, components, ["numpy"], None
