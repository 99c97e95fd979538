"""What a verb imports."""

from __future__ import annotations

import subprocess
import sys

from conftest import WorkspaceFolder


def imported(folder: WorkspaceFolder, *arguments: str) -> set[str]:
    """Every module that a verb imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "tritonbuild", *arguments],
        cwd=folder.root, env=folder.env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "|" in line}
