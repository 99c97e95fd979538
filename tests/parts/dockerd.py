"""A Docker daemon of the test's own: its data, its socket, its network."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from docker import DockerClient
from docker.errors import DockerException

from parts.leftovers import eventually
from parts.missing import missing


class Dockerd:
    """In a folder with a short path: it makes sockets there."""

    def __init__(self, folder: Path, bridge: str):
        self.folder = folder
        self._bridge = bridge
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def host(self) -> str:
        """As DOCKER_HOST says it."""
        return f"unix://{self.folder}/socket"

    def client(self) -> DockerClient:
        return DockerClient(self.host, timeout=60)

    def start(self) -> None:
        """Returns when it answers."""
        log = self.folder / "log"
        config = self.folder / "daemon.json"
        # Not this machine's; and later engines keep images as those of today do.
        config.write_text('{"features": {"containerd-snapshotter": false}}')
        # The file of one that was killed: its number may be another process's by now.
        (self.folder / "pid").unlink(missing_ok=True)
        with log.open("ab") as output:
            self._process = process = subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig=TERM"),
                    "dockerd",
                    f"--config-file={config}",
                    f"--data-root={self.folder}/data",
                    f"--exec-root={self.folder}/exec",
                    f"--pidfile={self.folder}/pid",
                    f"--host={self.host}",
                    f"--bridge={self._bridge}",
                    "--iptables=false",
                    "--ip6tables=false",
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        eventually(lambda: process.poll() is not None or self._answers(), 60)
        assert self._answers(), log.read_text(errors="replace")[-4000:]

    def stop(self) -> None:
        """With its containers."""
        assert self._process
        self._process.terminate()
        self._process.wait(60)

    def kill(self) -> None:
        """Without a chance to put anything in order; its containerd ends with it."""
        assert self._process
        self._process.kill()
        self._process.wait()
        # Its number is taken for alive as long as nobody has reaped it.
        (self.folder / "exec/containerd/containerd.pid").unlink()

    def _answers(self) -> bool:
        try:
            self.client().close()
        except DockerException:
            return False
        return True


@contextmanager
def dockerd() -> Iterator[Dockerd]:
    """A running daemon without images."""
    if shutil.which("dockerd") is None:
        missing("dockerd is not installed", "as root, `tests/install` installs it")
    if os.geteuid():
        missing("dockerd needs root", "run the tests as root")
    folder = Path(tempfile.mkdtemp(prefix="dockerd-"))
    with _bridge() as bridge:
        daemon = Dockerd(folder, bridge)
        try:
            daemon.start()
            yield daemon
        finally:
            daemon.stop()
            mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
            for mount in reversed(mounts):
                if mount.startswith(f"{folder}/"):
                    subprocess.run(["umount", "--lazy", mount], check=True)
            shutil.rmtree(folder)


@contextmanager
def _bridge() -> Iterator[str]:
    """A network for one daemon: two that share one give out the same addresses."""
    name, number = f"tb{os.getpid()}", os.getpid() % 512
    address = f"198.{18 + number % 2}.{number // 2}.1/24"
    link = ["ip", "link"]
    subprocess.run([*link, "add", "name", name, "type", "bridge"], check=True)
    try:
        subprocess.run(["ip", "address", "add", address, "dev", name], check=True)
        subprocess.run([*link, "set", name, "up"], check=True)
        yield name
    finally:
        subprocess.run([*link, "delete", name], check=True)
