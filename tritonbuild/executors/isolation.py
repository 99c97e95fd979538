"""A root file system of its own for a program, in namespaces that need no privileges.

    /build         the input root, read-only       /proc      of its own pid namespace
    /build/work    writable, inputs read-only      /dev       null zero full random urandom tty shm,
                                                              and what is shown
    /usr /bin …    the host's, read-only           /etc       what programs and TLS need
    /tmp           empty, in memory                /sys       the processors' topology

Two steps, in this order: `enter` in the supervisor, `build_root` in the child that it forks next,
the first process of the new pid namespace. Nothing may be imported after `build_root`.
"""

from __future__ import annotations

import contextlib
import errno
import os

from tritonbuild.executors import linux

INSIDE = "/build"
_USER = 1000
_HOST_NAME = "tritonbuild"
_HOST = "/.host"
_READ_ONLY = "/.inputs"
"""Read-only sight of the input root: what is bound from it is born read-only."""

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "/dev/fd": "/proc/self/fd",
    "/dev/stdin": "/proc/self/fd/0",
    "/dev/stdout": "/proc/self/fd/1",
    "/dev/stderr": "/proc/self/fd/2",
}
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
    "/sys/devices/system/cpu",  # where ONNX Runtime and PyTorch count processors
)
_FILES = {
    "/etc/passwd": f"build:x:{_USER}:{_USER}:build:/tmp:/bin/sh\n",
    "/etc/group": f"build:x:{_USER}:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "/etc/hosts": f"127.0.0.1 localhost {_HOST_NAME}\n::1 localhost\n",
}
_QUIET = linux.MS_NOSUID | linux.MS_NODEV


def enter() -> None:
    """Puts this process into a user namespace, where it is one ordinary user whoever it is outside,
    and its future children into a pid namespace."""
    user, group = os.geteuid(), os.getegid()
    with contextlib.suppress(PermissionError):  # only root can; others keep theirs, as nobody
        os.setgroups([])
    linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWPID)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"{_USER} {user} 1")
    _write("/proc/self/gid_map", f"{_USER} {group} 1")


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
    flags = linux.CLONE_NEWNS | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
    linux.unshare(flags if network else flags | linux.CLONE_NEWNET)
    linux.set_host_name(_HOST_NAME)
    if not network:
        linux.raise_loopback()
    linux.keep_mounts_private()

    root = os.path.realpath(root)
    binds = [(os.path.realpath(source), path) for source, path in binds]
    links, shown = _system()
    devices = [path for path in more if path.startswith("/dev/")]
    shown |= {path: os.path.realpath(path) for path in more if path not in devices}
    files = _files(network)

    linux.mount("tmpfs", root, options="mode=755")  # any folder would do; this one exists
    os.mkdir(root + _HOST)
    linux.pivot_root(root, root + _HOST)
    os.chdir("/")

    for path, target in links.items():
        os.symlink(target, path)
    for path, source in shown.items():
        _show(_HOST + source, path)
    for path, content in files.items():
        _write(path, content)
    scratch = f"mode=1777,size={memory}" if memory else "mode=1777"
    _show_processes()
    _mount_new("tmpfs", "/tmp", _QUIET, scratch)  # noqa: S108
    _make_devices(scratch, devices)
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


def _files(network: bool) -> dict[str, str]:
    files = dict(_FILES)
    if network:
        for path in ("/etc/hosts", "/etc/resolv.conf"):
            with contextlib.suppress(FileNotFoundError), open(path) as file:
                files[path] = files.get(path, "") + file.read()
    return files


def _show_processes() -> None:
    """All in /proc that speaks of the host and not of a process is read-only: its owner outside,
    if that is root, could set the host's kernel through it."""
    _mount_new("proc", "/proc", _QUIET | linux.MS_NOEXEC)
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() or entry.is_symlink():
            continue
        if entry.is_dir() or entry.stat().st_mode & 0o222:
            linux.bind(entry.path, entry.path)
            linux.make_read_only(entry.path)


def _make_devices(scratch: str, more: list[str]) -> None:
    _mount_new("tmpfs", "/dev", linux.MS_NOSUID | linux.MS_NOEXEC, "mode=755")
    for path in (*(f"/dev/{name}" for name in _DEVICES), *more):
        if os.path.isdir(_HOST + path):
            os.makedirs(path)
        else:
            _write(path, "")
        linux.bind(_HOST + path, path)
    for path, target in _LINKS.items():
        os.symlink(target, path)
    _mount_new("tmpfs", "/dev/shm", _QUIET, scratch)  # noqa: S108
    linux.make_read_only("/dev", recursive=False)


def _show_inputs(root: str, work: str, outputs: list[str], binds: list[tuple[str, str]]) -> None:
    _show(_HOST + root, _READ_ONLY)
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


def _show(source: str, path: str) -> None:
    """Binds a file or folder read-only to a new mount point."""
    if os.path.isdir(source):
        os.makedirs(path)
    else:
        _write(path, "")
    linux.bind(source, path)
    linux.make_read_only(path)


def _mount_new(kind: str, path: str, flags: int, options: str = "") -> None:
    os.mkdir(path)
    linux.mount(kind, path, flags=flags, options=options)


def _write(path: str, content: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(path, "w") as file:
            file.write(content)
    except OSError as error:  # that of write() has no name
        raise OSError(error.errno, error.strerror, path) from None
