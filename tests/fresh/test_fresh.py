"""README's promise, kept in a fresh Debian root by an ordinary user."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from parts import store

RUN = Path(__file__).with_name("run")


@pytest.mark.timeout(900)
def test_the_first_command_of_the_readme_works_on_a_fresh_machine() -> None:
    for program in ("debootstrap", "git", "unshare"):
        store.program(program)
    finished = subprocess.run([RUN], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert finished.returncode == 0, finished.stdout[-8000:] + finished.stderr[-8000:]
