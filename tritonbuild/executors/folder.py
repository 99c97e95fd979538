"""Runs a tool on a plain folder, as a remote worker does: the inputs lie in it, and the outputs
are written into it.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import IO

from tritonbuild.action import PARAMETERS
from tritonbuild.cache import FirstOf
from tritonbuild.cache.disk import DiskCache
from tritonbuild.cache.trees import Trees, copy, materialise
from tritonbuild.cancel import Cancellation
from tritonbuild.errors import EnvironmentFailure, Problem
from tritonbuild.executors.inprocess import Context
from tritonbuild.merkle import Folder
from tritonbuild.sources import Forgetful, Sources
from tritonbuild.tools import Tool
from tritonbuild.workspace import Workspace


def run_in_folder(tool: Tool, required: str, folder: Path, log: IO[str]) -> int:
    """The tool's exit code. Raises EnvironmentFailure when the caller made its action for another
    version of the tool."""
    if required != tool.version:
        raise EnvironmentFailure(
            Problem(f"{tool.name} is {tool.version} here", required, "install the same tritonbuild")
        )
    sources = Sources(Workspace(folder), Forgetful())
    parameters = json.loads((folder / PARAMETERS).read_bytes())
    with tempfile.TemporaryDirectory() as private:
        store = DiskCache(Path(private) / "cache")
        blobs = FirstOf(store, sources)
        (Path(private) / "work").mkdir()
        inputs = sources.everything()
        context = Context(
            parameters, inputs, log, Path(private) / "work", store, blobs, Trees(store),
            Cancellation(),
        )  # fmt: skip
        try:
            exit_code = tool(context)
        finally:
            context.close()
        for path, entry in context.made().entries.items():
            assert not isinstance(entry, Folder) or not (folder / path).exists()
            materialise(entry, folder / path, blobs, copy)
    return exit_code
