"""The last steps of a child of the supervisor before it is the program."""

from __future__ import annotations

import errno
import os
import resource
import signal

from tritonbuild.executors import linux

_SIGNALS = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT),  # the supervisor ignores these
    *(signal.SIGPIPE, signal.SIGXFSZ),  # and Python these
)


def become(argv: list[str], env: dict[str, str], cwd: str, memory: int) -> None:
    """Turns this process into the program."""
    os.setsid()
    os.chdir(cwd)
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory:
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        limit = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    linux.forbid_new_privileges()
    _execute(argv, env)


def _execute(argv: list[str], env: dict[str, str]) -> None:
    """As os.execvpe, which imports modules when they may be out of reach."""
    path = env.get("PATH", os.defpath)
    failure: OSError = FileNotFoundError(errno.ENOENT, f"not on PATH {path}", argv[0])
    for folder in [""] if "/" in argv[0] else path.split(os.pathsep):
        file = os.path.join(folder, argv[0])
        try:
            os.execve(file, argv, env)  # noqa: S606
        except NotADirectoryError:
            continue
        except FileNotFoundError:
            if os.path.exists(file):
                missing = "its interpreter (first line, or ELF loader) does not exist"
                failure = FileNotFoundError(errno.ENOENT, missing, file)
        except OSError as error:
            failure = error
    raise failure
