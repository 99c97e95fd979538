"""An image of large models, beside Docker, from the same base, in the same run.

    python benchmarks/images.py [--models 4] [--megabytes 500] [--runs 3] [--giant 0]

Root, dockerd, docker-registry and skopeo are needed. Everything is on loopback and on one disk. The
peer's Dockerfile copies each model with a COPY of its own onto a base that the daemon has; both
start from weights in the page cache. `--giant N` also builds an image of N gigabytes of (sparse)
weights, to see its memory.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import measure
import weights

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from parts.dockerd import dockerd
from parts.registry import registry

OURS = (sys.executable, "-m", "tritonbuild")
DOCKER = "/usr/bin/docker"
"""Debian's, which has BuildKit built in."""
ROOT = """\
[workspace]
name = "images"
distribution = "//:pypi"
[distributions.pypi]
pypi = "nvidia-pytriton==0.7.0"
[backends.python]

[images.base]
backends = ["python"]
[images.server]
models = ["//:all"]
"""
MODEL = """
[models.model{number}]
backend = "python"
versions = {{ 1 = {{ "model.py" = "model.py", "weights.bin" = "weights{number}.bin" }} }}
[models.model{number}.config]
max_batch_size = {batch}
input = [{{ name = "x", data_type = "TYPE_FP32", dims = [1] }}]
output = [{{ name = "y", data_type = "TYPE_FP32", dims = [1] }}]
"""
CODE = "class TritonPythonModel:\n    def execute(self, requests):\n        return []\n"


@dataclass
class Workspace:
    root: Path
    context: Path
    """What Docker builds from: the same files as a model repository."""
    models: int
    files: list[Path] = field(default_factory=list)

    def write(self, megabytes: int) -> None:
        self.root.mkdir()
        (self.root / "model.py").write_text(CODE)
        for number in range(self.models):
            file = self.root / f"weights{number}.bin"
            with file.open("wb") as stream:
                for _ in range(megabytes):
                    stream.write(os.urandom(weights.MEGABYTE))
            self.files.append(file)
        self.edit(8)
        lines = ["FROM bench/base:latest"]
        for number in range(self.models):
            folder = self.context / "models" / f"model{number}" / "1"
            folder.mkdir(parents=True)
            shutil.copy(self.root / "model.py", folder)
            os.link(self.files[number], folder / "weights.bin")
            (folder.parent / "config.pbtxt").write_text("max_batch_size: 8\n")
            lines.append(f"COPY models/model{number} /models/model{number}")
        (self.context / "Dockerfile").write_text("\n".join(lines) + "\n")

    def edit(self, batch: int) -> None:
        """One line of the first model's config."""
        sizes = [batch, *([8] * (self.models - 1))]
        text = [MODEL.format(number=n, batch=size) for n, size in enumerate(sizes)]
        (self.root / "triton.toml").write_text(ROOT + "".join(text))
        config = self.context / "models" / "model0" / "config.pbtxt"
        if config.exists():
            config.write_text(f"max_batch_size: {batch}\n")


@dataclass
class Bench:
    workspace: Workspace
    env: Mapping[str, str]
    ours: str
    """Registry and repository that we push to …"""
    theirs: str
    """… and Docker."""

    def tritonbuild(self, *words: str) -> measure.Cost:
        return measure.run([*OURS, words[0], "--json", *words[1:]], self.workspace.root, self.env)

    def docker(self, *words: str) -> measure.Cost:
        return measure.run([DOCKER, *words], self.workspace.context, self.env)

    def docker_build(self) -> measure.Cost:
        return self.docker("build", "-q", "-t", f"{self.theirs}:v1", ".")

    def docker_push(self) -> measure.Cost:
        return self.docker("push", "-q", f"{self.theirs}:v1")


def moved(cost: measure.Cost) -> int:
    """Bytes, as the verb says."""
    events = [json.loads(line) for line in cost.output.splitlines()]
    return sum(event["moved"] for event in events if event["event"] == "shipped")


