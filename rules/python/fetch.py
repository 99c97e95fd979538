"""The `fetch` tool: one file from elsewhere, known by its digest. Where it really comes from, a
mirror, an index of one's own or pip's cache, is not part of the key."""

from __future__ import annotations

from typing import Any, Literal

from tritonbuild.rule import (
    Context,
    Digest,
    File,
    LockedFile,
    Needs,
    Output,
    ToolContext,
    tool,
)


def fetch(ctx: Context[Any], file: LockedFile, kind: Literal["pypi", "https"]) -> Output:
    """Declares the fetching of a locked file. `pypi`: a wheel, by pip; `https`: by its URL.
    Raises AnalysisError for a wheel that is not named as one."""
    if kind == "pypi":
        _check_name(ctx, file.name)
    made = ctx.tool(
        fetch_file,
        name=f"fetch {known(file)}",
        parameters={"kind": kind, "name": file.name, "sha256": file.sha256},
        hints={"url": file.url, "size": file.size},
        outputs=[file.name],
        needs=Needs(cpu=0.25),
    )
    return made[file.name]


def known(file: LockedFile) -> str:
    """Its name in actions: one that was made again has the old name and another digest."""
    return f"{file.name} {file.sha256[:8]}"


def _check_name(ctx: Context[Any], name: str) -> None:
    from packaging.utils import InvalidWheelFilename, parse_wheel_filename

    try:
        parse_wheel_filename(name)
    except InvalidWheelFilename as error:
        raise ctx.error(
            f"triton.lock is damaged: {error}",
            expected="the file name of a wheel",
            remedy="restore it from version control, or run `tritonbuild lock`",
        ) from None


@tool("fetch", version=2)
def fetch_file(ctx: ToolContext) -> None:
    name, sha256 = ctx.parameters["name"], ctx.parameters["sha256"]
    size = ctx.hints.get("size", 0)
    if size and ctx.has(digest := Digest(sha256, size)):
        ctx.link(name, File(digest))
        return
    if ctx.parameters["kind"] == "pypi":
        from .index import fetch_wheel

        file = fetch_wheel(ctx, name, sha256)
    else:
        from ..origins.bring import bring
        from ..origins.transfer import Expected
        from .debian import MIRROR, addresses

        file = ctx.scratch / name
        urls = addresses(ctx.hints["url"])
        mirror = f"name a Debian mirror that you reach: {MIRROR}=http://mirror.example/debian"
        bring(
            name, urls, file, Expected(sha256, size), ctx.progress, lambda: ctx.cancelled,
            mirror if len(urls) > 1 else "",
        )  # fmt: skip
    ctx.progress(file.stat().st_size, size)
    ctx.adopt(name, file)
