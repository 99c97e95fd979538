"""The `check-images` tool: whether components of one image can stand on another, by what the
images say of themselves, before any layer is read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from pydantic import BaseModel, ConfigDict

from tritonbuild.oci import ImageConfig, OciError
from tritonbuild.oci.documents import Execution
from tritonbuild.rule import ActionError, Problem, ToolContext, tool

from ..model_config.releases import FILE as RELEASE_FILE

MIN, FULL = "min", "full"
FACTS = "facts.json"
_SERVER, _RELEASE, _CUDA, _GPU = (
    "TRITON_SERVER_VERSION", "NVIDIA_TRITON_SERVER_VERSION", "CUDA_VERSION",
    "TRITON_SERVER_GPU_ENABLED",
)  # fmt: skip
NOT_OURS = ("NVIDIA_BUILD_ID", "com.nvidia.build.id", "com.nvidia.build.ref")
"""What NVIDIA says of its own builds, which an image that it did not build must not repeat."""
_SYSTEM = ("org.opencontainers.image.ref.name", "org.opencontainers.image.version")
"""Labels of Ubuntu's images, and of those that stand on them."""
_BUILDING = ("DEBIAN_FRONTEND", "PIP_BREAK_SYSTEM_PACKAGES")
"""Variables that matter while an image is built, and to nobody who runs it."""


class Facts(BaseModel):
    """facts.json: what `full` says of itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: dict[str, str]
    """Those of its variables that an image cut out of it has too."""
    labels: dict[str, str]
    working_dir: str
    gpu: bool
    """It was built for GPUs."""


@tool("check-images", version=1)
def check_images(ctx: ToolContext) -> None:
    """Inputs `min` (may be missing) and `full`, configs of images; parameters `gpu` (whether a
    server for GPUs is wanted) and `names` (`min`, `full` → reference). Outputs facts.json and
    TRITON_VERSION. Raises ActionError with all that is wrong."""
    names = ctx.parameters["names"]
    try:
        full = ImageConfig.parse(ctx.read(FULL), names[FULL])
        below = ImageConfig.parse(ctx.read(MIN), names[MIN]) if MIN in ctx.inputs.entries else None
    except OciError as error:
        raise ActionError(error.problem) from None
    said = _variables(full)
    problems = [*_of_full(said, names[FULL], gpu=ctx.parameters["gpu"])]
    if below is not None:
        problems += _of_both(full, below, names, gpu=ctx.parameters["gpu"])
    if problems:
        raise ActionError(*problems)
    execution = full.config or Execution()
    facts = Facts(
        env={n: v for n, v in said.items() if n not in (*NOT_OURS, *_BUILDING)},
        labels={n: v for n, v in (execution.labels or {}).items() if n not in NOT_OURS},
        working_dir=execution.working_dir or "",
        gpu=_has_gpu(said),
    )
    ctx.write(FACTS, facts.model_dump_json().encode())
    ctx.write(RELEASE_FILE, f"{said[_SERVER]}\n".encode())


def _variables(config: ImageConfig) -> dict[str, str]:
    execution = config.config or Execution()
    return dict(item.split("=", 1) for item in execution.env or [] if "=" in item)


def _has_gpu(said: Mapping[str, str]) -> bool:
    """As compose.py takes it: the variable, or where there is none, whether there is CUDA."""
    return said[_GPU] == "1" if _GPU in said else _CUDA in said


def _of_full(said: Mapping[str, str], name: str, *, gpu: bool) -> Iterator[Problem]:
    for variable, shape in ((_SERVER, r"\d+\.\d+\.\d+.*"), (_RELEASE, r"\d\d\.\d\d.*")):
        if not re.fullmatch(shape, said.get(variable, "")):
            yield Problem(
                f"{name} says {variable}={said[variable]}" if variable in said
                else f"{name} has no variable {variable}",
                "an image with a Triton, as NVIDIA's build.py makes it",
                "is it `full`? The smaller one is `min`",
                key=FULL,
            )  # fmt: skip
    if _has_gpu(said) != gpu:
        yield Problem(
            f"{name} is built {'for GPUs' if not gpu else 'for CPUs only'}",
            f"one built {'for GPUs' if gpu else 'for CPUs only'}",
            f"take another image, or say what it is for: {_said(not gpu)}",
            key=FULL,
        )


def _said(gpu: bool) -> str:
    word = "true" if gpu else "false"
    return f"`gpu = {word}`, or `--enable-gpu {word}`"


def _of_both(
    full: ImageConfig, below: ImageConfig, names: Mapping[str, str], *, gpu: bool
) -> Iterator[Problem]:
    if not below.platform.fits(full.platform):
        yield Problem(
            f"{names[MIN]} is for {below.platform}, and {names[FULL]} for {full.platform}",
            "images for one platform", key=MIN,
        )  # fmt: skip
        return
    mine, its = _variables(full), _variables(below)
    if gpu and _CUDA not in its:
        yield Problem(
            f"{names[MIN]} has no CUDA",
            f"an image with {_CUDA}, as NVIDIA's `min` images have",
            "take the `-py3-min` of the release; or a `full` for CPUs, and say so: " + _said(False),
            key=MIN,
        )
    stands_on_it = full.rootfs.diff_ids[: len(below.rootfs.diff_ids)] == below.rootfs.diff_ids
    if stands_on_it:
        return
    mine |= _system(full)
    its |= _system(below)
    for name in (_RELEASE, _SERVER, _CUDA, *_SYSTEM):
        if name in mine and name in its and mine[name] != its[name]:
            yield Problem(
                f"{names[MIN]} has {name}={its[name]}, and {names[FULL]} {name}={mine[name]}",
                "images of one release", "take both of the same release", key=MIN,
            )  # fmt: skip


def _system(config: ImageConfig) -> dict[str, str]:
    """Which system it is, where labels say it."""
    labels = (config.config or Execution()).labels or {}
    return {name: labels[name] for name in _SYSTEM if name in labels}
