"""A root file system of its own for a program, in namespaces that need no privileges.

    /build         the input root, read-only       /proc      of its own pid namespace
    /build/work    writable, inputs read-only      /dev       null zero full random urandom tty shm,
                                                              and what is shown
    /usr /bin …    the host's, read-only           /etc       what programs and TLS need
    /tmp           empty, in memory                /sys       the processors' topology

Two steps, in this order: `mounts.enter` in the supervisor, `build_root` in the child that it forks
next, the first process of the new pid namespace. Nothing may be imported after `build_root`.
"""

from __future__ import annotations

import errno
import os

from tritonbuild.executors import linux, mounts

INSIDE = "/build"
USER = 1000
_HOST = "/.host"
_READ_ONLY = "/.inputs"
"""Read-only sight of the input root: what is bound from it is born read-only."""

_SHOWN = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    mounts.PROCESSORS,
)
_FILES = {
    "/etc/passwd": f"build:x:{USER}:{USER}:build:/tmp:/bin/sh\n",
    "/etc/group": f"build:x:{USER}:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def build_root(
    root: str,
    work: str,
    outputs: list[str],
    binds: list[tuple[str, str]],
    network: bool,
    more: list[str],
    memory: int,
) -> None:
    """Makes `root` (host path) this process's /build, in new mount, IPC, UTS and, unless `network`,
    network namespaces. `outputs` are paths below `work`, which is a folder of the root. `binds` are
    (host path, path below the root); their mount points exist. `more` are paths of the host to show
    in their places.
    `memory` (bytes, 0: half of the machine's) bounds /tmp and /dev/shm."""
    mounts.leave_host(network=network)

    root = os.path.realpath(root)
    binds = [(os.path.realpath(source), path) for source, path in binds]
    links, shown = _system()
    devices = [path for path in more if path.startswith("/dev/")]
    shown |= {path: os.path.realpath(path) for path in more if path not in devices}
    files = _FILES | mounts.names_of_hosts(network=network)

    linux.mount("tmpfs", root, options="mode=755")  # any folder would do; this one exists
    os.mkdir(root + _HOST)
    linux.pivot_root(root, root + _HOST)
    os.chdir("/")

    for path, target in links.items():
        os.symlink(target, path)
    for path, source in shown.items():
        mounts.show(_HOST + source, path)
    for path, content in files.items():
        mounts.write(path, content)
    mounts.mount_processes("/proc")
    mounts.mount_new("tmpfs", "/tmp", mounts.QUIET, mounts.scratch(memory))  # noqa: S108
    mounts.mount_devices("/dev", _HOST, memory, devices)
    _show_inputs(root, work, outputs, binds)
    linux.detach(_HOST)
    os.rmdir(_HOST)
    linux.make_read_only("/", recursive=False)


def _system() -> tuple[dict[str, str], dict[str, str]]:
    """The links to make, and the folders and files of the host to show, by their paths."""
    links: dict[str, str] = {}
    shown = {path: os.path.realpath(path) for path in _SHOWN if os.path.exists(path)}
    for name in os.listdir("/"):
        path = f"/{name}"
        if name in ("usr", "bin", "sbin") or name.startswith("lib"):
            if os.path.islink(path):
                links[path] = os.readlink(path)
            elif os.path.isdir(path):
                shown[path] = path
    return links, shown


def _show_inputs(root: str, work: str, outputs: list[str], binds: list[tuple[str, str]]) -> None:
    mounts.show(_HOST + root, _READ_ONLY)
    os.mkdir(INSIDE)
    linux.bind(_READ_ONLY, INSIDE)
    linux.bind(f"{_HOST}{root}/{work}", f"{INSIDE}/{work}")
    _protect(work, [f"{work}/{output}/" for output in outputs])
    linux.detach(_READ_ONLY)
    os.rmdir(_READ_ONLY)
    for source, path in binds:
        linux.bind(_HOST + source, f"{INSIDE}/{path}")
        linux.make_read_only(f"{INSIDE}/{path}")


def _protect(folder: str, outputs: list[str]) -> None:
    """Makes read-only what lies in a folder: whole folders where no output goes, of which one mount
    each is enough, since a machine has a limit for those."""
    for entry in os.scandir(f"{_READ_ONLY}/{folder}"):
        path = f"{folder}/{entry.name}"
        if entry.is_symlink():
            continue
        if entry.is_dir() and any(
            output.startswith(f"{path}/") or path.startswith(output) for output in outputs
        ):
            _protect(path, outputs)
            continue
        try:
            linux.bind(f"{_READ_ONLY}/{path}", f"{INSIDE}/{path}")
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            reason = "more files lie beside outputs than fs.mount-max allows mounts"
            raise OSError(errno.ENOSPC, reason, path) from None
