"""The system calls that the supervisor needs and that Python's `os` lacks before 3.12.

Each raises OSError that names the call. Numbers are those of <linux/sched.h>, <linux/mount.h>,
<linux/prctl.h> and <linux/sockios.h>, the same on every architecture.
"""

from __future__ import annotations

import ctypes
import os

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
_MS_BIND = 0x1000
_MS_REC = 0x4000
_MS_PRIVATE = 0x40000
_MNT_DETACH = 0x2

_SYS_OPEN_TREE = 428
_SYS_MOVE_MOUNT = 429
_SYS_MOUNT_SETATTR = 442
_OPEN_TREE_CLONE = 0x1
_MOVE_MOUNT_F_EMPTY_PATH = 0x4
_AT_FDCWD = -100
_AT_RECURSIVE = 0x8000
_MOUNT_ATTR_RDONLY = 0x1

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

_AF_INET = 2
_SOCK_DGRAM = 2
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1

_libc = ctypes.CDLL(None, use_errno=True)


class _MountAttr(ctypes.Structure):
    """struct mount_attr of mount_setattr(2)."""

    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns_fd")]


def _done(result: int, call: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), call)


def die_with_parent(signal: int) -> None:
    """This process gets the signal when the one that forked it ends; not if it has ended before."""
    _done(_libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal), 0, 0, 0), "prctl(PDEATHSIG)")


def adopt_orphans() -> None:
    """Makes this process the parent of every descendant whose own parent ends."""
    one = ctypes.c_ulong(1)
    _done(_libc.prctl(_PR_SET_CHILD_SUBREAPER, one, 0, 0, 0), "prctl(CHILD_SUBREAPER)")


def forbid_new_privileges() -> None:
    """Programs gain nothing from setuid bits from here on, so that they can always be killed."""
    zero = ctypes.c_ulong(0)
    _done(
        _libc.prctl(_PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), zero, zero, zero),
        "prctl(NO_NEW_PRIVS)",
    )


def drop_capabilities() -> None:
    """Programs that are started from here on get none, also those of user 0."""
    zero = ctypes.c_ulong(0)
    with open("/proc/sys/kernel/cap_last_cap") as file:
        last = int(file.read())
    for number in range(last + 1):
        result = _libc.prctl(_PR_CAPBSET_DROP, ctypes.c_ulong(number), zero, zero, zero)
        _done(result, "prctl(CAPBSET_DROP)")


def unshare(flags: int) -> None:
    _done(_libc.unshare(flags), "unshare")


def mount(kind: str, target: str, *, flags: int = 0, options: str = "") -> None:
    """A new file system of that kind."""
    _done(
        _libc.mount(
            kind.encode(),
            os.fsencode(target),
            kind.encode(),
            ctypes.c_ulong(flags),
            options.encode(),
        ),
        f"mount {kind} on {target}",
    )


def bind(source: str, target: str) -> None:
    """Shows `source`, with what is mounted below it, also at `target`."""
    _done(
        _libc.mount(
            os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(_MS_BIND | _MS_REC), None
        ),
        f"bind {source} to {target}",
    )


def take(source: str) -> int:
    """A file descriptor of `source`, with what is mounted below it, to be `put` where `source` is
    out of sight."""
    flags = ctypes.c_uint(_OPEN_TREE_CLONE | _AT_RECURSIVE | os.O_CLOEXEC)
    result = _libc.syscall(ctypes.c_long(_SYS_OPEN_TREE), _AT_FDCWD, os.fsencode(source), flags)
    _done(result, f"open_tree {source}")
    return int(result)


def put(mount: int, target: str) -> None:
    """Shows what was taken at `target`."""
    flags = ctypes.c_uint(_MOVE_MOUNT_F_EMPTY_PATH)
    _done(
        _libc.syscall(
            ctypes.c_long(_SYS_MOVE_MOUNT), mount, b"", _AT_FDCWD, os.fsencode(target), flags
        ),
        f"move_mount to {target}",
    )


def keep_mounts_private() -> None:
    """What this process mounts from here on is not seen by others."""
    flags = ctypes.c_ulong(_MS_REC | _MS_PRIVATE)
    _done(_libc.mount(None, b"/", None, flags, None), "make mounts private")


def make_read_only(target: str, *, recursive: bool = True) -> None:
    """Linux ≥ 5.12."""
    attributes = _MountAttr(set=_MOUNT_ATTR_RDONLY)
    _done(
        _libc.syscall(
            ctypes.c_long(_SYS_MOUNT_SETATTR),
            _AT_FDCWD,
            os.fsencode(target),
            _AT_RECURSIVE if recursive else 0,
            ctypes.byref(attributes),
            ctypes.c_size_t(ctypes.sizeof(attributes)),
        ),
        f"mount_setattr({target}) to read-only",
    )


def pivot_root(new_root: str, old_root: str) -> None:
    _done(_libc.pivot_root(os.fsencode(new_root), os.fsencode(old_root)), "pivot_root")


def detach(target: str) -> None:
    """Unmounts it, with what is mounted below it."""
    _done(_libc.umount2(os.fsencode(target), _MNT_DETACH), f"umount {target}")


def set_host_name(name: str) -> None:
    _done(_libc.sethostname(name.encode(), ctypes.c_size_t(len(name))), "sethostname")


def raise_loopback() -> None:
    """Brings up `lo` in a new network namespace, netdevice(7)."""
    socket = _libc.socket(_AF_INET, _SOCK_DGRAM, 0)
    _done(socket, "socket")
    request = ctypes.create_string_buffer(
        b"lo".ljust(16, b"\0") + _IFF_UP.to_bytes(2, "little"), 40
    )
    try:
        _done(_libc.ioctl(socket, ctypes.c_ulong(_SIOCSIFFLAGS), request), "raise the loopback")
    finally:
        os.close(socket)