def row(name: str, ours: float, theirs: float, remark: str = "") -> None:
    print(f"{name:26} {ours:8.2f} s {theirs:8.2f} s {theirs / ours:8.1f} ×  {remark}", flush=True)


def median(measured: Callable[[int], float], runs: int) -> float:
    return statistics.median(measured(number) for number in range(runs))


def compare(bench: Bench, runs: int) -> None:
    workspace = bench.workspace
    bench.tritonbuild("load", "//:base", "--to", "bench/base:latest")
    weights.warm(workspace.files)
    print(f"{'':26} {'tritonbuild':>10} {'Docker':>10} {'ratio':>10}")
    first = bench.tritonbuild("build", "//:server")
    build = bench.docker_build()
    row("first build", first.seconds, build.seconds, f"{measure.megabytes(first.peak)} at peak")
    push = bench.tritonbuild("push", "//:server", "--to", f"{bench.ours}:v1")
    their_push = bench.docker_push()
    row("first push", push.seconds, their_push.seconds, measure.megabytes(moved(push)))
    layout = workspace.root / "tritonbuild-out" / "_" / "server"
    copy = ["skopeo", "copy", "-q", "--dest-tls-verify=false", f"oci:{layout}",
            f"docker://{bench.ours}-skopeo:v1"]  # fmt: skip
    skopeo = measure.run(copy, workspace.root)
    row("first push, skopeo's", push.seconds, skopeo.seconds, "skopeo in the place of Docker")
    sent: list[int] = []

    def edit_ours(number: int) -> float:
        workspace.edit(16 + number)
        cost = bench.tritonbuild("push", "//:server", "--to", f"{bench.ours}:v1")
        sent.append(moved(cost))
        return cost.seconds

    def edit_theirs(number: int) -> float:
        workspace.edit(16 + number)
        return bench.docker_build().seconds + bench.docker_push().seconds

    ours = median(edit_ours, runs)
    row("one line: build, push", ours, edit_theirs(runs), f"{max(sent):,} bytes moved")
    load = bench.tritonbuild("load", "//:server", "--to", "bench/server:latest")
    workspace.edit(99)
    again = bench.tritonbuild("load", "//:server", "--to", "bench/server:latest")
    print(f"{'load, then after one line':26} {load.seconds:8.2f} s {again.seconds:8.2f} s"
          f"             {moved(load):,}, then {moved(again):,} bytes moved")  # fmt: skip


def giant(bench: Bench, gigabytes: int) -> None:
    root = bench.workspace.root
    for file in bench.workspace.files:
        file.unlink()
        with file.open("wb") as sparse:
            sparse.truncate(gigabytes * 10**9 // bench.workspace.models)
    shutil.rmtree(root / "tritonbuild-out")
    cost = bench.tritonbuild("build", "//:server")
    print(
        f"{gigabytes} GB of weights: {cost.seconds:.1f} s, {measure.megabytes(cost.peak)} at peak"
    )
    pushed = bench.tritonbuild("push", "//:server", "--to", f"{bench.ours}:giant")
    print(f"its push: {pushed.seconds:.1f} s, {measure.megabytes(pushed.peak)} at peak")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--megabytes", type=int, default=500, help="of each model")
    parser.add_argument("--runs", type=int, default=3, help="the median of them is shown")
    parser.add_argument("--giant", type=int, default=0, help="gigabytes of an image for its memory")
    parser.add_argument("--folder", type=Path, help="where to work; on the disk to be measured")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as temporary,
        registry(Path(temporary, "registry")) as host,
        dockerd() as daemon,
    ):
        workspace = Workspace(
            Path(temporary, "workspace"), Path(temporary, "context"), options.models
        )
        workspace.write(options.megabytes)
        env = {
            "DOCKER_BUILDKIT": "1",
            "DOCKER_HOST": daemon.host,
            "TRITONBUILD_CACHE_DIR": str(Path(temporary, "cache")),
        }
        bench = Bench(workspace, env, f"{host}/ours/server", f"{host}/theirs/server")
        compare(bench, options.runs)
        if options.giant:
            giant(bench, options.giant)


if __name__ == "__main__":
    main()
