"""The MD5 of a model's files, which the checksum repository agent compares.

It is a step of its own, so that an edit of the config reads no weights again.
https://github.com/triton-inference-server/checksum_repository_agent
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from tritonbuild.rule import File, Folder, ToolContext, tool

CHUNK = 1 << 20


@tool("md5", version=1)
def make_md5(ctx: ToolContext) -> None:
    """Output `md5`: JSON, the digest's hash of each file that came in → its MD5."""
    known: dict[str, str] = {}
    for path, file in ctx.inputs.files():
        if isinstance(file, File) and file.digest.hash not in known:
            known[file.digest.hash] = _md5(ctx, path)
    ctx.write("md5", json.dumps(known, sort_keys=True).encode())


def entries(model: Folder, known: dict[str, str]) -> Iterator[tuple[str, str]]:
    """The agent's parameters for each file of a model's folder, except its config."""
    for path, file in model.files():
        if isinstance(file, File) and file.digest.hash in known:
            yield f"MD5:{path}", known[file.digest.hash]


def _md5(ctx: ToolContext, path: str) -> str:
    running = hashlib.md5(usedforsecurity=False)
    with ctx.open(path) as file:
        while not ctx.cancelled and (chunk := file.read(CHUNK)):
            running.update(chunk)
    return running.hexdigest()
