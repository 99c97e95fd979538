"""The root file system of an image as a program's own, in namespaces that need no privileges.

    /          the image's, read-only or, in memory, writable      /tmp …  empty, in memory
    /dev /proc as in the sandbox (isolation.py)                    /etc    the host's names of hosts
    /sys       the processors' topology, and what is shown

All that is the host's is taken in hand first. It is put in its places only when the image's root is
/ and the host's is gone: whatever links an image holds, they lead nowhere else.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from tritonbuild.executors import linux, mounts

_SPOT = "/tmp"  # noqa: S108
"""Where a root is put together; any folder would do, nobody else sees it there."""


def build_root(
    root: str,
    writable: bool,
    binds: list[tuple[str, str, bool]],
    shown: list[str],
    scratch: list[tuple[str, int]],
    memory: int,
) -> None:
    """Makes `root` (host path) this process's /, in new mount, IPC and UTS namespaces; the network
    is the host's. `binds` are (host path, path inside, whether it can be written there). `shown`
    are paths of the host to show in their places. `scratch` are (path, bytes) of folders in memory;
    `memory` (bytes) bounds /dev/shm and what is written elsewhere; 0 bytes: half of the machine's.
    What runs from here on has no capabilities, whoever it is."""
    mounts.leave_host(network=True)
    places: dict[str, Callable[[str], None]] = {}
    devices = [path for path in shown if path.startswith("/dev/")]
    for path in (mounts.PROCESSORS, *shown):
        if path not in devices and os.path.exists(path):
            places[path] = _taken(path)
    binds_inside = {path: _taken(source, open_) for source, path, open_ in binds}
    files = mounts.names_of_hosts(network=True)
    image, mode = linux.take(root), stat.S_IMODE(os.stat(root).st_mode)

    linux.mount("tmpfs", _SPOT, options=f"mode=755,size={memory}" if memory else "mode=755")
    os.chdir(_SPOT)
    for name in ("image", "changes", "work", "root"):
        os.mkdir(name)
    os.chmod("changes", mode)
    for path, content in files.items():
        mounts.write(path.lstrip("/"), content)
        places[path] = _taken(path.lstrip("/"))
    mounts.mount_processes("proc")
    mounts.mount_devices("dev", "", memory, devices)
    places |= {f"/{name}": _taken(name, True) for name in ("proc", "dev")}
    linux.put(image, "image")
    layers = "lowerdir=image,upperdir=changes,workdir=work,userxattr"
    linux.mount("overlay", "root", options=layers)
    os.chdir("root")
    linux.pivot_root(".", ".")
    linux.detach(".")
    os.chdir("/")

    places |= {path: _in_memory(mounts.scratch(size)) for path, size in scratch} | binds_inside
    real = {path: os.path.realpath(path) for path in places}
    for path in sorted(places, key=real.__getitem__):  # a folder before what lies in it
        places[path](real[path])
    if not writable:
        linux.make_read_only("/", recursive=False)
    linux.drop_capabilities()


def _taken(source: str, writable: bool = False) -> Callable[[str], None]:
    """Takes what lies at a path of the host in hand; what puts it down at another."""
    mount = linux.take(source)

    def put(path: str) -> None:
        mounts.make_point(path, folder=stat.S_ISDIR(os.fstat(mount).st_mode))
        linux.put(mount, path)
        os.close(mount)
        if not writable:
            linux.make_read_only(path)

    return put


def _in_memory(options: str) -> Callable[[str], None]:
    return lambda path: mounts.mount_new("tmpfs", path, mounts.QUIET, options)
