"""Files of the workspace whose content stands elsewhere: a Git LFS pointer in the file's place
(https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md), or a `.dvc` file beside it
(https://dvc.org/doc/user-guide/project-structure/dvc-files). The content goes into the cache;
the workspace is left as it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import IO, Protocol

from tritonbuild.digest import CHUNK, Digest
from tritonbuild.errors import ActionError, Problem
from tritonbuild.workspace import TRACKED

LIMIT = 1024
"""Bytes of the largest pointer of Git LFS."""
MAGIC = b"version https://git-lfs.github.com/spec/"
_INSTALL_LFS = (
    "apt-get install git-lfs, or https://git-lfs.com; then git lfs install && git lfs pull"
)
_INSTALL_DVC = "pip install dvc"


class Store(Protocol):
    """Where the content goes."""

    @property
    def tmp(self) -> Path: ...
    def find(self, digest: Digest) -> Path | None: ...
    def adopt(self, file: Path) -> Digest: ...


@dataclass(frozen=True)
class _Tracked:
    """What a `.dvc` file says of one file."""

    md5: str
    legacy: bool
    """Made by DVC 2, which kept its cache otherwise, and took a text's MD5 with Unix line ends."""


class Pointers:
    """What pointers of a workspace stand for. Thread-safe."""

    def __init__(
        self,
        root: Path,
        store: Store,
        check: Callable[[], None] = lambda: None,
        *,
        fetches: bool = True,
    ):
        """`check` is called now and then; what it raises ends the work. Without `fetches`, what
        is not on this machine cannot be had."""
        self._root = root
        self._store = store
        self._check = check
        self._fetches = fetches
        self._lock = threading.Lock()
        self._media: dict[Path, Path | None] = {}
        """Repository, or folder outside of any → where Git LFS keeps its objects for it."""

    def has(self, digest: Digest) -> bool:
        """Whether the content is there already."""
        return self._store.find(digest) is not None

    def lfs(self, path: str, pointer: bytes) -> Digest:
        """Of the file that a pointer stands for. Raises ActionError when it cannot be had."""
        digest = parse(pointer)
        if digest is None:
            raise _refused(path, "is a damaged Git LFS pointer", f"git checkout -- {quote(path)}")
        if self.has(digest):
            return digest
        media = self._media_of(_repository(self._root.joinpath(path).parent))
        kept = media and media / digest.hash[:2] / digest.hash[2:4] / digest.hash
        with self._new_file() as (file, stream):
            if kept and kept.is_file():
                self._copy(kept, stream)
                got = self._store.adopt(file)
                if got == digest:
                    return digest
        if media is None:
            found = "is a Git LFS pointer, not the file itself"
            if shutil.which("git-lfs") is None:
                raise _refused(path, f"{found}, and git-lfs is not installed", _INSTALL_LFS)
            remedy = f"git lfs install && git lfs pull --include {quote(path)}"
            raise _refused(path, f"{found}, and it does not lie in a Git repository", remedy)
        if not self._fetches:
            raise _refused(path, "is a Git LFS pointer, not the file itself", "git lfs pull")
        return self._smudge(path, pointer, digest)

    def dvc(self, path: str, tracked: bytes) -> Digest:
        """Of the file that DVC keeps elsewhere. Raises ActionError when it cannot be had."""
        pull = f"dvc pull {quote(path + TRACKED)}"
        said = _parse_dvc(tracked, path.rpartition("/")[2])
        if said is None:
            raise _refused(path, f"is not there, and {path}{TRACKED} tells no file's md5", pull)
        if said.md5.endswith(".dir"):
            raise _refused(path, f"is not there, and {path}{TRACKED} stands for a folder", pull)
        top = next((p for p in (self._root / path).parents if (p / ".dvc").is_dir()), None)
        place = top and _dvc_cache(top, said)
        if self._fetches and place and not place.is_file() and shutil.which("dvc"):
            # Into DVC's cache; the workspace stays as it is.
            name = f"{path.rpartition('/')[2]}{TRACKED}"
            self._run(["dvc", "fetch", "--quiet", name], self._root.joinpath(path).parent, None)
        if not place or not place.is_file():
            found = f"is not there, and DVC has what {path}{TRACKED} stands for in no cache here"
            raise _refused(path, found, pull if shutil.which("dvc") else f"{_INSTALL_DVC}; {pull}")
        with self._new_file() as (file, stream):
            md5, unix = self._copy(place, stream)
            if said.md5 not in ((md5, unix) if said.legacy else (md5,)):
                found = f"is not there, and in DVC's cache it is damaged: md5 {md5}, not {said.md5}"
                raise _refused(path, found, f"rm {quote(str(place))}; {pull}")
            return self._store.adopt(file)

    def _smudge(self, path: str, pointer: bytes, digest: Digest) -> Digest:
        """From the remote, a file at a time; `git lfs fetch` before is faster for many."""
        folder = self._root.joinpath(path).parent
        with self._new_file() as (file, stream):
            said = self._run(["git", "lfs", "smudge", "--", path], folder, stream, pointer)
            got = self._store.adopt(file)
        if got == digest:
            return digest
        why = f": {said}" if said else f": Git LFS gave {got}, not {digest}"
        raise _refused(
            path,
            f"is a Git LFS pointer, and the file itself cannot be had{why}",
            f"git lfs install && git lfs pull --include {quote(path)}",
        )

    def _media_of(self, folder: Path) -> Path | None:
        """Where Git LFS keeps objects for a repository; None without it, or if it is none."""
        with self._lock:
            if folder not in self._media:
                with tempfile.TemporaryFile() as output:
                    failed = self._run(["git", "lfs", "env"], folder, output)
                    output.seek(0)
                    match = re.search(rb"^LocalMediaDir=(.+)$", output.read(), re.M)
                media = Path(os.fsdecode(match[1])) if match and not failed else None
                # Outside of a repository it tells a relative one.
                self._media[folder] = media if media and media.is_absolute() else None
            return self._media[folder]

    def _run(
        self, argv: Sequence[str], folder: Path, output: IO[bytes] | None, given: bytes = b""
    ) -> str:
        """Runs a program of Git's or DVC's; why it failed, or nothing."""
        environment = {
            name: value for name, value in os.environ.items() if name != "GIT_LFS_SKIP_SMUDGE"
        } | {"GIT_TERMINAL_PROMPT": "0"}
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as written:
            written.write(given)
            written.seek(0)
            try:
                process = subprocess.Popen(
                    argv, cwd=folder, env=environment, stdin=written,
                    stdout=output or subprocess.DEVNULL, stderr=said,
                )  # fmt: skip
            except FileNotFoundError:
                return f"{argv[0]} is not installed"
            try:
                while True:
                    try:
                        exit_code = process.wait(0.1)
                        break
                    except subprocess.TimeoutExpired:
                        self._check()
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            said.seek(0)
            words = said.read().decode(errors="replace").strip()[-1000:]
        # What is before an @ may be a password.
        return re.sub(r"(?<=://)[^/\s]*@", "", words or f"exit {exit_code}") if exit_code else ""

    def _copy(self, source: Path, target: IO[bytes]) -> tuple[str, str]:
        """The MD5 of what was copied, and the one that DVC 2 gave it if it took it for text."""
        md5, unix = (hashlib.md5(usedforsecurity=False) for _ in range(2))
        with source.open("rb") as stream:
            while chunk := stream.read(CHUNK):  # of a MiB, as DVC's are
                self._check()
                md5.update(chunk)
                unix.update(chunk.replace(b"\r\n", b"\n"))
                target.write(chunk)
        target.flush()
        return md5.hexdigest(), unix.hexdigest()

    @contextmanager
    def _new_file(self) -> Iterator[tuple[Path, IO[bytes]]]:
        """On the cache's file system."""
        with tempfile.NamedTemporaryFile(dir=self._store.tmp, delete=False) as stream:
            file = Path(stream.name)
            try:
                yield file, stream.file
            finally:
                file.unlink(missing_ok=True)


