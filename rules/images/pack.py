"""Images without a server: a model repository for registries, declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tritonbuild.rule import Context, Output, Request

from ..base_info import IMAGE
from ..bases.scratch import make_scratch
from ..debian.base import ARCHITECTURES
from ..layouts import LAYERS
from ..python.fetch import fetch
from ..servable import ModelInfo
from .links import links_of
from .modelpack import MODELCAR, MODELPACK, pack_models
from .models import model_layers
from .shell import make_shell

SIDECAR = "modelcar-sidecar"
FORMS = (MODELPACK, MODELCAR, SIDECAR)
_SUITE, _SHELL = "bookworm", "busybox-static"


def packed_models(
    ctx: Context[Any],
    models: Iterable[ModelInfo],
    form: str,
    name: str,
    annotations: Mapping[str, str],
    platform: str = "linux/amd64",
) -> Output:
    """Declares a sparse layout of models in one of the forms."""
    scratch = ctx.tool(make_scratch, parameters={"platform": platform}, outputs=[IMAGE])[IMAGE]
    groups = list(model_layers(ctx, list(models), {}, links_of(ctx, scratch)))
    inputs = {f"layers/{n:03}": group.layers for n, group in enumerate(groups)}
    if form == SIDECAR:
        inputs["shell/000"] = _shell(ctx, platform)
    made = ctx.tool(
        pack_models,
        parameters={
            "annotations": annotations, "epoch": ctx.epoch, "name": name, "platform": platform,
        },
        inputs=inputs,
        outputs=[MODELPACK, MODELCAR],
    )  # fmt: skip
    return made[MODELPACK if form == MODELPACK else MODELCAR]


def _shell(ctx: Context[Any], platform: str) -> Output:
    """Raises AnalysisError for a platform that Debian is not for."""
    if platform not in ARCHITECTURES:
        expected = f"one of: {', '.join(ARCHITECTURES)}"
        raise ctx.error(f"no shell is known for {platform}", key="platform", expected=expected)
    architecture, _ = ARCHITECTURES[platform]
    files = ctx.locked(Request("debian", (_SHELL,), platform=f"{_SUITE}/{architecture}"))
    (deb,) = [file for file in files if file.name.startswith(f"{_SHELL}_")]
    made = ctx.tool(
        make_shell,
        parameters={"epoch": ctx.epoch},
        inputs={"deb": fetch(ctx, deb, "https")},
        outputs=[LAYERS],
    )
    return made[LAYERS]
