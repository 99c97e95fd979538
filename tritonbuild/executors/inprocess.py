"""Runs tools as functions of this process."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TypeVar

from tritonbuild.action import WORK, ToolCall
from tritonbuild.atomic import remove_tree
from tritonbuild.cache import Blobs, ContentStore, Result
from tritonbuild.cache.trees import Missing, Trees, materialise, point
from tritonbuild.cancel import Cancellation
from tritonbuild.digest import Digest
from tritonbuild.errors import ActionError, Interrupted, Problem, TritonbuildError, of_os_error
from tritonbuild.executors import Execution, Work, driver, memory
from tritonbuild.executors.made import declared, tail, take
from tritonbuild.gpus import Lease
from tritonbuild.merkle import Conflict, Entry, File, Folder, Symlink, folder_of
from tritonbuild.tools import Container

if TYPE_CHECKING:
    from tritonbuild.executors.process import Process

Taken = TypeVar("Taken", File, Folder)
_WORDS = {File: "a file", Folder: "a folder", Symlink: "a link", type(None): "not there"}


class InProcess:
    """An executor for tools."""

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
        self._lock = threading.Lock()
        memory.share()
        self.bytes_pulled = 0
        """From outside this machine, by all tools so far."""

    def execute(self, work: Work) -> Execution:
        with tempfile.NamedTemporaryFile("w", dir=self._tmp, delete=False) as log:
            path = Path(log.name)
            try:
                result = self._succeed(work, log)
                log.flush()
                return Execution(replace(result, log=self._store.adopt(path)))
            except ActionError as error:
                log.flush()
                if not work.action.is_test and (said := tail(path)) not in str(error):
                    *others, last = error.problems
                    error.problems = (*others, replace(last, found=f"{last.found}\n{said}"))
                raise
            finally:
                path.unlink(missing_ok=True)

    def _succeed(self, work: Work, log: IO[str]) -> Result:
        """Only a test's verdict is told by its exit code."""
        result = self.run(work, log)
        if result.exit_code and not work.action.is_test:
            found = f"the tool ended with exit code {result.exit_code}"
            raise ActionError(Problem(found, "exit code 0"))
        return result

    def run(self, work: Work, log: IO[str]) -> Result:
        """Runs a tool, its log going where it is told."""
        call = work.action.step
        inputs = work.encoded.root.get(WORK)
        assert isinstance(call, ToolCall)
        assert isinstance(inputs, Folder)
        assert work.tool is not None
        for content in work.encoded.literals:
            self._store.put(content)
        parts = (self._store, self._blobs, self._trees, self._cancellation)
        context = Context(call.parameters, inputs, log, self._tmp, *parts, hints=call.hints)
        context.lease = work.lease
        try:
            exit_code = work.tool(context)
            if self._cancellation:
                raise Interrupted()
            return Result(context.outputs(work), exit_code)
        except TritonbuildError:
            if self._cancellation:
                raise Interrupted() from None
            raise
        except OSError as error:
            raise of_os_error(error) from error
        finally:
            context.close()
            with self._lock:
                self.bytes_pulled += context.pulled
            context.clear()


