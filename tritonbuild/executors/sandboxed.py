"""Runs programs in the sandbox: their declared inputs, a fixed environment, no network."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from pathlib import Path, PurePosixPath

from tritonbuild.action import WORK, Program
from tritonbuild.atomic import make_folders, remove_tree
from tritonbuild.cache import Blobs, ContentStore, Result
from tritonbuild.cache.trees import Missing, Trees, copy, materialise
from tritonbuild.cancel import Cancellation
from tritonbuild.digest import CHUNK
from tritonbuild.errors import (
    FREE_SPACE,
    ActionError,
    EnvironmentFailure,
    Interrupted,
    Problem,
    of_os_error,
)
from tritonbuild.executors import Execution, Work, driver
from tritonbuild.executors.made import declared, tail, take
from tritonbuild.executors.process import Process, Sandbox, Spec, start
from tritonbuild.merkle import Entry, File, Folder
from tritonbuild.places import FIXED_MTIME

DRIVER = "nvidia"
"""Where the driver's libraries lie in the input root of a program with a GPU, and nothing else."""
POLL = 0.1
"""Seconds between looks at whether the build is being stopped."""
GRACE = 5.0
"""Seconds that a program that ran out of time has to end by itself."""


class Sandboxed:
    """An executor for programs."""

    def __init__(
        self,
        store: ContentStore,
        blobs: Blobs,
        trees: Trees,
        tmp: Path,
        cancellation: Cancellation,
    ):
        self._store = store
        self._blobs = blobs
        self._trees = trees
        self._tmp = tmp
        self._cancellation = cancellation

    def execute(self, work: Work) -> Execution:
        program = work.action.step
        assert isinstance(program, Program)
        folder = Path(tempfile.mkdtemp(dir=self._tmp))
        try:
            for content in work.encoded.literals:
                self._store.put(content)
            return self._run(work, program, folder)
        except OSError as error:
            raise of_os_error(error) from error
        finally:
            remove_tree(folder)

    def _run(self, work: Work, program: Program, folder: Path) -> Execution:
        root, log = folder / "root", folder / "log"
        binds = self._lay_out(work.encoded.root, root)
        for output in work.action.outputs:
            parents = PurePosixPath(output).parents
            if any((root / WORK / parent).is_symlink() for parent in parents):
                raise ActionError(
                    Problem(f"{output}: an input is a link on the way to it", "a place of its own")
                )
            make_folders((root / WORK / output).parent)
        variables = {**environment(), **program.environment}
        shown: list[Path] = []
        if work.lease is not None:
            shown = work.lease.places
            binds += [(path, f"{DRIVER}/{path.name}") for path in work.lease.driver.libraries]
        sandbox = Sandbox(
            root=root,
            binds=tuple(binds),
            network=program.network,
            outputs=work.action.outputs,
            shown=shown,
        )
        if work.lease is not None:
            variables = driver.variables(variables, work.lease, f"{sandbox.inside / DRIVER}")
        process = start(
            Spec(
                program.argv,
                variables,
                root / WORK,
                log,
                sandbox=sandbox,
                memory=int(work.action.needs.memory),
            )
        )
        exit_code = self._wait(process, work.action.timeout)
        if _free(folder) < CHUNK:  # not every program notices that what it writes is cut short
            found = f"no space is left where the program wrote; it {_ended(exit_code)}"
            raise EnvironmentFailure(Problem(found, remedy=FREE_SPACE))
        if exit_code != 0:
            raise ActionError(
                Problem(f"the program {_ended(exit_code)}:\n{tail(log)}", "exit code 0")
            )
        outputs = declared(work, lambda path: take(root / WORK, path, self._store))
        result = Result(outputs, 0, self._store.adopt(log), hermetic=process.hermetic)
        return Execution(result)

    def _wait(self, process: Process, timeout: float | None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                return process.wait(POLL)
            except TimeoutError:
                late = deadline is not None and time.monotonic() > deadline
            if late or self._cancellation:
                process.stop(grace=0 if self._cancellation else GRACE)
                if self._cancellation:
                    raise Interrupted()
                raise ActionError(
                    Problem(
                        f"still running after {timeout:g} s; stopped",
                        "an end before its timeout",
                        "raise `timeout`",
                    )
                )

    def _lay_out(self, inputs: Folder, root: Path) -> list[tuple[Path, str]]:
        """Makes the input root: small files are copied, so that the program can't reach the
        originals; large files and whole trees are bound read-only."""
        make_folders(root)
        binds: list[tuple[Path, str]] = []
        for name, entry in inputs.entries.items():
            if isinstance(entry, Folder) and name != WORK:
                try:
                    binds.append((self._trees.path(entry), name))
                    continue
                except Missing:
                    pass  # some of it lies in the workspace only
            self._place(entry, root, name, binds)
        return binds

    def _place(self, entry: Entry, root: Path, path: str, binds: list[tuple[Path, str]]) -> None:
        match entry:
            case Folder():
                make_folders(root / path)
                for name, below in entry.entries.items():
                    self._place(below, root, f"{path}/{name}", binds)
            case File(digest) if digest.size >= CHUNK and not entry.executable:
                source = self._blobs.find(digest)
                if source is None:
                    raise Missing(digest)
                binds.append((source, path))
            case _:
                materialise(entry, root / path, self._blobs, copy)


def environment() -> dict[str, str]:
    """The same for every program on every machine."""
    return {
        "PATH": "/usr/bin:/bin",
        "HOME": "/tmp",  # noqa: S108  # inside the sandbox
        "TMPDIR": "/tmp",  # noqa: S108
        "LANG": "C.UTF-8",
        "SOURCE_DATE_EPOCH": str(FIXED_MTIME),
    }


def _free(folder: Path) -> int:
    """Bytes that this user may still write there."""
    disk = os.statvfs(folder)
    return disk.f_frsize * (disk.f_bavail if os.geteuid() else disk.f_bfree)


def _ended(exit_code: int) -> str:
    if exit_code < 0:
        return f"was ended by signal {-exit_code} ({signal.Signals(-exit_code).name})"
    return f"ended with exit code {exit_code}"
