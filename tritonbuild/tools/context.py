"""What a tool sees while it runs: its parameters, its inputs by path, and where outputs go.

Content is handed over by digest: linking an input into an output moves no bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, Protocol

from tritonbuild.digest import Digest
from tritonbuild.merkle import Entry, File, Folder
from tritonbuild.tools.container import Container


class Process(Protocol):
    """A program that a tool has started. It never outlives the build, however the build ends."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None:
        """The exit code, or None while it runs; -N when signal N ended it."""

    def wait(self, timeout: float | None = None) -> int:
        """Seconds; raises TimeoutError."""

    def stop(self, grace: float = 10.0) -> int:
        """SIGTERM, then after `grace` seconds SIGKILL, to it and all it started."""


class ToolContext(Protocol):
    """Paths are relative to the working folder."""

    parameters: Mapping[str, Any]
    hints: Mapping[str, Any]
    """Not in the key; empty where the step runs elsewhere."""
    inputs: Folder
    """The working folder's inputs."""

    @property
    def gpus(self) -> Sequence[str]:
        """UUIDs of the GPUs that the step needs and has to itself, as CUDA_VISIBLE_DEVICES takes
        them. It keeps programs that it starts from using others: those are in no key."""

    def read(self, path: str) -> bytes:
        """An input file's content, verified. Raises KeyError when there is none."""

    def open(self, path: str) -> BinaryIO:
        """An input file, for reading."""

    def path(self, path: str) -> Path:
        """Where an input file or folder lies on disk, shared and read-only."""

    def has(self, digest: Digest) -> bool:
        """Whether this machine has the content already, so that it can be linked."""

    def find(self, digest: Digest) -> Path | None:
        """A file with this content, read-only and shared; None where this machine has none."""

    def put(self, content: bytes | Path) -> Digest:
        """Makes content known, so that it can be linked; a file of the scratch folder is moved."""

    def link(self, path: str, entry: Entry) -> None:
        """Puts something that came in, or was written, into the outputs."""

    def write(self, path: str, content: bytes, *, executable: bool = False) -> File:
        """A new output file."""

    def adopt(self, path: str, file: Path) -> File:
        """Moves a finished file from the scratch folder into the outputs."""

    def gather(self, path: str, folder: Path) -> Folder:
        """Moves a finished folder from the scratch folder into the outputs."""

    @property
    def scratch(self) -> Path:
        """A private folder, removed afterwards."""

    def kept(self, name: str, make: Callable[[Path], None]) -> Path:
        """A folder that any step on this machine may find again by its name, which says all that it
        depends on. `make` is given the path to make when there is none yet; it is only read
        afterwards."""

    @property
    def log(self) -> IO[str]:
        """Shown when the step fails."""

    @property
    def cancelled(self) -> bool:
        """Whether the build is being stopped; long loops look at it."""

    def progress(self, done: int, total: int) -> None:
        """Bytes that came from outside this machine so far, and in all (0: not known)."""

    def start(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        shm_prefix: str = "",
        container: Container | None = None,
    ) -> Process:
        """Starts a program with exactly this environment, its output going to the log file.
        Shared memory in /dev/shm whose name starts with `shm_prefix` is removed after it. In a
        container `cwd` is a folder of the container's. Raises ActionError, and EnvironmentFailure
        where no container can be. Where the step has GPUs, a container has them too, and of the
        driver what they need."""
