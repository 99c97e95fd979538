"""The `images` rule: a server image that carries its models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import ByteSize, TypeAdapter, ValidationError

from tritonbuild.oci import Platform
from tritonbuild.rule import DOCKERFILE, Artifact, Context, Files, ImageInfo, Rule, RunInfo, dotted

from ..base_info import IMAGE, BaseInfo
from ..composing.check import FACTS, NOT_OURS
from ..debian.triton import triton_base
from ..distribution import DistributionInfo, needed
from ..servable import ServableInfo, servable
from ..server.inputs import cache_of
from .accounts import accounts
from .attributes import ImageAttributes
from .check import check_alone, check_loaded, check_platform, check_tags
from .components import HOME
from .contents import Contents
from .describe import BASE_DIGEST, BASE_NAME
from .documents import ARTIFACT_TYPES, documents
from .image import make_image
from .links import links_of
from .models import REPOSITORY, external_weights
from .options import FLAGS, command_line, known_flags
from .packages import with_packages

READY = (
    "exec 3<>/dev/tcp/127.0.0.1/8000 && printf 'GET /v2/health/ready HTTP/1.0\\r\\n\\r\\n' >&3 && "
    'read -r line <&3 && [[ $line == *" 200 "* ]]'
)
"""For bash, which the python backend needs anyway: images need no curl."""


class Images(Rule):
    """An OCI image: a base, a Triton, its components, Python environments and models; or an index
    of such images by platform."""

    table = "images"
    provides = (Files, ImageInfo, ServableInfo)

    class Attributes(ImageAttributes):
        pass

    def analyze(self, ctx: Context[Any]) -> Iterator[object]:
        attributes = ctx.attributes
        annotations = {
            name: ctx.stamped(text, f"annotations.{dotted((name,))}")
            for name, text in attributes.annotations.items()
        }
        check_tags(ctx)
        if attributes.images:
            yield _index(ctx, annotations)
            return
        check_alone(ctx)
        if attributes.form != "server":
            yield _pack(ctx, annotations)
            return
        distribution = needed(ctx, attributes.distribution)
        check_platform(ctx, distribution)
        base = _base(ctx, distribution)
        if not Platform.of(base.platform).fits(Platform.of(attributes.platform)):
            found = f"the image is for {attributes.platform}, and its base for {base.platform}"
            raise ctx.error(found, key="platform", expected="one platform for both")
        base, packages = with_packages(ctx, base)
        held = servable(ctx, ctx.providers(attributes.models), "models")
        contents = Contents(ctx, base, distribution, held)
        images = distribution.images
        user, who = accounts(ctx, base.image, attributes.user, nvidias=images is not None)
        groups = [user, *packages, *contents.layers(links_of(ctx, base.image))]
        flags = _flags(ctx, held)
        external = external_weights(held.models)
        made = ctx.tool(
            make_image,
            parameters={
                "annotations": {**_of_base(base), **annotations},
                "config": _config(ctx, flags, _paths(contents)),
                "dropped": list(NOT_OURS) if images else [],
                "epoch": ctx.epoch,
                "external": sorted(external),
                "flags": flags,
                "needs": _needs(contents.python) if contents.runs_python else {},
                "platform": attributes.platform,
                "replaces": {
                    f"{number:03}": list(group.replaces)
                    for number, group in enumerate(groups)
                    if group.replaces
                },
                "size_budget": _budget(ctx),
            },
            inputs={
                "base": base.image,
                "user.json": who,
                **_release(ctx, distribution, flags),
                **{f"layers/{n:03}": group.layers for n, group in enumerate(groups)},
                **{f"external/{n:03}": external[path] for n, path in enumerate(sorted(external))},
            },
            outputs=[IMAGE],
        )
        attached = documents(contents, made[IMAGE], external)
        yield Files({name: attached[name] for name in attached})
        yield ImageInfo(
            made[IMAGE],
            tuple(attributes.tags),
            {ARTIFACT_TYPES[name]: document for name, document in attached.items()},
            (
                *base.origins,
                *([images.component_cache] if images and images.component_cache else []),
            ),
            tuple(group.remarks for group in groups if group.remarks is not None),
        )
        yield replace(held, image=made[IMAGE], catalogue=images.catalogue if images else None)

    def run(self, ctx: Context[Any]) -> RunInfo:
        from ..server.serve import PORTS
        from .serve import serve_image

        if ctx.attributes.images:
            raise ctx.error("an index of images", key="images", expected="one of them to run")
        if ctx.attributes.form != "server":
            expected = "`server`; or one of its models to run"
            raise ctx.error("an image without a server", key="form", expected=expected)
        external = external_weights(ctx.own(ServableInfo).models)
        parameters = {**PORTS, "docker": "auto", "external": sorted(external),
                      "platform": ctx.attributes.platform, "user": ""}  # fmt: skip
        inputs = {
            IMAGE: ctx.own(ImageInfo).layout,
            **{f"external{path}": artifact for path, artifact in external.items()},
        }
        return ctx.interactive(serve_image, parameters=parameters, inputs=inputs)

    def dockerfile(self, ctx: Context[Any]) -> RunInfo:
        from .dockerfile import write_dockerfile

        return ctx.interactive(write_dockerfile, outputs=[DOCKERFILE], **_composed(ctx))


def _composed(ctx: Context[Any]) -> dict[str, Any]:
    """Parameters and inputs of `write-dockerfile`."""
    images = needed(ctx, ctx.attributes.distribution).images
    said = ctx.attributes
    if images is None or images.base is None or not images.layers or said.models or said.base:
        raise ctx.error(
            "an image that is not cut out of `full` onto `min`, or carries models",
            expected="one that compose.py could make",
        )
    return {
        "parameters": {"images": dict(images.names), "name": ""},
        "inputs": {IMAGE: ctx.own(ImageInfo).layout, "base": images.base.image},
    }


def _base(ctx: Context[Any], distribution: DistributionInfo) -> BaseInfo:
    images = distribution.images
    if ctx.attributes.base:
        if images is not None and images.whole:
            found = f"a base, and the `image` of {distribution.name} is one"
            raise ctx.error(found, key="base", expected="no base; or `full` in the distribution")
        base: BaseInfo = ctx.provider(ctx.attributes.base)
        return base
    if images is None:
        return triton_base(ctx)
    if images.base is None:
        raise ctx.error(
            f"no base, and {distribution.name} has no `min`", key="base", expected="a label",
            remedy="say min = … in the distribution, or base = … here",
        )  # fmt: skip
    return images.base


def _of_base(base: BaseInfo) -> dict[str, str]:
    """Annotations that say what an image was built on, where a registry has that."""
    for origin in base.origins:
        name, at, digest = origin.partition("@")
        if at:
            return {BASE_NAME: name, BASE_DIGEST: digest}
    return {}


def _index(ctx: Context[Any], annotations: Mapping[str, str]) -> ImageInfo:
    from .multi import INDEX, make_index

    attributes = ctx.attributes
    said = attributes.model_fields_set - {"images", "tags", "annotations", "distribution"}
    if said:
        key = sorted(said)[0]
        raise ctx.error(f"`{key}` beside `images`", key=key, expected="tags and annotations only")
    images = ctx.providers(attributes.images)
    made = ctx.tool(
        make_index,
        parameters={"annotations": annotations},
        inputs={f"images/{n:03}": image.layout for n, image in enumerate(images)},
        outputs=[INDEX],
    )
    return ImageInfo(made[INDEX], tuple(attributes.tags))


def _pack(ctx: Context[Any], annotations: Mapping[str, str]) -> ImageInfo:
    from .pack import packed_models

    attributes = ctx.attributes
    used = {"form", "models", "platform", "tags", "annotations", "distribution"}
    if said := attributes.model_fields_set - used:
        key = sorted(said)[0]
        found = f"`{key}` of an image without a server"
        raise ctx.error(found, key=key, expected="models, platform, tags and annotations only")
    held = servable(ctx, ctx.providers(attributes.models), "models")
    if not held.models:
        raise ctx.error("no model", key="models", expected="labels or patterns of models")
    layout = packed_models(
        ctx, held.models, attributes.form, ctx.label.base, annotations, attributes.platform
    )
    return ImageInfo(layout, tuple(attributes.tags))


def _budget(ctx: Context[Any]) -> int:
    text = ctx.attributes.size_budget
    if text is None:
        return 0
    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError:
        found = f"{text!r} is not a size"
        raise ctx.error(found, key="size_budget", expected="such as `6GiB`") from None


def _needs(python: str) -> dict[str, str]:
    escaped = python.replace(".", r"\.") or r"3\.\d+"
    return {
        f"usr/bin/python{python or 3}": "the python backend runs it",
        rf"(.*/)?libpython{escaped}\.so\.1\.0": "the distribution's python backend is linked to it",
        "bin/bash": "the python backend starts its stub with it",
        "bin/sh": "the python backend starts its stub with it",
    }


def _flags(ctx: Context[Any], held: ServableInfo) -> list[str]:
    """Of the server; the response cache of its models is turned on."""
    options = dict(ctx.attributes.server)
    check_loaded(ctx, [model.name for model in held.models], options.get("load_model", []))
    cache = cache_of(ctx, held.models, ctx.attributes.caches)
    if cache is not None:
        options.setdefault("cache_config", {cache.name: dict(cache.config)})
    return command_line(ctx, options)


def _release(
    ctx: Context[Any], distribution: DistributionInfo, flags: Sequence[str]
) -> dict[str, Artifact]:
    """What a release says: of its flags, or of its images."""
    if distribution.images is not None:
        return {FACTS: distribution.images.facts}
    return {FLAGS: known_flags(ctx, distribution.on_host(ctx).tree)} if flags else {}


def _paths(contents: Contents) -> dict[str, str]:
    """Variables that are lists of folders, with those that stand first in them."""
    environment = contents.default_environment
    paths = [f"/{environment}/bin"] if environment else []
    if contents.distribution.images is not None:
        return {"PATH": ":".join(paths)} if paths else {}
    return {"PATH": ":".join([*paths, f"/{HOME}/bin"]), "LD_LIBRARY_PATH": f"/{HOME}/lib"}


def _config(ctx: Context[Any], flags: Sequence[str], first: Mapping[str, str]) -> dict[str, Any]:
    attributes = ctx.attributes
    command = ["tritonserver", f"--model-repository=/{REPOSITORY}", *flags]
    health = attributes.healthcheck
    test = ["CMD", "/bin/bash", "-c", READY] if health is True else health or None
    return {
        "command": command if attributes.command is None else attributes.command,
        "entrypoint": attributes.entrypoint,
        "env": attributes.env,
        "first": dict(first),
        "healthcheck": {"Test": test} if test else None,
        "labels": attributes.labels,
        "ports": attributes.ports,
        "stop_signal": attributes.stop_signal,
        "working_dir": attributes.working_dir,
    }
