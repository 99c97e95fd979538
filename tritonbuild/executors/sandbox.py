"""The sandbox of a program: what it sees, and whether this machine can isolate it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

from tritonbuild.executors.isolation import INSIDE
from tritonbuild.executors.launch import LaunchError, launch


@dataclass(frozen=True)
class Sandbox:
    """A folder that becomes /build inside, read-only but for its working folder, in which new files
    can be made and what lies there at the start can't be changed. Nothing else of the host is seen
    but its system libraries and programs.

    On a machine without namespaces the program runs in the same folder, sees all of the host, and
    only the files' modes protect them.
    """

    root: Path
    binds: Sequence[tuple[Path, str]] = ()
    """Read-only files and folders: (on the host, below the root)."""
    network: bool = False
    """The host's network; else only a loopback of its own."""
    work: str = "work"
    outputs: Sequence[str] = ()
    """Below the working folder. New files can also be made in folders of inputs that hold one of
    these, or lie in one."""
    shown: Sequence[Path] = ()
    """More of the host that is seen in its place: devices, and read-only files and folders."""

    @property
    def inside(self) -> Path:
        """The root as the program sees it."""
        return Path(INSIDE) if namespaces_available() else self.root.absolute()

    def prepare(self, *, isolated: bool) -> None:
        """Makes the binds' mount points; links in their places where nothing can be mounted."""
        for source, path in self.binds:
            if ".." in PurePosixPath(path).parts or PurePosixPath(path).is_absolute():
                raise ValueError(f"{path} is not below the sandbox's root")
            place = self.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            if not isolated:
                place.symlink_to(source.absolute())
            elif source.is_dir():
                place.mkdir(exist_ok=True)
            else:
                place.touch()


def namespaces_available() -> bool:
    """Whether programs can be isolated on this machine."""
    return not namespaces_refusal()


def namespaces_refusal() -> str:
    """Why programs can't be isolated on this machine; empty when they can."""
    if os.environ.get("TRITONBUILD_NO_NAMESPACES", "0") not in ("", "0"):
        return "TRITONBUILD_NO_NAMESPACES is set"
    return _probe()


@cache
def _probe() -> str:
    """Tries it, once: what forbids it (sysctl, AppArmor, seccomp, a container's masked /proc) can't
    be read off in one place."""
    with tempfile.TemporaryDirectory() as root, open(os.devnull, "wb") as log:
        specification = {
            "argv": ["/bin/sh", "-c", ":"],
            "env": {},
            "cwd": "/",
            "shm_prefix": "",
            "memory": 0,
            "sandbox": (root, "", [], [], False, []),
        }
        try:
            launched = launch(specification, log.fileno())
        except LaunchError as error:
            return str(error)
        launched.supervisor.wait()
        os.close(launched.control)
        return ""
