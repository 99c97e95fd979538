"""The first build of large weights, beside one `openssl dgst -sha256` of the same files.

    python benchmarks/weights.py [--models 4] [--megabytes 1000] [--runs 3]

Both read the files from the page cache. Prints the ratio of the times, the build's peak memory,
how much disk it took, and what a second build costs. Nothing else should write to that disk.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import measure

MEGABYTE = 10**6
ENGINE = (sys.executable, "-m", "tritonbuild", "build", "--json", "//...")
WORKSPACE = """\
[workspace]
name = "weights"

[backends.raw]
path = "backend"
"""
MODEL = """
[models.{name}]
backend = "raw"
versions = {{ 1 = "{file}" }}
"""
BACKEND = "class TritonPythonModel:\n    pass\n"


def write_workspace(root: Path, models: int, megabytes: int) -> list[Path]:
    """A workspace with models of one random file each; the files."""
    (root / "backend").mkdir(parents=True)
    (root / "backend" / "model.py").write_text(BACKEND)
    weights, manifest = [], WORKSPACE
    for number in range(models):
        file = root / f"model{number}.bin"
        with file.open("wb") as stream:
            for _ in range(megabytes):
                stream.write(os.urandom(MEGABYTE))
        weights.append(file)
        manifest += (
            f'\n[models.model{number}]\nbackend = "raw"\nversions = {{ 1 = "{file.name}" }}\n'
        )
    (root / "triton.toml").write_text(manifest)
    return weights


def warm(files: list[Path]) -> None:
    """Reads the files into the page cache."""
    buffer = bytearray(MEGABYTE)
    for file in files:
        with file.open("rb", buffering=0) as stream:
            while stream.readinto(buffer):
                pass


def disk_used(folder: Path) -> int:
    """Bytes of the file system in use: shared blocks and links count once."""
    os.sync()
    status = os.statvfs(folder)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def lies(output: Path, source: Path) -> str:
    if output.is_symlink():
        return "a symbolic link"
    return "a hard link" if output.samefile(source) else "a file of its own"


@dataclass(frozen=True)
class Round:
    openssl: measure.Cost
    first: measure.Cost
    grown: int
    """Bytes that the first build took on disk."""
    second: measure.Cost

    @property
    def ratio(self) -> float:
        return self.first.seconds / self.openssl.seconds

    @property
    def hashed_again(self) -> int:
        """Bytes, by the second build."""
        finished = json.loads(self.second.output.splitlines()[-1])
        return int(finished["metrics"]["bytes_hashed"])


def run(root: Path, files: list[Path]) -> Round:
    """One first build, with a cache of its own."""
    with tempfile.TemporaryDirectory(dir=root.parent) as cache:
        env = {"TRITONBUILD_CACHE_DIR": cache}
        warm(files)
        openssl = measure.run(["openssl", "dgst", "-sha256", *map(str, files)], root)
        before = disk_used(root)
        first = measure.run(ENGINE, root, env)
        grown = disk_used(root) - before
        return Round(openssl, first, grown, measure.run(ENGINE, root, env))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--megabytes", type=int, default=1000, help="of each model")
    parser.add_argument("--runs", type=int, default=3, help="the median of them is shown")
    parser.add_argument("--folder", type=Path, help="where to work; on the disk to be measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        root = Path(temporary, "workspace")
        files = write_workspace(root, options.models, options.megabytes)
        outputs = root / "tritonbuild-out"
        rounds = []
        for _ in range(options.runs):
            shutil.rmtree(outputs, ignore_errors=True)
            rounds.append(run(root, files))
        output = outputs / "_" / "model0" / "model0" / "1" / files[0].name
        assert filecmp.cmp(output, files[0], shallow=False), "wrongly built"
        how = lies(output, files[0])
    middle = sorted(rounds, key=lambda one: one.ratio)[len(rounds) // 2]
    total = options.models * options.megabytes * MEGABYTE
    rows = [
        ("weights", measure.megabytes(total), f"in {options.models} models"),
        ("openssl", f"{middle.openssl.seconds:.2f} s", "SHA-256 of the same files"),
        ("first build", f"{middle.first.seconds:.2f} s", f"{middle.ratio:.2f} × it"),
        ("its memory", measure.megabytes(middle.first.peak), "peak"),
        ("its disk", measure.megabytes(middle.grown), f"an output is {how}"),
        (
            "second build",
            f"{middle.second.seconds:.2f} s",
            f"{measure.megabytes(middle.hashed_again)} hashed again",
        ),
    ]
    for name, value, remark in rows:
        print(f"{name:13} {value:>10}  {remark}")


if __name__ == "__main__":
    main()
