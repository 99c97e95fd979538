"""README's promise, kept in a fresh Debian root by an ordinary user; and the quick start's image,
built there with neither Docker nor a registry, is the one that is built here."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, WorkspaceFolder
from parts import store

RUN = Path(__file__).with_name("run")
IMAGE = "//serving:server"
PLACE = "tritonbuild-out/serving/_/server"


@pytest.mark.timeout(900)
def test_the_first_command_of_the_readme_works_on_a_fresh_machine(
    tmp_path: Path, shared_cache: Path
) -> None:
    for program in ("debootstrap", "git", "unshare"):
        store.program(program)
    block = re.search(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    assert block is not None
    command = f"{block[1]}../../.venv/bin/tritonbuild build --json {IMAGE}"
    finished = subprocess.run(
        [RUN, command], stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    assert finished.returncode == 0, finished.stdout[-8000:] + finished.stderr[-8000:]
    events = [json.loads(line) for line in finished.stdout.splitlines() if line.startswith("{")]
    (made,) = [event["outputs"] for event in events if event.get("label") == IMAGE]
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--no-local", ROOT, clone], check=True)
    here = WorkspaceFolder(clone / "examples" / "quickstart", shared_cache).build(IMAGE)
    assert made[0]["path"] == PLACE
    assert made[0]["digest"] == here.outputs[PLACE]
