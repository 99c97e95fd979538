"""The `download` tool: one file, known by its digest. Where it comes from is a hint and not part
of the key; the `gather` tool makes a folder of several."""

from __future__ import annotations

from tritonbuild.rule import ActionError, Digest, File, Problem, ToolContext, tool

CONTENT = "content"
"""The tool's output."""


@tool("download", version=1)
def fetch_download(ctx: ToolContext) -> None:
    sha256, size = ctx.parameters["sha256"], ctx.hints.get("size", 0)
    if size and ctx.has(digest := Digest(sha256, size)):
        ctx.link(CONTENT, File(digest))
        return
    urls = ctx.hints.get("urls", ())
    if not urls:
        found = f"nothing says where the file with sha256 {sha256} is to be had"
        raise ActionError(Problem(found, remedy="download on the machine that builds"))
    from .bring import bring
    from .transfer import Expected

    file = ctx.scratch / CONTENT
    expected = Expected(sha256, size)
    bring(ctx.hints["name"], urls, file, expected, ctx.progress, lambda: ctx.cancelled)
    ctx.adopt(CONTENT, file)


@tool("gather-files", version=1)
def gather_files(ctx: ToolContext) -> None:
    files = ctx.inputs.get("files")
    assert files is not None
    ctx.link("tree", files)
