"""Whole workspaces, driven through the command line as a user drives it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from parts.dockerd import Dockerd

# Started in the background (by CI, say), this process ignores Ctrl-C and so would its children.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

pytest_plugins = ["parts.composing"]

ROOT = Path(__file__).parent.parent
COMMAND = (sys.executable, "-m", "tritonbuild")
MINIMAL = '[workspace]\nname = "test"\n'


@dataclass
class Outcome:
    """How a verb ended."""

    exit_code: int
    events: list[dict[str, Any]]
    text: str
    """Standard error."""

    @property
    def targets(self) -> dict[str, str]:
        """Label → status."""
        return {e["label"]: e["status"] for e in self.events if e["event"] == "target"}

    @property
    def outputs(self) -> dict[str, str]:
        """Path → digest of everything that was put into tritonbuild-out."""
        return {
            output["path"]: output["digest"]
            for event in self.events
            if event["event"] == "target"
            for output in event["outputs"]
        }

    @property
    def finished(self) -> dict[str, Any]:
        assert self.events, self.text
        assert self.events[-1]["event"] == "finished", self.text
        return self.events[-1]

    @property
    def errors(self) -> list[dict[str, Any]]:
        errors: list[dict[str, Any]] = self.finished["errors"]
        return errors

    @property
    def error(self) -> dict[str, Any]:
        """The only one."""
        (error,) = self.errors
        return error

    @property
    def executed(self) -> int:
        count: int = self.finished["metrics"]["executed"]
        return count


@dataclass
class WorkspaceFolder:
    """A workspace on disk, with a cache of its own unless told."""

    root: Path
    cache: Path
    environment: dict[str, str] = field(default_factory=dict)

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def output(self, path: str) -> Path:
        return self.root / "tritonbuild-out" / path

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "TRITONBUILD_CACHE_DIR": str(self.cache), **self.environment}

    def start(self, *arguments: str, **settings: Any) -> subprocess.Popen[bytes]:
        """A verb that runs on while the test does other things."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.root,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **settings,
        )

    def run(self, *arguments: str, timeout: float = 300) -> Outcome:
        """A verb with `--json`, to its end."""
        verb, *rest = arguments
        done = subprocess.run(
            [*COMMAND, verb, "--json", *rest],
            cwd=self.root,
            env=self.env,
            capture_output=True,
            timeout=timeout,
        )
        lines = done.stdout.decode().splitlines()
        events = [json.loads(line) for line in lines]
        return Outcome(done.returncode, events, done.stderr.decode())

    def build(self, *patterns: str) -> Outcome:
        """A build that must succeed."""
        outcome = self.run("build", *(patterns or ("//...",)))
        assert outcome.exit_code == 0, outcome.text
        return outcome


@pytest.fixture
def workspace(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], WorkspaceFolder]:
    """Makes a workspace from files; a root manifest is added where none is given."""

    def make(files: Mapping[str, str | bytes]) -> WorkspaceFolder:
        folder = WorkspaceFolder(tmp_path / "workspace", tmp_path / "cache")
        folder.write({"triton.toml": MINIMAL, **files})
        return folder

    return make


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for the tests that need a real Triton, so that it is fetched once."""
    own = os.environ.get("TRITONBUILD_TEST_CACHE")
    if own:
        return Path(own)
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    return shared / "shared-cache"


@pytest.fixture(scope="session")
def docker_daemon() -> Iterator[Dockerd]:
    """One for all tests: each makes its images its own by what is in them."""
    from parts.dockerd import dockerd

    with dockerd() as running:
        yield running


@pytest.fixture
def quickstart(tmp_path: Path, shared_cache: Path) -> WorkspaceFolder:
    """A copy of examples/quickstart."""
    shutil.copytree(
        ROOT / "examples" / "quickstart",
        tmp_path / "quickstart",
        ignore=shutil.ignore_patterns("tritonbuild-out"),
    )
    return WorkspaceFolder(tmp_path / "quickstart", shared_cache)


@pytest.fixture
def faulty(tmp_path: Path, shared_cache: Path) -> WorkspaceFolder:
    """A copy of tests/workspaces/faulty."""
    shutil.copytree(ROOT / "tests" / "workspaces" / "faulty", tmp_path / "faulty")
    shutil.copy(ROOT / "examples" / "quickstart" / "triton.lock", tmp_path / "faulty")
    return WorkspaceFolder(tmp_path / "faulty", shared_cache)


@pytest.fixture
def here(
    tmp_path: Path, shared_cache: Path
) -> Callable[[Mapping[str, str | bytes]], WorkspaceFolder]:
    """Makes a folder of files, in which verbs are started; no workspace yet."""

    def make(files: Mapping[str, str | bytes]) -> WorkspaceFolder:
        folder = WorkspaceFolder(tmp_path / "here", shared_cache)
        folder.root.mkdir()
        folder.write(files)
        return folder

    return make
