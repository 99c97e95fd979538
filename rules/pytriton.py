"""The `pytriton` tool: the Triton in PyPI's nvidia-pytriton, laid out like /opt/tritonserver."""

from __future__ import annotations

import re

from tritonbuild.rule import ActionError, Folder, Problem, ToolContext, tool

from .python.wheel import extract

PROJECT = "nvidia-pytriton"
RELEASES = {"0.4.2": "2.39.0", "0.5.5": "2.44.0", "0.7.0": "2.51.0"}
"""Wheel → Triton, of those that were looked at."""
COMPONENTS = {"backends": ("python",), "repoagents": (), "caches": ("local",)}
"""What each of them carries."""

_SERVER, _STUB = "bin/tritonserver", "backends/python/triton_python_backend_stub"


@tool("pytriton", version=1)
def lay_out_pytriton(ctx: ToolContext) -> None:
    """Input `wheel`, parameter `python` (whose stub to take), output `tree`. The wheel's Python
    package, the other stubs and their libpython stay behind. Raises ActionError."""
    version = ctx.parameters["python"]
    moves = (
        (r"pytriton/tritonserver/((?:bin|lib|backends|repoagents|caches)/.+)", r"\1"),
        (rf"pytriton/tritonserver/python_backend_stubs/{re.escape(version)}/([^/]+)", _STUB),
        (r"nvidia_pytriton\.libs/(?!libpython)([^/]+)", r"lib/\1"),
        (r"[^/]+\.dist-info/(?:licenses/)?(LICENSE[^/]*)", r"\1"),
    )

    def place(path: str) -> str | None:
        matches = ((re.fullmatch(pattern, path), target) for pattern, target in moves)
        return next((match.expand(target) for match, target in matches if match), None)

    tree = ctx.scratch / "tree"
    tree.mkdir()
    with ctx.open("wheel") as wheel:
        # The wheel was made without x bits.
        extract(wheel, place, tree, executable=lambda path: path in (_SERVER, _STUB))
    missing = [path for path in (_SERVER, _STUB) if not (tree / path).exists()]
    if missing:
        raise ActionError(
            Problem(
                f"the wheel gives no {' and no '.join(missing)} for Python {version}",
                "a wheel that holds a Triton",
                f"versions that are known to: {', '.join(RELEASES)}",
            )
        )
    ctx.gather("tree", tree)
    for kind in COMPONENTS:
        ctx.link(f"tree/{kind}", Folder())
