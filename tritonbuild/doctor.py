"""What builds need of a machine, looked at one by one."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tritonbuild import gpus
from tritonbuild.cache.trees import clone
from tritonbuild.errors import EnvironmentFailure
from tritonbuild.executors.sandbox import namespaces_refusal
from tritonbuild.places import cache_root

OLDEST_GLIBC = (2, 36)
"""Of the bundled Python, Debian 12's."""
ROOM = 2 << 30
"""Bytes that the first build of a small workspace takes in the cache, with some to spare."""
SHARED_MEMORY = 64 << 20
"""Bytes; each instance of a Python model takes at least one mebibyte."""


@dataclass(frozen=True)
class Finding:
    subject: str
    ok: bool | None
    """None: it works, with less."""
    text: str
    remedy: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def examine(root: Path) -> list[Finding]:
    """Looks at this machine for a workspace, or for one that is to be made in a folder."""
    checks: tuple[Callable[[Path], Iterator[Finding]], ...] = (
        _python,
        _glibc,
        _cache,
        _links,
        _shared_memory,
        _sandbox,
        _gpus,
        _docker,
    )
    return [finding for check in checks for finding in check(root)]


def _python(root: Path) -> Iterator[Finding]:
    yield Finding("Python", True, f"{platform.python_version()} at {sys.prefix}")


def _glibc(root: Path) -> Iterator[Finding]:
    name, version = platform.libc_ver()
    if name != "glibc":
        yield Finding("C library", False, f"{name or 'not glibc'}", "use a system with glibc")
        return
    ok = tuple(map(int, version.split("."))) >= OLDEST_GLIBC
    wanted = ".".join(map(str, OLDEST_GLIBC))
    yield Finding("C library", ok, f"glibc {version}", "" if ok else f"glibc {wanted} or newer")


def _cache(root: Path) -> Iterator[Finding]:
    cache = cache_root()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache):
            pass
    except OSError as error:
        remedy = "name another with --cache-dir or TRITONBUILD_CACHE_DIR"
        yield Finding("cache", False, f"{cache} cannot be written: {error.strerror}", remedy)
        return
    free = shutil.disk_usage(cache).free
    enough = True if free >= ROOM else None
    yield Finding("cache", enough, f"{cache}, {free / 1e9:.1f} GB free")


def _links(root: Path) -> Iterator[Finding]:
    cache = cache_root()
    if not os.access(cache, os.W_OK):  # told already
        return
    same = os.stat(cache).st_dev == os.stat(root).st_dev
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        source = Path(folder) / "a"
        source.write_bytes(b"x" * 4096)
        blocks = clone(source, Path(folder) / "b")
    if same and blocks:
        yield Finding("outputs", True, "share blocks with the cache (reflinks)")
    elif same:
        yield Finding("outputs", True, "are hard links into the cache")
    else:
        text = "the cache is on another file system: what programs make is copied to outputs"
        yield Finding("outputs", None, text, "put the cache beside the workspace")


def _shared_memory(root: Path) -> Iterator[Finding]:
    try:
        free = shutil.disk_usage("/dev/shm").free  # noqa: S108  # only looked at
    except OSError:
        yield Finding("shared memory", False, "there is no /dev/shm", "mount a tmpfs there")
        return
    ok = True if free >= SHARED_MEMORY else None
    yield Finding("shared memory", ok, f"{free / 1e6:.0f} MB free in /dev/shm")


def _sandbox(root: Path) -> Iterator[Finding]:
    reason = namespaces_refusal()
    if not reason:
        yield Finding("sandbox", True, "user namespaces are allowed")
    else:
        text = f"commands run without isolation ({reason}); their results stay on this machine"
        yield Finding("sandbox", None, text, "allow unprivileged user namespaces")


def _gpus(root: Path) -> Iterator[Finding]:
    try:
        found = gpus.driver()
    except EnvironmentFailure as error:
        text = f"{error.problems[0].found}; none is needed but for commands with `gpu`"
        yield Finding("GPU", True, text)
        return
    names = ", ".join([*map(str, found.gpus), *found.unusable]) or "none"
    yield Finding("GPU", True, f"{names}; driver {found.version}, CUDA {found.cuda}")


def _docker(root: Path) -> Iterator[Finding]:
    import docker
    from docker.errors import DockerException

    try:
        version = docker.from_env(timeout=3).version()["Version"]
        yield Finding("Docker", True, f"a daemon answers, version {version}")
    except DockerException:
        yield Finding("Docker", True, "no daemon answers; none is needed")
