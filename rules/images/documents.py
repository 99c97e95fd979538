"""The documents that are attached to an image, declared: what analysis knows of what is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tritonbuild.rule import Artifact, Output, Source

from .components import HOME
from .contents import Contents
from .describe import CYCLONEDX, PROVENANCE, SPDX, describe
from .models import REPOSITORY

if TYPE_CHECKING:
    from .facts import Component
    from .provenance import Build

FILES = {"spdx": SPDX, "cyclonedx": CYCLONEDX, "provenance": PROVENANCE}
ARTIFACT_TYPES = {
    SPDX: "application/spdx+json",
    CYCLONEDX: "application/vnd.cyclonedx+json",
    PROVENANCE: "application/vnd.in-toto+json",
}
"""By file."""
_SAID = {"annotations", "compression", "labels", "packages", "platform", "requirements", "user"}
"""Attributes that provenance tells; what an environment variable says may be secret."""


def documents(
    contents: Contents, image: Output, external: Mapping[str, Artifact]
) -> dict[str, Output]:
    """Those that the target wants: file → what makes it."""
    ctx = contents.ctx
    if not ctx.attributes.attach:
        return {}
    from .facts import Facts, Model

    wanted = [FILES[name] for name in dict.fromkeys(ctx.attributes.attach)]
    facts = Facts(
        name=_name(contents),
        platform=ctx.attributes.platform,
        build=_build(contents),
        components=list(_components(contents)),
        models=[
            Model(name=model.name, path=f"{REPOSITORY}/{model.name}", sources=dict(model.sources))
            for model in contents.held.models
        ],
        wheels=contents.wheels,
    )
    folders = {
        f"external/{path.removeprefix(f'/{REPOSITORY}/')}": folder
        for path, folder in external.items()
    }
    made = ctx.tool(
        describe,
        parameters=facts.model_dump(mode="json"),
        inputs={"image": image, **folders},
        outputs=wanted,
    )
    return {name: made[name] for name in wanted}


def _name(contents: Contents) -> str:
    tags = contents.ctx.attributes.tags
    last = tags[0].rpartition("/")[2].partition(":")[0].partition("@")[0] if tags else ""
    return last or contents.ctx.label.base


def _build(contents: Contents) -> Build:
    from .provenance import Build

    ctx = contents.ctx
    origin = contents.distribution.origin
    said = ctx.attributes.model_dump(mode="json", include=_SAID, exclude_defaults=True)
    locked = [*contents.base.locked, *contents.wheels, *([origin] if origin else [])]
    return Build(
        label=str(ctx.label), tags=ctx.attributes.tags, attributes=said, locked=sorted(set(locked))
    )


def _components(contents: Contents) -> Iterator[Component]:
    from .facts import Component

    distribution = contents.distribution
    origin = distribution.origin
    its: dict[str, Any] = {"release": distribution.release}
    if origin is not None:
        its |= {"source": origin.url, "sha256": origin.sha256}
    yield Component(kind="core", name="tritonserver", path=HOME, **its)
    for component in contents.components:
        folder = component.folder
        own = {"source": folder.path} if isinstance(folder, Source) else {}
        yield Component(
            kind=component.kind.removesuffix("s"),  # type: ignore[arg-type]  # tables' singulars
            name=component.name,
            path=f"{HOME}/{component.kind}/{component.name}",
            **(own if component.is_own else its),
        )
