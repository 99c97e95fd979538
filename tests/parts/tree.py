"""A workspace of a test's own, and the engine at work on it in this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tritonbuild.build import Options, Report, build
from tritonbuild.cancel import Cancellation
from tritonbuild.errors import ExitCode, Problem, TritonbuildError
from tritonbuild.label import Label, Pattern
from tritonbuild.plan import Plan
from tritonbuild.session import Session


@dataclass(frozen=True)
class Tree:
    """A workspace below a root."""

    root: Path

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def plan(self, *patterns: str) -> Plan:
        with self._session() as session:
            return session.plan(_labels(session, patterns))

    def build(self, *patterns: str, test: bool = False) -> Report:
        """Ends without a problem."""
        parsed = [Pattern.parse(text) for text in patterns]
        with self._session() as session:
            report = build(session, parsed, Options(test=test))
        assert report.problems == []
        return report

    def problems(self, *patterns: str) -> tuple[ExitCode, list[Problem]]:
        """How a build fails."""
        with self._session() as session:
            try:
                report = build(session, [Pattern.parse(text) for text in patterns], Options())
            except TritonbuildError as error:
                return error.exit_code, list(error.problems)
        return report.exit_code, report.problems

    def made(self, label: str) -> dict[str, bytes]:
        """What lies in a target's output folder: files by path, empty folders with a `/`."""
        package, _, name = label.removeprefix("//").partition(":")
        return dict(_content(self.root / "tritonbuild-out" / package / "_" / name))

    @contextmanager
    def _session(self) -> Iterator[Session]:
        with Session(self.root, lambda event: None, Cancellation()) as session:
            yield session


def _labels(session: Session, patterns: tuple[str, ...]) -> list[Label]:
    return [d.label for d in session.graph.expand(Pattern.parse(text) for text in patterns)]


def _content(folder: Path, prefix: str = "") -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.iterdir()):
        name = f"{prefix}{path.name}"
        if not path.is_dir():
            yield name, path.read_bytes()
        elif any(path.iterdir()):
            yield from _content(path, f"{name}/")
        else:
            yield f"{name}/", b""
