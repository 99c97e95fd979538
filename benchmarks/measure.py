"""What a program costs: wall time and peak memory of it and all that it waited for."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cost:
    seconds: float
    peak: int
    """Bytes resident, of the largest single process."""
    cpu: float
    """Seconds of processors, of it and all that it waited for."""
    output: str
    """Standard output."""


def run(argv: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> Cost:
    """Runs a program to its end. Raises CalledProcessError when it fails."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as messages:
        start = time.perf_counter()
        process = subprocess.Popen(
            argv, cwd=cwd, env={**os.environ, **(env or {})}, stdout=output, stderr=messages
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        messages.seek(0)
        text = output.read()
        if process.returncode != 0:
            print(text, messages.read())
            raise subprocess.CalledProcessError(process.returncode, argv)
        return Cost(seconds, usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime, text)


def megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
