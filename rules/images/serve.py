"""What `tritonbuild run` starts of an image: a container in Docker; or, where there is none, the
image's server from its own root file system."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tritonbuild.oci import OciError
from tritonbuild.oci.user import user_of
from tritonbuild.rule import (
    ActionError,
    EnvironmentFailure,
    Folder,
    Problem,
    ToolContext,
    UsageError,
    tool,
)

from ..base_info import IMAGE
from ..layouts import image_of, view_of
from ..server.ports import Ports
from ..server.serve import addresses, attend, ports_of, show

if TYPE_CHECKING:
    from docker import DockerClient

    from tritonbuild.oci import Image, Root

INSIDE = (8000, 8001, 8002)
"""Ports of a server that nobody told others."""
SHM = 256 << 20
"""Bytes of shared memory in Docker: the python backend takes some for each instance."""


@tool("serve-image", version=1)
def serve_image(ctx: ToolContext) -> int:
    """Inputs `image` and what it leaves out, by its paths below `external`; parameters are ports,
    `docker` (`auto`, true, false), and `user`, instead of the image's. Until the build is
    cancelled, or the server ends."""
    from ..server.launch import FromImage

    folder = ctx.inputs.get(IMAGE)
    assert isinstance(folder, Folder)
    sparse, image = image_of(folder, ctx, ctx.parameters["platform"])
    ports, user = ports_of(ctx), str(ctx.parameters["user"])
    if user:
        _check_user(user, view_of(sparse, image).root)
    mounts = {path: ctx.path(f"external{path}") for path in ctx.parameters["external"]}
    client = _daemon(ctx)
    if client is None:
        return attend(ctx, FromImage(image, {}, user, mounts), ports)
    try:
        return _in_docker(ctx, image, client, ports, user, mounts)
    except OciError as error:
        raise ActionError(error.problem) from None


def _check_user(user: str, root: Root) -> None:
    """Raises UsageError for one that the image does not know."""
    try:
        user_of(user, root.text("etc/passwd") or "", root.text("etc/group") or "")
    except OciError as error:
        raise UsageError(error.problem) from None


def _daemon(ctx: ToolContext) -> DockerClient | None:
    """Raises UsageError, and EnvironmentFailure where there is none though one is wanted."""
    from tritonbuild.oci.daemon import connect

    wanted = ctx.parameters["docker"]
    if wanted not in ("auto", True, False):
        raise UsageError(Problem(f"docker is {wanted!r}", "auto, true or false"))
    if wanted is False:
        return None
    try:
        return connect()
    except OciError as error:
        if wanted is True:
            raise EnvironmentFailure(error.problem) from None
        show(f"no Docker daemon ({error.problem.found}): from its own root\n", ctx)
        return None


def _in_docker(
    ctx: ToolContext,
    image: Image,
    client: DockerClient,
    ports: Ports,
    user: str,
    mounts: Mapping[str, Path],
) -> int:
    from tritonbuild.oci.container import Terms, run_in_docker
    from tritonbuild.oci.daemon import load

    loaded = load(image, (), client, cancelled=lambda: ctx.cancelled)
    published = dict(zip(INSIDE, ports, strict=True))

    def started(real: Mapping[int, int]) -> None:
        show(addresses(Ports(*(real[inside] for inside in INSIDE))), ctx)

    return run_in_docker(
        client,
        loaded.identity,
        Terms(ports=published, shm_size=SHM, user=user, mounts=mounts),
        lambda said: show(said.decode(errors="replace"), ctx),
        started,
        lambda: ctx.cancelled,
    )
