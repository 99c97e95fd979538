"""`tritonbuild compose` beside what compose.py makes Docker do: the same images, in the same run.

    python benchmarks/compose.py [--runs 3] [--folder DIR]

Root, dockerd and docker-registry are needed. Everything is on loopback and on one disk. `full` is
of NVIDIA's shape, with 4.6 GB in one layer; of the peer's Dockerfile the steps that install
something (apt, pip, curl) are left out. The peer pulls both images, builds and pushes; we go from
the registry to the registry.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import measure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from parts.dockerd import dockerd
from parts.ngc import compose
from parts.ngc.large import large
from parts.ngc.releases import RELEASES
from parts.ngc.shelf import NAME, put
from parts.registry import registry

DOCKER = "/usr/bin/docker"
"""Debian's, which has BuildKit built in."""
BACKENDS = ("python", "pytorch", "onnxruntime")
ONE_MORE = "openvino"


@dataclass
class Bench:
    host: str
    folder: Path
    docker_host: str

    def ours(self, to: str, *more: str) -> measure.Cost:
        """Into a repository of that name: what it lacks is sent, whatever others of the registry
        have of it."""
        flags = [f"--backend={name}" for name in (*BACKENDS, *more)]
        name = f"{self.host}/{NAME}:24.10-py3"
        return measure.run(
            [
                *(sys.executable, "-m", "tritonbuild", "compose", "--json"),
                *(f"--image=min,{name}-min", f"--image=full,{name}"),
                *flags,
                *("--repoagent=checksum", "--cache=local"),
                *("--push", f"--output-name={self.host}/{to}/server:v1"),
            ],
            self.folder,
            {"TRITONBUILD_CACHE_DIR": str(self.folder / "cache")},
        )

    def docker(self, *words: str) -> measure.Cost:
        env = {"DOCKER_BUILDKIT": "1", "DOCKER_HOST": self.docker_host}
        return measure.run([DOCKER, *words], self.folder / "context", env)

    def theirs(self) -> dict[str, float]:
        name = f"{self.host}/{NAME}:24.10-py3"
        text = compose.dockerfile(
            RELEASES["24.10"], name, f"{name}-min",
            backends=BACKENDS, repoagents=["checksum"], caches=["local"],
        )  # fmt: skip
        context = self.folder / "context"
        compose.context(context)
        (context / "Dockerfile").write_text(text)
        target = f"{self.host}/theirs/server:v1"
        return {
            "pull": sum(
                self.docker("pull", "-q", image).seconds for image in (name, f"{name}-min")
            ),
            "build": self.docker("build", "-q", "-t", target, ".").seconds,
            "push": self.docker("push", "-q", target).seconds,
        }

    def forget(self) -> None:
        """As on a machine that has never done it."""
        shutil.rmtree(self.folder / "cache", ignore_errors=True)


def moved(cost: measure.Cost) -> tuple[int, int]:
    """Bytes that were pushed, and mounted, as the verb says."""
    events = [json.loads(line) for line in cost.output.splitlines()]
    shipped = [event for event in events if event["event"] == "shipped"]
    return sum(one["moved"] for one in shipped), sum(one["mounted"] for one in shipped)


def row(name: str, cost: measure.Cost) -> None:
    sent, mounted = moved(cost)
    print(
        f"{name:30} {cost.seconds:8.2f} s {cost.cpu:8.2f} CPU-s {measure.megabytes(cost.peak):>8} "
        f"peak {sent:>13,} bytes pushed {mounted:>13,} mounted",
        flush=True,
    )


def compare(bench: Bench, runs: int) -> None:
    cold = []
    for number in range(runs):
        bench.forget()
        cost = bench.ours(f"cold{number}")
        row("cold", cost)
        cold.append(cost.seconds)
    files = [file for file in (bench.folder / "cache").rglob("*") if file.is_file()]
    sizes = {file.stat().st_ino: file.stat().st_size for file in files}
    largest, kept = max(sizes.values()), sum(sizes.values())
    print(f"{'kept on disk':30} {kept:,} bytes, the largest file {largest:,}")
    warm = [bench.ours(f"cold{runs - 1}") for _ in range(max(3, runs))]
    row("warm", sorted(warm, key=lambda cost: cost.seconds)[len(warm) // 2])
    more = bench.ours(f"cold{runs - 1}", ONE_MORE)
    row(f"one backend more ({ONE_MORE})", more)
    theirs = bench.theirs()
    total = sum(theirs.values())
    print("Docker: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in theirs.items()))
    ours = statistics.median(cold)
    print(f"cold: {total / ours:.1f} × faster than Docker ({ours:.2f} s, {total:.2f} s)")
    print(f"one backend more: {more.seconds / ours:.2f} of a cold cut")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=3, help="the median of them counts")
    parser.add_argument("--size", type=int, default=4_600_000_000, help="of the large layer")
    parser.add_argument("--folder", type=Path, help="where to work; on the disk to be measured")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=options.folder) as temporary,
        dockerd() as daemon,
    ):
        shelf = Path(temporary, "registry")
        pair = large(options.size)
        put(shelf, pair.full, NAME, "24.10-py3")
        put(shelf, pair.min, NAME, "24.10-py3-min")
        with registry(shelf) as host:
            compare(Bench(host, Path(temporary), daemon.host), options.runs)


if __name__ == "__main__":
    main()
