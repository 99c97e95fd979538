"""What a root file system of its own is made of, for all programs that get one. The calling
process stands in a mount namespace that is its own; nothing may be imported once the host is
out of sight.
"""

from __future__ import annotations

import contextlib
import os

from tritonbuild.executors import linux

HOST_NAME = "tritonbuild"
PROCESSORS = "/sys/devices/system/cpu"
"""Where ONNX Runtime and PyTorch count them."""
QUIET = linux.MS_NOSUID | linux.MS_NODEV

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_HOSTS = f"127.0.0.1 localhost {HOST_NAME}\n::1 localhost\n"


def enter(user: int, group: int) -> None:
    """Puts this process into a user namespace, where it is that one ordinary user whoever it is
    outside, and its future children into a pid namespace."""
    own_user, own_group = os.geteuid(), os.getegid()
    with contextlib.suppress(PermissionError):  # only root can; others keep theirs, as nobody
        os.setgroups([])
    linux.unshare(linux.CLONE_NEWUSER | linux.CLONE_NEWPID)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{user} {own_user} 1")
    write("/proc/self/gid_map", f"{group} {own_group} 1")


def leave_host(*, network: bool) -> None:
    """New mount, IPC, UTS and, unless `network`, network namespaces."""
    flags = linux.CLONE_NEWNS | linux.CLONE_NEWIPC | linux.CLONE_NEWUTS
    linux.unshare(flags if network else flags | linux.CLONE_NEWNET)
    linux.set_host_name(HOST_NAME)
    if not network:
        linux.raise_loopback()
    linux.keep_mounts_private()


def names_of_hosts(*, network: bool) -> dict[str, str]:
    """Files of /etc, path → content; with the host's own where its network is seen."""
    files = {"/etc/hosts": _HOSTS}
    if network:
        for path in ("/etc/hosts", "/etc/resolv.conf"):
            with contextlib.suppress(FileNotFoundError, PermissionError), open(path) as file:
                files[path] = files.get(path, "") + file.read()
    return files


def scratch(memory: int) -> str:
    """Options of a tmpfs for everyone, of so many bytes (0: half of the machine's memory)."""
    return f"mode=1777,size={memory}" if memory else "mode=1777"


def mount_processes(path: str) -> None:
    """All in /proc that speaks of the host and not of a process is read-only: its owner outside,
    if that is root, could set the host's kernel through it."""
    mount_new("proc", path, QUIET | linux.MS_NOEXEC)
    for entry in os.scandir(path):
        if entry.name.isdigit() or entry.is_symlink():
            continue
        if entry.is_dir() or entry.stat().st_mode & 0o222:
            linux.bind(entry.path, entry.path)
            linux.make_read_only(entry.path)


def mount_devices(path: str, host: str, memory: int, more: list[str]) -> None:
    """A /dev with what every program may use, and `more` of the host's (`/dev/…`), whose root
    lies at `host`."""
    mount_new("tmpfs", path, linux.MS_NOSUID | linux.MS_NOEXEC, "mode=755")
    for device in (*(f"/dev/{name}" for name in _DEVICES), *more):
        place = path + device.removeprefix("/dev")
        make_point(place, folder=os.path.isdir(host + device))
        linux.bind(host + device, place)
    for name, target in _LINKS.items():
        os.symlink(target, f"{path}/{name}")
    mount_new("tmpfs", f"{path}/shm", QUIET, scratch(memory))
    linux.make_read_only(path, recursive=False)


def show(source: str, path: str) -> None:
    """Binds a file or folder read-only to a new mount point."""
    make_point(path, folder=os.path.isdir(source))
    linux.bind(source, path)
    linux.make_read_only(path)


def mount_new(kind: str, path: str, flags: int, options: str = "") -> None:
    os.makedirs(path, exist_ok=True)
    linux.mount(kind, path, flags=flags, options=options)


def make_point(path: str, *, folder: bool) -> None:
    """Something to mount on, where nothing is yet."""
    if folder:
        os.makedirs(path, exist_ok=True)
    elif not os.path.exists(path):
        write(path, "")


def write(path: str, content: str) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        with open(path, "w") as file:
            file.write(content)
    except OSError as error:  # that of write() has no name
        raise OSError(error.errno, error.strerror, path) from None