class Context:
    """Implements tools.ToolContext."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        inputs: Folder,
        log: IO[str],
        tmp: Path,
        store: ContentStore,
        blobs: Blobs,
        trees: Trees,
        cancellation: Cancellation,
        hints: Mapping[str, Any] | None = None,
    ):
        self.parameters = parameters
        self.hints = hints or {}
        self.inputs = inputs
        self.lease: Lease | None = None
        self.log = log
        self._tmp = tmp
        self._private: Path | None = None
        self._making = threading.Lock()
        self._store = store
        self._blobs = blobs
        self._trees = trees
        self._cancellation = cancellation
        self.pulled = 0
        self._written: dict[str, Entry] = {}
        self._paths: dict[str, Path] = {}
        self._processes: list[Process] = []

    @property
    def _folder(self) -> Path:
        """Of this call alone. Made when it is wanted: most tools only link, and making and
        removing a folder takes longer than all that they do."""
        with self._making:
            if self._private is None:
                self._private = Path(tempfile.mkdtemp(dir=self._tmp))
            return self._private

    def clear(self) -> None:
        """Removes what the call left behind."""
        if self._private is not None:
            remove_tree(self._private)

    @property
    def gpus(self) -> Sequence[str]:
        return tuple(gpu.uuid for gpu in self.lease.gpus) if self.lease is not None else ()

    @property
    def scratch(self) -> Path:
        path = self._folder / "scratch"
        path.mkdir(exist_ok=True)
        return path

    def kept(self, name: str, make: Callable[[Path], None]) -> Path:
        return self._trees.kept(name, make)

    @property
    def cancelled(self) -> bool:
        return bool(self._cancellation)

    def progress(self, done: int, total: int) -> None:
        self.pulled = done

    def read(self, path: str) -> bytes:
        file = self._file(path)
        try:
            return self._store.read(file.digest)
        except KeyError:
            return self._find(file).read_bytes()

    def open(self, path: str) -> BinaryIO:
        return self._find(self._file(path)).open("rb")

    def path(self, path: str) -> Path:
        entry = self.inputs.get(path)
        match entry:
            case File():
                return self._find(entry)
            case Folder():
                try:
                    return self._trees.path(entry)
                except Missing:  # some of it lies in the workspace, which may change: not shared
                    if path not in self._paths:
                        private = Path(tempfile.mkdtemp(dir=self._folder)) / "tree"
                        materialise(entry, private, self._blobs, point)
                        self._paths[path] = private
                    return self._paths[path]
        raise KeyError(path)

    def has(self, digest: Digest) -> bool:
        return self._blobs.find(digest) is not None

    def find(self, digest: Digest) -> Path | None:
        return self._blobs.find(digest)

    def put(self, content: bytes | Path) -> Digest:
        return (
            self._store.put(content) if isinstance(content, bytes) else self._store.adopt(content)
        )

    def link(self, path: str, entry: Entry) -> None:
        self._written[path] = entry

    def write(self, path: str, content: bytes, *, executable: bool = False) -> File:
        file = File(self._store.put(content), executable)
        self._written[path] = file
        return file

    def adopt(self, path: str, file: Path) -> File:
        entry = self._take(file, File)
        self._written[path] = entry
        return entry

    def gather(self, path: str, folder: Path) -> Folder:
        entry = self._take(folder, Folder)
        self._written[path] = entry
        return entry

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
        from tritonbuild.executors.process import Spec, start

        if container is not None and self.lease is not None:
            container = driver.with_gpus(container, self.lease)
            env = driver.variables(env, self.lease)
        spec = Spec(tuple(argv), dict(env), cwd, log, shm_prefix=shm_prefix, container=container)
        process = start(spec)
        self._processes.append(process)
        return process

    def close(self) -> None:
        """Ends what the tool left running."""
        for process in self._processes:
            if process.poll() is None:
                process.stop(grace=0)

    def outputs(self, work: Work) -> dict[str, Entry]:
        """The declared outputs. Raises ActionError when one was not made."""
        return declared(work, self.made().get)

    def made(self) -> Folder:
        """All that was written. Raises ActionError when one path was written twice."""
        try:
            return folder_of(self._written)
        except Conflict as error:
            raise ActionError(Problem(str(error))) from None

    def _take(self, path: Path, kind: type[Taken]) -> Taken:
        own = self._private
        root = own if own is not None and path.is_relative_to(own) else path.parent
        entry = take(root, str(path.relative_to(root)), self._store)
        if not isinstance(entry, kind):
            found = f"{path.name} is {_WORDS[type(entry)]}"
            raise ActionError(Problem(found, _WORDS[kind], "files are adopted, folders gathered"))
        return entry

    def _file(self, path: str) -> File:
        entry = self.inputs.get(path)
        if not isinstance(entry, File):
            raise KeyError(path)
        return entry

    def _find(self, file: File) -> Path:
        path = self._blobs.find(file.digest)
        if path is None:
            raise Missing(file.digest)
        return path
