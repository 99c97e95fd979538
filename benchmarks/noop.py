"""A build with nothing to do, beside ninja, doit and SCons on the same graph.

    python benchmarks/noop.py [--targets 1000] [--runs 5]

Each target concatenates a file of its own and the outputs of two targets of the layer before, in
ten layers. Every tool builds it; then they take turns at building with nothing to do, and the
median of each counts.
The peers come from PyPI, into an environment kept in the user's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import measure

PEERS = ("doit==0.37.0", "ninja==1.13.0", "SCons==4.11.0")
LAYERS = 10
PACKAGE = 10
"""Targets in one package of the workspace."""
OUTPUT = "tritonbuild-out/{package}/_/t{number}/{output}"


@dataclass(frozen=True)
class Target:
    number: int
    inputs: tuple[int, ...]
    """The targets whose outputs it reads."""

    @property
    def package(self) -> str:
        return f"p{self.number // PACKAGE}"

    @property
    def source(self) -> str:
        """Relative to the package, as are all paths of a target."""
        return f"t{self.number}.txt"

    @property
    def output(self) -> str:
        return f"t{self.number}.out"


def graph(count: int) -> list[Target]:
    """In topological order."""
    width = count // LAYERS
    targets = []
    for number in range(width * LAYERS):
        layer, place = divmod(number, width)
        before = (layer - 1) * width
        inputs = {before + place, before + (place * 7 + 1) % width} if layer else set()
        targets.append(Target(number, tuple(sorted(inputs))))
    return targets


def write_sources(folder: Path, targets: Sequence[Target]) -> None:
    for target in targets:
        package = folder / target.package
        package.mkdir(exist_ok=True)
        (package / target.source).write_text(f"{target.number}\n")


def files(targets: Sequence[Target], target: Target) -> Iterator[str]:
    """What a target reads, relative to the root, for tools that build in place."""
    yield f"{target.package}/{target.source}"
    for number in target.inputs:
        yield f"{targets[number].package}/{targets[number].output}"


def write_tritonbuild(folder: Path, targets: Sequence[Target]) -> None:
    (folder / "triton.toml").write_text('[workspace]\nname = "noop"\n')
    manifests: dict[str, list[str]] = {}
    for target in targets:
        needed = [targets[number] for number in target.inputs]
        inputs = [target.source, *(f"//{item.package}:t{item.number}" for item in needed)]
        read = " ".join([target.source, *(item.output for item in needed)])
        manifests.setdefault(target.package, []).append(
            f"[commands.t{target.number}]\n"
            f'argv = ["sh", "-c", "cat {read} > {target.output}"]\n'
            f"inputs = {json.dumps(inputs)}\n"
            f'outputs = ["{target.output}"]\n'
        )
    for package, tables in manifests.items():
        (folder / package / "triton.toml").write_text("\n".join(tables))


def write_ninja(folder: Path, targets: Sequence[Target]) -> None:
    lines = ["rule cat", "  command = cat $in > $out", ""]
    lines += [
        f"build {target.package}/{target.output}: cat {' '.join(files(targets, target))}"
        for target in targets
    ]
    (folder / "build.ninja").write_text("\n".join(lines) + "\n")


def write_doit(folder: Path, targets: Sequence[Target]) -> None:
    table = [
        (f"{target.package}/{target.output}", list(files(targets, target))) for target in targets
    ]
    (folder / "dodo.py").write_text(
        f"TABLE = {table!r}\n"
        "def task_cat():\n"
        "    for output, inputs in TABLE:\n"
        "        yield {'name': output, 'file_dep': inputs, 'targets': [output],\n"
        "               'actions': [f\"cat {' '.join(inputs)} > {output}\"]}\n"
    )


def write_scons(folder: Path, targets: Sequence[Target]) -> None:
    lines = ["env = Environment(tools=[])"]
    lines += [
        f"env.Command({f'{target.package}/{target.output}'!r}, {list(files(targets, target))!r},"
        " 'cat $SOURCES > $TARGET')"
        for target in targets
    ]
    (folder / "SConstruct").write_text("\n".join(lines) + "\n")


def did_nothing(output: str) -> bool:
    """Whether a `--json` build executed no action."""
    finished = json.loads(output.splitlines()[-1])
    return bool(finished["metrics"]["executed"] == 0)


@dataclass(frozen=True)
class Tool:
    name: str
    write: Callable[[Path, Sequence[Target]], None]
    argv: tuple[str, ...]
    is_noop: Callable[[str], bool]
    """Whether a build's output says that it had nothing to do."""
    place: str = "{package}/{output}"
    """Where it puts a target's output."""


