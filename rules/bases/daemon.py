"""Bases from the Docker daemon. triton.lock pins them by what every daemon can hand out again: the
config, and its layers without compression, by their diff ids."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from tritonbuild.oci import (
    Absent,
    Descriptor,
    Image,
    Invalid,
    Layer,
    Manifest,
    OciError,
    Platform,
)
from tritonbuild.oci.documents import CONFIG, LAYER, MANIFEST
from tritonbuild.rule import (
    ActionError,
    Context,
    Desk,
    Digest,
    File,
    LockedFile,
    Needs,
    Problem,
    Request,
    ToolContext,
    resolver,
    tool,
)

from ..base_info import BaseInfo
from .image import LAYERS, MANIFEST_FILE, base_image, check, wrong
from .registry import by_name, failed, parts_of, told

KIND = "daemon"
_SCHEME = "docker-daemon:"
_BLOBS = "blobs"
_PIECE = 1 << 20
RELOCK = "`tritonbuild lock` takes the image as it is now"


def daemon_base(ctx: Context[Any]) -> BaseInfo:
    """Declares a base."""
    name, platform = ctx.attributes.daemon, ctx.attributes.platform
    files = ctx.locked(Request(KIND, (name,), platform=platform))
    manifest = by_name(ctx, files, name)[MANIFEST_FILE]
    sizes = {file.sha256: file.size for file in files}
    fetched = ctx.tool(
        fetch_from_daemon,
        name=f"fetch from daemon {manifest.sha256[:12]}",
        parameters={"blobs": sorted(sizes)},
        hints={
            "identity": manifest.url.removeprefix(_SCHEME),
            "name": name,
            "platform": platform,
            "sizes": sizes,
        },
        outputs=[f"{_BLOBS}/{hash}" for hash in sorted(sizes)],
        needs=Needs(cpu=0.25),
    )
    blobs = {hash: fetched[f"{_BLOBS}/{hash}"] for hash in sizes}
    layers = {file.sha256 for file in files if file.name.startswith(f"{LAYERS}/")}
    return BaseInfo(ctx.label, base_image(ctx, manifest.sha256, blobs, layers))


@resolver(KIND)
def resolve_daemon(request: Request, desk: Desk) -> list[LockedFile]:
    """Raises UsageError where the daemon lacks the image, EnvironmentFailure where there is no
    daemon."""
    from tritonbuild.oci import daemon

    (name,) = request.request
    platform = Platform.of(request.platform)
    with told(name, f"`docker pull {name}`, or build it there"):
        client = daemon.connect()
        identity = daemon.identify(client, name)
        image = daemon.save(client, identity, platform, desk.scratch)
        check(image, platform)
        manifest, plain = _take_apart(image, desk.scratch)
    parts = parts_of(manifest, plain.config, plain.layers, lambda part: f"{_SCHEME}{identity}")
    for sha256 in {part.sha256 for part in parts}:
        desk.keep(desk.scratch / sha256)
    return parts


def _take_apart(image: Image, folder: Path) -> tuple[Descriptor, Manifest]:
    """Writes its parts as files named by their digests; the manifest is one of our own."""

    def written(media_type: str, content: bytes) -> Descriptor:
        descriptor = Descriptor.of(media_type, Digest.of_bytes(content))
        (folder / descriptor.content.hash).write_bytes(content)
        return descriptor

    sizes = {layer.diff_id: _write_tar(layer, folder) for layer in image.layers}
    layers = [
        Descriptor(media_type=LAYER, digest=layer.diff_id, size=sizes[layer.diff_id])
        for layer in image.layers
    ]
    manifest = Manifest(config=written(CONFIG, image.config_bytes), layers=layers)
    return written(MANIFEST, manifest.encoded), manifest


def _write_tar(layer: Layer, folder: Path) -> int:
    """Its size. Raises Invalid for one that is not what the config says."""
    file = folder / layer.diff_id.removeprefix("sha256:")
    with layer.uncompressed() as tar, file.open("wb") as target:
        shutil.copyfileobj(tar, target, _PIECE)
    got = Digest.of_file(file)
    if f"sha256:{got.hash}" != layer.diff_id:
        raise Invalid(
            f"the daemon sent a layer with the diff id sha256:{got.hash}", expected=layer.diff_id
        )
    return got.size


@tool("fetch-from-daemon", version=1)
def fetch_from_daemon(ctx: ToolContext) -> None:
    """Parameter `blobs`: SHA-256s of an image's parts; outputs `blobs/HEX`."""
    sizes = ctx.hints.get("sizes", {})
    wanted = {hash: Digest(hash, sizes.get(hash, 0)) for hash in ctx.parameters["blobs"]}
    if not all(map(ctx.has, wanted.values())):
        _save(ctx)
        return
    for hash, digest in wanted.items():
        ctx.link(f"{_BLOBS}/{hash}", File(digest))


def _save(ctx: ToolContext) -> None:
    from tritonbuild.oci import daemon

    name = ctx.hints.get("name")
    if name is None:
        found = "nothing says which image of the Docker daemon is meant"
        raise ActionError(Problem(found, remedy="build on the machine that has it"))
    identity, platform = ctx.hints["identity"], Platform.of(ctx.hints["platform"])
    try:
        image = daemon.save(
            daemon.connect(), identity, platform, ctx.scratch, ctx.progress, lambda: ctx.cancelled
        )
        _take_apart(image, ctx.scratch)
    except OciError as error:
        problem = wrong(error, name)
        absent = f"load {identity} into it again; {RELOCK}"
        remedy = absent if isinstance(error, Absent) else problem.remedy
        raise failed(error, replace(problem, remedy=remedy)) from None
    for hash in ctx.parameters["blobs"]:
        file = ctx.scratch / hash
        if not file.exists():
            found = f"{name}: what the daemon sent of {identity} has no part sha256:{hash}"
            raise ActionError(Problem(found, "the image that triton.lock pins", RELOCK))
        ctx.adopt(f"{_BLOBS}/{hash}", file)
