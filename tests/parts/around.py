"""A verb started through another program: as a user with fewer rights, in other mounts."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from conftest import COMMAND, Outcome, WorkspaceFolder

WITHOUT_ROOTS_RIGHTS = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
"""Files' modes hold for root too."""


def ordinary() -> list[str]:
    """What makes a program heed files' modes."""
    return [] if os.geteuid() else WITHOUT_ROOTS_RIGHTS


def around(
    workspace: WorkspaceFolder,
    prefix: Sequence[str],
    *arguments: str,
    environment: Mapping[str, str] | None = None,
) -> Outcome:
    """A verb with `--json`, to its end, as the last arguments of another program."""
    verb, *rest = arguments
    done = subprocess.run(
        [*prefix, *COMMAND, verb, "--json", *rest],
        cwd=workspace.root,
        env=workspace.env if environment is None else environment,
        capture_output=True,
    )
    events = [json.loads(line) for line in done.stdout.splitlines()]
    return Outcome(done.returncode, events, done.stderr.decode())


def with_disk(place: Path, kibibytes: int) -> list[str]:
    """What makes a program see a disk of that size at a place, nobody else."""
    place.mkdir(parents=True, exist_ok=True)
    mount = f'mount -t tmpfs -o size={kibibytes}k,mode=755 tmpfs "$0" && exec "$@"'
    mapped = ["--map-root-user"] if os.geteuid() else []
    return ["unshare", "--mount", *mapped, "sh", "-c", mount, str(place)]
