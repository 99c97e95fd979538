"""The `write-dockerfile` tool: how Docker makes an image that is cut out of others, for those who
must build with it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from tritonbuild.oci import Image, Listed
from tritonbuild.oci.documents import Execution
from tritonbuild.rule import DOCKERFILE, Folder, ToolContext, tool

from ..composing.check import FULL, MIN
from ..composing.needs import REPLACES
from ..composing.packages import STATUS
from ..layouts import image_of
from .accounts import FILES as ACCOUNTS
from .accounts import ID, TRITON

_PATHS = "paths"
_TEXT = """\
# Made by tritonbuild. Build it with BuildKit, in the folder that it lies in:
#   DOCKER_BUILDKIT=1 docker build -f {name} .
FROM {full} AS full
FROM {min}
{settings}
COPY {name}.d/ /.composed/
RUN --mount=type=bind,from=full,target=/.full \\
    tar -C /.full --no-recursion -cf - -T /.composed/{paths} | tar -C / -xpf - \\
    && mkdir -p /{dpkg} && cp /.composed/status /{status} && rm -rf /.composed && ldconfig \\
    && (userdel tensorrt-server; userdel ubuntu; true) > /dev/null 2>&1 \\
    && (id -u {user} > /dev/null 2>&1 || useradd -u {id} {user})
"""


@tool("write-dockerfile", version=1)
def write_dockerfile(ctx: ToolContext) -> None:
    """Input `image`, a sparse layout, and `base`, that of what it stands on; parameters `images`
    (`min`, `full` → reference) and `name`. Output: a JSON object, file → text."""
    folder, below = ctx.inputs.get("image"), ctx.inputs.get("base")
    assert isinstance(folder, Folder)
    assert isinstance(below, Folder)
    sparse, image = image_of(folder, ctx)
    _, base = image_of(below, ctx)
    added = image.layers[len(base.layers) :]
    listings = [sparse.listing(layer.diff_id) for layer in added]
    entries = [entry for listing in listings for entry in listing.entries]
    status = next((ls.texts[STATUS] for ls in listings if STATUS in ls.texts), None)
    name, images = ctx.parameters["name"], ctx.parameters["images"]
    text = _TEXT.format(
        name=name, full=images[FULL], min=images[MIN], paths=_PATHS, status=STATUS,
        dpkg=STATUS.rpartition("/")[0], user=TRITON, id=ID,
        settings="\n".join(_settings(image, base)),
    )  # fmt: skip
    if status is None:
        text = text.replace(f" && cp /.composed/status /{STATUS}", "")
    files = {name: text, f"{name}.d/{_PATHS}": "".join(sorted(_copied(entries)))}
    if status is not None:
        files[f"{name}.d/status"] = status
    ctx.write(DOCKERFILE, json.dumps(files).encode())


def _copied(entries: list[Listed]) -> Iterator[str]:
    """What is as it is in `full`."""
    for entry in entries:
        made = entry.path in (*REPLACES, *ACCOUNTS)
        if entry.kind not in ("whiteout", "opaque") and not made:
            yield f"./{entry.path}\n"


def _settings(image: Image, base: Image) -> Iterator[str]:
    """What the image says of itself, and the base does not."""
    ours, its = image.config.config or Execution(), base.config.config or Execution()
    yield from _said("ENV", _variables(ours), _variables(its))
    yield from _said("LABEL", ours.labels or {}, its.labels or {})
    if ours.working_dir:
        yield f"WORKDIR {ours.working_dir}"


def _said(word: str, ours: Mapping[str, str], its: Mapping[str, str]) -> Iterator[str]:
    for key, value in ours.items():
        if its.get(key) != value:
            yield f"{word} {key}={json.dumps(value)}".replace("$", "\\$")


def _variables(execution: Execution) -> dict[str, str]:
    return dict(item.split("=", 1) for item in execution.env or [] if "=" in item)
