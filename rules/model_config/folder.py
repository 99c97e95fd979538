"""The step that makes a model's folder: it checks the config against the model's files, and puts
both together. No weights are read for it.
"""

from __future__ import annotations

from tritonbuild.rule import ToolContext, tool


@tool("model", version=4, libraries=("protobuf", "tritonclient"))
def make_model(ctx: ToolContext) -> None:
    """Writes config.pbtxt, as minimal as people wrote it, and config.json; links the rest."""
    from .making import make

    make(ctx)
