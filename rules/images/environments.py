"""Python environments of an image: virtual environments around the base's Python, in layers that
images with the same requirements share."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from tritonbuild.oci import Compression
from tritonbuild.rule import (
    Artifact,
    Context,
    Folder,
    LockedFile,
    Request,
    Symlink,
    ToolContext,
    tool,
)

from ..python.environment import unpacked
from .layers import LayerGroup, Placed, layers

FOLDER = "opt/tritonbuild/environments"
LARGE = 8 << 20
"""Bytes of a wheel from which it has layers of its own."""
MOST = 8
"""Such wheels in one environment."""
_ACTIVATE = """\
# Sourced by Triton's python backend.
PATH="/{path}/bin:$PATH"
export PATH
unset PYTHONHOME PYTHONPATH
"""


def path_of(python: str, requirements: Iterable[str]) -> str:
    """Where an environment lies: equal ones at the same place."""
    words = " ".join((python, *sorted(set(requirements))))
    return f"{FOLDER}/{hashlib.sha256(words.encode()).hexdigest()[:12]}"


def wheels_of(
    ctx: Context[Any], python: str, platform: str, requirements: Iterable[str]
) -> tuple[LockedFile, ...]:
    wanted = tuple(sorted(set(requirements)))
    return ctx.locked(Request("pypi", wanted, python, platform)) if wanted else ()


def environment_layers(
    ctx: Context[Any],
    python: str,
    platform: str,
    requirements: Iterable[str],
    links: Artifact,
    compression: Compression,
) -> Iterator[LayerGroup]:
    """Declares the layers of one. `python` and `platform` are those of the base, such as `3.11` and
    `x86_64-linux-gnu2.36`."""
    wanted = tuple(sorted(set(requirements)))
    path = path_of(python, wanted)
    site = f"{path}/lib/python{python}/site-packages"
    skeleton = ctx.tool(
        make_skeleton,
        name=f"environment {path.rpartition('/')[2]}",
        parameters={"path": path, "python": python},
        outputs=["tree"],
    )["tree"]
    files = wheels_of(ctx, python, platform, wanted)
    large = sorted(files, key=lambda file: -file.size)[:MOST]
    large = [file for file in large if file.size >= LARGE]
    small = [Placed(site, unpacked(ctx, file)) for file in files if file not in large]
    told = f"Python packages {' '.join(wanted)}" if wanted else "Python environment"
    replaces = (f"{site}/",)
    yield layers(
        ctx, told, [Placed(path, skeleton), *small], links,
        compression=compression, most=2, replaces=replaces,
    )  # fmt: skip
    for file in sorted(large, key=lambda file: file.name):
        yield layers(
            ctx, f"Python package {file.name} {file.sha256[:8]} in {path}",
            [Placed(site, unpacked(ctx, file))], links,
            compression=compression, most=2, replaces=replaces,
        )  # fmt: skip


@tool("image-environment", version=1)
def make_skeleton(ctx: ToolContext) -> None:
    """A virtual environment without packages (PEP 405), for one place."""
    path, python = ctx.parameters["path"], ctx.parameters["python"]
    config = f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python}\n"
    ctx.write("tree/pyvenv.cfg", config.encode())
    ctx.write("tree/bin/activate", _ACTIVATE.format(path=path).encode())
    for name in ("python", "python3", f"python{python}"):
        ctx.link(f"tree/bin/{name}", Symlink(f"/usr/bin/python{python}"))
    ctx.link(f"tree/lib/python{python}/site-packages", Folder())
