"""Starts a supervisor and talks to it; see supervisor.py for what it does and hears."""

from __future__ import annotations

import contextlib
import marshal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent.parent
# The supervisor's modules without their packages, whose imports would take longer than they do.
_MAIN = """
import sys
for name in ("", ".executors"):
    package = sys.modules["tritonbuild" + name] = type(sys)("tritonbuild" + name)
    package.__path__ = [sys.argv[1] + name.replace(".", "/")]
from tritonbuild.executors.supervisor import main
main(int(sys.argv[2]))
"""
MESSAGE_SIZE = 4096


class LaunchError(Exception):
    """The program could not be started; the text says why."""


@dataclass(frozen=True)
class Launched:
    """A program under its supervisor."""

    supervisor: subprocess.Popen[bytes]
    control: int
    """This end of the socket. Once it is closed, the program ends."""
    pid: int


def launch(specification: dict[str, Any], log: int) -> Launched:
    """Returns when the program runs. `specification` holds the parameters of supervisor._run, plain
    values only; `log` is the file descriptor of the program's output. Raises LaunchError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    # As this process encodes paths, whatever PYTHONUTF8, which -I ignores, says.
    encoding = f"utf8={sys.flags.utf8_mode}"
    interpreter = [sys.executable, "-I", "-S", "-X", encoding, "-c", _MAIN]
    with ours, theirs:
        supervisor = subprocess.Popen(
            [*interpreter, str(_PACKAGE), str(theirs.fileno())],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # out of reach of the terminal's Ctrl-C
        )
        theirs.close()
        try:
            assert supervisor.stdin
            with contextlib.suppress(BrokenPipeError), supervisor.stdin as stdin:
                marshal.dump(specification, stdin)
            word, _, rest = ours.recv(MESSAGE_SIZE).decode(errors="replace").partition(" ")
            if word == "started":
                return Launched(supervisor, ours.detach(), int(rest))
        except BaseException:
            ours.close()
            supervisor.wait()
            raise
        supervisor.wait()
        raise LaunchError(rest or "its supervisor ended at once")
