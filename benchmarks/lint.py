"""The first build of 1,000 ONNX models, with lint and completion, beside what peers take to judge
the same files.

    python benchmarks/lint.py [--models 1000]

Each model has about 300 KB of weights of its own, one of them 50 MB. Measured are the first build,
the second, which has nothing to do, one after every model's config has changed, and the reader of
models alone, with the bytes that it reads as the kernel counts them. The peers come from PyPI, into
an environment kept in the user's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import measure

PEERS = ("onnx==1.17.0", "onnxruntime==1.20.1", "numpy==1.26.4")
MODELS = Path(__file__).with_name("onnx_models.py")
PACKAGE = 50
"""Models in one package of the workspace."""
BUILD = (sys.executable, "-m", "tritonbuild", "build", "--json", "//...")
READER = """\
import sys, time
from pathlib import Path
from tritonbuild.rules.formats import read_signature
def counted():
    return int(open("/proc/self/io").readline().split()[1])
files = sorted(Path(sys.argv[1]).glob("p*/*.onnx"))
read_signature("onnxruntime", "", files[0])
bytes_read, start = counted(), time.perf_counter()
for file in files:
    assert read_signature("onnxruntime", "", file).inputs
print(time.perf_counter() - start, counted() - bytes_read)
"""


def install_peers() -> Path:
    """The interpreter that has them."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "tritonbuild-benchmarks" / "onnx"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", *PEERS], check=True)
    return python


def write_workspace(folder: Path, python: Path, count: int) -> int:
    """The bytes of all models."""
    folder.mkdir()
    (folder / "triton.toml").write_text('[workspace]\nname = "lint"\n[backends.onnxruntime]\n')
    subprocess.run([python, MODELS, "make", folder, str(count)], check=True)
    for number in range(count):
        package = folder / f"p{number // PACKAGE}"
        package.mkdir(exist_ok=True)
        (folder / f"m{number}.onnx").rename(package / f"m{number}.onnx")
    declare(folder, count, "")
    return sum(file.stat().st_size for file in folder.rglob("*.onnx"))


def declare(folder: Path, count: int, config: str) -> None:
    """The manifests, with a line of config for each model."""
    manifests: dict[int, str] = {}
    for number in range(count):
        package = number // PACKAGE
        manifests[package] = manifests.get(package, "") + (
            f'[models.m{number}]\nbackend = "onnxruntime"\n'
            f'versions = {{ 1 = "m{number}.onnx" }}\n{config}'
        )
    for package, text in manifests.items():
        (folder / f"p{package}" / "triton.toml").write_text(text)


def build(folder: Path, cache: Path) -> tuple[measure.Cost, dict[str, int]]:
    cost = measure.run(BUILD, folder, {"TRITONBUILD_CACHE_DIR": str(cache)})
    return cost, json.loads(cost.output.splitlines()[-1])["metrics"]


def judged(python: Path, verb: str, folder: Path) -> float:
    """A peer's seconds for all models, without its start."""
    return float(measure.run((str(python), str(MODELS), verb, str(folder)), folder).output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=1000)
    count = parser.parse_args().models
    python = install_peers()
    with tempfile.TemporaryDirectory() as temporary:
        folder, cache = Path(temporary, "workspace"), Path(temporary, "cache")
        size = write_workspace(folder, python, count)
        peers = {verb: judged(python, verb, folder) for verb in ("check", "session")}
        first, metrics = build(folder, cache)
        assert metrics["executed"] >= count
        again, metrics = build(folder, cache)
        assert metrics["executed"] == 0
        declare(folder, count, "config.max_batch_size = 8\n")
        edited, metrics = build(folder, cache)
        assert metrics["executed"] >= count
        reader = (sys.executable, "-c", READER, str(folder))
        seconds, bytes_read = map(float, measure.run(reader, folder).output.split())

    def line(what: str, took: float, note: str = "") -> None:
        print(f"{what:22} {took:7.2f} s {took / count * 1000:7.2f} ms a model  {note}".rstrip())

    mb = measure.megabytes
    print(f"{count} models, {mb(size)}")
    line("first build", first.seconds, f"{mb(first.peak)} of memory; hashes all")
    line("second build", again.seconds)
    line("all configs changed", edited.seconds, f"{mb(metrics['bytes_hashed'])} hashed")
    line("of it, reading models", seconds, f"{mb(int(bytes_read))} read")
    for name, verb in (("onnx.load and checker", "check"), ("onnxruntime's session", "session")):
        ratio = f"first build / it: {first.seconds / peers[verb]:.2f}; "
        line(name, peers[verb], f"{ratio}reading models / it: {seconds / peers[verb]:.2f}")


if __name__ == "__main__":
    main()
