"""The first build of large weights, beside one `openssl dgst -sha256` of the same files.

    python benchmarks/weights.py [--models 4] [--megabytes 1000]

Both read the files from the page cache. Prints the ratio of the times, the build's peak memory,
how much disk it took, and what a second build costs. Nothing else should write to that disk.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--megabytes", type=int, default=1000, help="of each model")
    parser.add_argument("--folder", type=Path, help="where to work; on the disk to be measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as temporary:
        root = Path(temporary, "workspace")
        files = write_workspace(root, options.models, options.megabytes)
        total = sum(file.stat().st_size for file in files)
        env = {"TRITONBUILD_CACHE_DIR": f"{temporary}/cache"}

        warm(files)
        openssl = measure.run(["openssl", "dgst", "-sha256", *map(str, files)], root)
        before = disk_used(root)
        first = measure.run(ENGINE, root, env)
        grown = disk_used(root) - before
        second = measure.run(ENGINE, root, env)
        output = root / "tritonbuild-out" / "_" / "model0" / "model0" / "1" / files[0].name
        assert output.stat().st_size == files[0].stat().st_size

        again = json.loads(second.output.splitlines()[-1])["metrics"]["bytes_hashed"]
        ratio = first.seconds / openssl.seconds
        rows = [
            ("weights", measure.megabytes(total), f"in {len(files)} models"),
            ("openssl", f"{openssl.seconds:.2f} s", "SHA-256 of the same files"),
            ("first build", f"{first.seconds:.2f} s", f"{ratio:.2f} × it"),
            ("its memory", measure.megabytes(first.peak), "peak"),
            ("its disk", measure.megabytes(grown), f"an output is {lies(output, files[0])}"),
            ("second build", f"{second.seconds:.2f} s", f"{measure.megabytes(again)} hashed again"),
        ]
        for name, value, remark in rows:
            print(f"{name:13} {value:>10}  {remark}")


if __name__ == "__main__":
    main()