def tools(peers: Path) -> list[Tool]:
    jobs = os.cpu_count() or 1
    engine = (sys.executable, "-m", "tritonbuild", "build", "--json", "//...")
    return [
        Tool("tritonbuild", write_tritonbuild, engine, did_nothing, OUTPUT),
        Tool("ninja", write_ninja, (f"{peers}/ninja",), lambda text: "no work to do" in text),
        Tool(
            "doit",
            write_doit,
            (f"{peers}/doit", "-n", str(jobs), "-P", "thread"),
            lambda text: not any(line.startswith(".") for line in text.splitlines()),
        ),
        Tool(
            "SCons",
            write_scons,
            (f"{peers}/scons", f"-j{jobs}"),
            lambda text: "`.' is up to date" in text,
        ),
    ]


def install_peers() -> Path:
    """The folder of the peers' programs."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "tritonbuild-benchmarks" / "peers"
    if not (folder / "bin" / "python").exists():
        venv.create(folder, with_pip=True)
    pip = [f"{folder}/bin/python", "-m", "pip", "install", "--quiet", *PEERS]
    subprocess.run(pip, check=True)
    return folder / "bin"


class Race:
    """One tool's copy of the graph."""

    def __init__(self, tool: Tool, targets: Sequence[Target], folder: Path):
        self.tool = tool
        self.noops: list[measure.Cost] = []
        self._root = folder / tool.name
        self._root.mkdir()
        self._env = {"TRITONBUILD_CACHE_DIR": f"{folder}/cache"}
        write_sources(self._root, targets)
        tool.write(self._root, targets)
        self.first = self._build()
        last = targets[-1]
        place = tool.place.format(package=last.package, number=last.number, output=last.output)
        assert (self._root / place).read_text().startswith(f"{last.number}\n"), "wrongly built"
        self._build()  # what a tool remembers of a build may need a second one to settle

    def run(self) -> None:
        """One build with nothing to do."""
        cost = self._build()
        assert self.tool.is_noop(cost.output), f"{self.tool.name} had something to do"
        self.noops.append(cost)

    def _build(self) -> measure.Cost:
        return measure.run(self.tool.argv, self._root, self._env)

    @property
    def noop(self) -> measure.Cost:
        """The median run."""
        return sorted(self.noops, key=lambda cost: cost.seconds)[len(self.noops) // 2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    targets = graph(options.targets)
    with tempfile.TemporaryDirectory() as temporary:
        races = [Race(tool, targets, Path(temporary)) for tool in tools(install_peers())]
        for _ in range(options.runs):  # in turns, so that a busy moment hits all
            for race in races:
                race.run()
    print(f"{len(targets)} targets, {LAYERS} layers; median of {options.runs}")
    print(f"{'tool':12} {'first build':>12} {'no-op':>9} {'memory':>8}  tritonbuild / it")
    ours = races[0].noop.seconds
    for race in races:
        print(
            f"{race.tool.name:12} {race.first.seconds:10.2f} s {race.noop.seconds:7.3f} s "
            f"{measure.megabytes(race.noop.peak):>8}  {ours / race.noop.seconds:.2f}"
        )


if __name__ == "__main__":
    main()