def _repository(folder: Path) -> Path:
    """The Git repository around a folder; the folder itself where none is seen."""
    return next((p for p in (folder, *folder.parents) if (p / ".git").exists()), folder)


def is_pointer(content: bytes) -> bool:
    """Whether a file with this content, or that begins so, is a pointer of Git LFS."""
    return len(content) <= LIMIT and content.startswith(MAGIC)


def is_pointer_file(file: Path) -> bool:
    """Whether Git LFS has the content of a file."""
    with file.open("rb") as stream:
        return is_pointer(stream.read(LIMIT + 1))


def parse(pointer: bytes) -> Digest | None:
    """What a Git LFS pointer says; None for what is none."""
    try:
        lines = dict(line.split(" ", 1) for line in pointer.decode().splitlines())
    except ValueError:
        return None
    oid = re.fullmatch("sha256:([0-9a-f]{64})", lines.get("oid", ""))
    if oid is None or not lines.get("size", "").isdecimal():
        return None
    return Digest(oid[1], int(lines["size"]))


def _parse_dvc(content: bytes, name: str) -> _Tracked | None:
    """Of its one output. DVC writes these files itself, a value a line."""
    text = content.decode(errors="replace")
    outs = re.search(r"^outs:\n((?:[ -].*\n?)+)", text, re.M)
    if outs is None:
        return None
    said = dict(re.findall(r"^(?:- |  )(\w+): (.+?)\s*$", outs[1], re.M))
    if len(re.findall("^- ", outs[1], re.M)) != 1 or "md5" not in said:
        return None
    if not re.fullmatch(r"[0-9a-f]{32}(\.dir)?", said["md5"]):
        return None
    return _Tracked(said["md5"], said.get("hash") != "md5")


def _dvc_cache(top: Path, said: _Tracked) -> Path:
    """Where DVC's cache would have a file; `cache.dir` of its configuration may move it."""
    import configparser

    config = configparser.ConfigParser(interpolation=None)
    with_errors = (configparser.Error, UnicodeDecodeError)
    for file in ("config", "config.local"):
        try:
            config.read(top / ".dvc" / file)
        except with_errors:
            continue
    cache = top / ".dvc" / config.get("cache", "dir", fallback="cache")
    return Path(cache, *(() if said.legacy else ("files", "md5")), said.md5[:2], said.md5[2:])


def _refused(path: str, found: str, remedy: str) -> ActionError:
    return ActionError(Problem(f"{path} {found}", "the file's content", remedy, file=path))
