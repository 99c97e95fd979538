"""Bases from registries: the `image` resolver pins one by the digests of its parts; the
`fetch-blob` tool, whose key is a digest alone, brings a part here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tritonbuild.oci import (
    Absent,
    Descriptor,
    OciError,
    Passing,
    Platform,
    Unreachable,
    image_in,
)
from tritonbuild.oci.content import verified
from tritonbuild.oci.documents import LAYER, MANIFEST
from tritonbuild.rule import (
    ActionError,
    Context,
    Desk,
    Digest,
    EnvironmentFailure,
    File,
    LockedFile,
    Needs,
    Output,
    Problem,
    Request,
    ToolContext,
    UsageError,
    resolver,
    tool,
)

from ..base_info import BaseInfo
from .image import CONFIG_FILE, LAYERS, MANIFEST_FILE, base_image, check, wrong

KIND = "image"
BLOB = "blob"
_SCHEME = "oci://"
_PIECE = 1 << 20
_ABSENT = "is its name right, and its tag? Some registries tell nobody of what they may not pull"


def registry_base(ctx: Context[Any], name: str, key: str) -> BaseInfo:
    """Declares a base. Raises AnalysisError for a reference that is none; `key` is where it
    stands."""
    return base_of(ctx, pinned(ctx, name, key), name)


def pinned(ctx: Context[Any], name: str, key: str) -> tuple[LockedFile, ...]:
    """The parts of an image, as triton.lock pins them. Raises AnalysisError for a reference that
    is none; `key` is where it stands."""
    from tritonbuild.oci.registry import Reference

    try:
        reference = str(Reference.parse(name))
    except OciError as error:
        problem = error.problem
        raise ctx.error(
            problem.found, key=key, expected=problem.expected, remedy=problem.remedy
        ) from None
    return ctx.locked(Request(KIND, (reference,), platform=ctx.attributes.platform))


def base_of(ctx: Context[Any], files: tuple[LockedFile, ...], name: str) -> BaseInfo:
    """Declares a base of an image's parts."""
    manifest = by_name(ctx, files, name)[MANIFEST_FILE]
    blobs = {file.sha256: fetched(ctx, file) for file in files}
    layers = {file.sha256 for file in files if file.name.startswith(f"{LAYERS}/")}
    return BaseInfo(
        ctx.label,
        base_image(ctx, manifest.sha256, blobs, layers),
        origins=(manifest.url.removeprefix(_SCHEME),),
        locked=(manifest,),
    )


def by_name(ctx: Context[Any], files: tuple[LockedFile, ...], what: str) -> dict[str, LockedFile]:
    """The parts of an image. Raises AnalysisError where triton.lock lacks its documents."""
    parts = {file.name: file for file in files}
    for name in (MANIFEST_FILE, CONFIG_FILE):
        if name not in parts:
            found = f"triton.lock has no {name} of {what}"
            raise ctx.error(found, remedy="restore it from version control, or `tritonbuild lock`")
    return parts


def fetched(ctx: Context[Any], file: LockedFile) -> Output:
    """Declares the fetching of a part."""
    made = ctx.tool(
        fetch_blob,
        name=f"fetch {file.sha256[:12]}",
        parameters={"sha256": file.sha256},
        hints={
            "document": file.name == MANIFEST_FILE,
            "place": file.url.removeprefix(_SCHEME),
            "size": file.size,
        },
        outputs=[BLOB],
        needs=Needs(cpu=0.25),
    )
    return made[BLOB]


@resolver(KIND)
def resolve_image(request: Request, desk: Desk) -> list[LockedFile]:
    """Raises UsageError where a registry says no, EnvironmentFailure where it may not tomorrow."""
    from tritonbuild.oci.registry import Mirrored, Reference

    (text,) = request.request
    platform = Platform.of(request.platform)
    with told(text, _ABSENT), Mirrored.of(reference := Reference.parse(text)) as place:
        image = image_in(place, place.resolve(reference.name), platform)
        check(image, platform)
        for number, content in enumerate((image.manifest_bytes, image.config_bytes)):
            document = desk.scratch / str(number)
            document.write_bytes(content)
            desk.keep(document)
    repository = f"{_SCHEME}{reference.registry}/{reference.repository}"
    return parts_of(
        image.descriptor,
        image.manifest.config,
        [layer.descriptor for layer in image.layers],
        lambda part: f"{repository}@{part.digest}",
    )


def parts_of(
    manifest: Descriptor,
    config: Descriptor,
    layers: Sequence[Descriptor],
    url: Callable[[Descriptor], str],
) -> list[LockedFile]:
    """An image as triton.lock has it."""
    named = {MANIFEST_FILE: manifest, CONFIG_FILE: config}
    named |= {f"{LAYERS}/{number:03}": layer for number, layer in enumerate(layers)}
    return [
        LockedFile(name, url(part), part.content.hash, part.size) for name, part in named.items()
    ]


@contextmanager
def told(what: str, absent: str) -> Iterator[None]:
    """Raises what a place raises as an error of triton.lock; `absent` is the remedy where it has
    nothing of that name."""
    try:
        yield
    except Passing as error:
        raise EnvironmentFailure(wrong(error, what)) from None
    except OciError as error:
        problem = wrong(error, what)
        if isinstance(error, Absent) and not problem.expected:
            problem = replace(problem, expected="an image that is there", remedy=absent)
        raise UsageError(problem) from None


@tool("fetch-blob", version=1)
def fetch_blob(ctx: ToolContext) -> None:
    """Parameter `sha256`; output `blob`."""
    digest = Digest(ctx.parameters["sha256"], ctx.hints.get("size", 0))
    if ctx.has(digest):
        ctx.link(BLOB, File(digest))
        return
    if "place" not in ctx.hints:
        found = f"nothing says where sha256:{digest.hash} is to be had"
        raise ActionError(Problem(found, remedy="fetch it on the machine that builds"))
    try:
        _fetch(ctx, digest)
    except OciError as error:
        problem = wrong(error, f"{ctx.hints['place']} cannot be fetched")
        if isinstance(error, Absent):
            gone = "if it was removed there, take another image, or push this one again"
            problem = replace(problem, remedy=gone)
        raise failed(error, problem) from None


def failed(error: OciError, problem: Problem) -> ActionError | EnvironmentFailure:
    """Of a tool that wanted something of a place."""
    return (EnvironmentFailure if isinstance(error, Unreachable) else ActionError)(problem)


def _fetch(ctx: ToolContext, digest: Digest) -> None:
    from tritonbuild.oci.registry import Mirrored, Reference

    descriptor = Descriptor.of(MANIFEST if ctx.hints["document"] else LAYER, digest)
    file, done = ctx.scratch / BLOB, 0
    with (
        Mirrored.of(Reference.parse(ctx.hints["place"])) as place,
        verified(place, descriptor) as stream,
        file.open("wb") as target,
    ):
        while piece := stream.read(_PIECE):
            target.write(piece)
            done += len(piece)
            ctx.progress(done, digest.size)
            if ctx.cancelled:
                raise ActionError("stopped")
    ctx.adopt(BLOB, file)
