"""A workspace made for a test, opened by the engine with a cache of its own."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tritonbuild.analysis import Target
from tritonbuild.build import Options, Report, build
from tritonbuild.cancel import Cancellation
from tritonbuild.events import ActionEnded
from tritonbuild.label import Label, Pattern
from tritonbuild.session import Session

SHOW = """\
from tritonbuild.rule import Dep, Field, Files, Rule
from tritonbuild.rules.distribution import DistributionInfo
from tritonbuild.rules.python.environment import environment
from tritonbuild.rules.python.requirements import checked

class Shown(Rule):
    table = "shown"

    class Attributes(Rule.Attributes):
        distribution: Dep[DistributionInfo]
        environments: dict[str, list[str]] = {}
        tree: bool = False

    def analyze(self, ctx):
        distribution = ctx.provider(ctx.attributes.distribution)
        host = distribution.on_host(ctx)
        shown = {"tree": host.tree} if ctx.attributes.tree else {}
        for name, requirements in ctx.attributes.environments.items():
            wanted = {*distribution.constraints, *checked(ctx, requirements)}
            shown[name] = environment(ctx, host.python, wanted)
        yield Files(shown)
"""
"""A rule that puts what a distribution provides, and environments beside it, in the outputs."""


class Workspace:
    def __init__(self, root: Path, manifest: str, files: Mapping[str, str]) -> None:
        self.root = root
        self.ended: list[ActionEnded] = []
        head = '[workspace]\nname = "test"\nrules = ["show.py"]\n'
        whole = {"show.py": SHOW, "triton.toml": head + textwrap.dedent(manifest), **files}
        for name, content in whole.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(content)

    def analyze(self, name: str) -> Target:
        """A target of the root. Raises TritonbuildError."""
        with self._session() as session:
            label = Label("", name)
            return session.plan([label]).targets[label]

    def build(self, name: str) -> Report:
        with self._session() as session:
            report = build(session, [Pattern.parse(f"//:{name}")], Options())
        assert not report.problems, report.problems
        return report

    def output(self, path: str) -> Path:
        return self.root / "tritonbuild-out/_" / path

    def _session(self) -> Session:
        def listen(event: object) -> None:
            if isinstance(event, ActionEnded):
                self.ended.append(event)

        return Session(self.root, listen, Cancellation())


Make = Callable[..., Workspace]


@contextmanager
def workspaces(folder: Path) -> Iterator[Make]:
    """Makes workspaces (manifest, files by path) that share a cache below the folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITONBUILD_CACHE_DIR", str(folder / "cache"))
        numbers = iter(range(1000))

        def make(manifest: str, files: Mapping[str, str] | None = None) -> Workspace:
            root = folder / f"workspace{next(numbers)}"
            root.mkdir()
            return Workspace(root, manifest, files or {})

        yield make
