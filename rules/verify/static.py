"""The `verify-static` tool: whether an image has all that its server and components are linked
to, by what their files say; nothing is started."""

from __future__ import annotations

from typing import Any

from tritonbuild.oci import Root
from tritonbuild.oci.documents import Execution
from tritonbuild.rule import Artifact, Context, Folder, Output, ToolContext, tool

from ..composing.catalogue import known
from ..composing.needs import CATALOGUE, terms_of
from ..layouts import image_of, names
from ..linking.closure import closure
from ..linking.facts import link_image
from ..linking.linkage import Linkage
from ..linking.loader import Files, files_of
from .report import Outcome, Report

KIND = "static"
RESULT, JUNIT = "result.json", "junit.xml"
_IMAGE, _LINKAGE = "image", "linkage"
_OURS = ("opt/tritonserver/", "opt/tritonbuild/", "models/")
"""Whose needs count: a base may hold programs that never ran."""


def static(ctx: Context[Any], image: Artifact, catalogue: Artifact | None) -> dict[str, Output]:
    """Declares it: output → what makes it. `catalogue`: what the workspace adds to it."""
    made = ctx.tool(
        verify_static,
        inputs={
            _IMAGE: image,
            _LINKAGE: link_image(ctx, image),
            **({CATALOGUE: catalogue} if catalogue else {}),
        },
        outputs=[RESULT, JUNIT],
        is_test=True,
    )
    return {name: made[name] for name in made}


@tool("verify-static", version=2)
def verify_static(ctx: ToolContext) -> int:
    """Inputs `image`, a sparse layout, `linkage/NNN` of its layers and, of the workspace,
    catalogue.toml. 1: something is lacking."""
    folder = ctx.inputs.get(_IMAGE)
    assert isinstance(folder, Folder)
    sparse, image = image_of(folder, ctx)
    listings = [sparse.listing(layer.diff_id) for layer in image.layers]
    linkages = [Linkage.decode(ctx.read(f"{_LINKAGE}/{name}")) for name in names(ctx, _LINKAGE)]
    files = files_of(listings, linkages)
    start = [path for path in files.elves if path.startswith(_OURS)]
    variables = (image.config.config or Execution()).env or []
    said = dict(item.split("=", 1) for item in variables if "=" in item)
    terms = terms_of(known(ctx, CATALOGUE), said.get("LD_LIBRARY_PATH", ""))
    found = closure(files, Files(Root(), {}), start, (), terms)
    report = Report(KIND, [], outcomes=[Outcome("libraries", problems=found.problems)])
    ctx.write(RESULT, report.json)
    ctx.write(JUNIT, report.junit)
    ctx.log.write("\n".join([report.text, *found.told]))
    return 0 if report.passed else 1
