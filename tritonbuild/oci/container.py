"""An image at work in Docker, in the foreground; whatever ends it, no container is left."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tritonbuild.oci.daemon import told
from tritonbuild.oci.errors import OciError

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

LABEL = "tritonbuild.run"
"""Of a container: whose it is."""
_POLL = 0.2
_GRACE = 40
"""Seconds to stop in: a Triton takes up to 30 for requests that are still in it."""


@dataclass(frozen=True)
class Terms:
    """How an image is run, where not as its config says."""

    command: Sequence[str] = ()
    ports: Mapping[int, int] = field(default_factory=dict)
    """Of the container → on 127.0.0.1 here; 0: one that is free."""
    user: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: Mapping[str, Path] = field(default_factory=dict)
    """Path inside → file or folder here, read-only."""
    shm_size: int = 64 << 20
    """Bytes."""
    read_only: bool = False
    """The root, but for /tmp."""
    privileges: bool = True
    """Without, all capabilities are dropped, and none can be gained."""
    gpus: Sequence[str] = ()
    """Their UUIDs; `all`."""


def run_in_docker(
    client: DockerClient,
    image: str,
    terms: Terms,
    log: Callable[[bytes], object],
    started: Callable[[Mapping[int, int]], object] = lambda ports: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> int:
    """Runs an image that the daemon has, until it ends or `cancelled` says to stop it, and returns
    its exit code. `log` gets what it writes, `started` its ports as they are. Raises OciError."""
    remove_leftovers(client)
    with told():
        container = client.containers.create(image, list(terms.command), **_options(terms))
        try:
            return _attended(container, log, started, cancelled)
        finally:
            with suppress(OciError), told():  # the next run tries again
                container.remove(force=True, v=True)


def remove_leftovers(client: DockerClient) -> None:
    """Removes the containers of runs that were killed on this machine."""
    with told():
        for found in client.api.containers(all=True, filters={"label": LABEL}):
            if _ownerless(found["Labels"][LABEL]):
                with suppress(OciError), told():  # somebody else removes it
                    client.api.remove_container(found["Id"], force=True, v=True)


def _attended(
    container: Container,
    log: Callable[[bytes], object],
    started: Callable[[Mapping[int, int]], object],
    cancelled: Callable[[], bool],
) -> int:
    output = container.attach(stream=True)  # before its start, so that nothing is missed
    ended = threading.Event()
    codes: list[int] = []
    failures: list[Exception] = []

    def follow() -> None:
        try:
            for piece in output:
                log(piece)
            codes.append(container.wait()["StatusCode"])
        except Exception as error:
            failures.append(error)
        finally:
            ended.set()

    threading.Thread(target=follow, daemon=True).start()
    container.start()
    container.reload()
    started(_ports(container.attrs))
    while not ended.wait(_POLL):
        if cancelled():
            container.stop(timeout=_GRACE)
            ended.wait()
    if failures:
        raise failures[0]
    return codes[0]


def _options(terms: Terms) -> dict[str, Any]:
    from docker.types import DeviceRequest, Mount

    options: dict[str, Any] = {
        "labels": {LABEL: _owner("self")},
        "ports": {
            f"{inside}/tcp": ("127.0.0.1", here or None) for inside, here in terms.ports.items()
        },
        "environment": dict(terms.environment),
        "mounts": [
            Mount(inside, str(here.absolute()), type="bind", read_only=True)
            for inside, here in terms.mounts.items()
        ],
        "shm_size": terms.shm_size,
    }
    if terms.user:
        options["user"] = terms.user
    if terms.read_only:
        # Python environments are unpacked there, and their libraries loaded.
        options |= {"read_only": True, "tmpfs": {"/tmp": "exec,mode=1777"}}  # noqa: S108
    if not terms.privileges:
        options |= {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
    if terms.gpus:
        which = {"count": -1} if "all" in terms.gpus else {"device_ids": list(terms.gpus)}
        options["device_requests"] = [DeviceRequest(capabilities=[["gpu"]], **which)]
    return options


def _ports(attributes: Mapping[str, Any]) -> dict[int, int]:
    bound = attributes["NetworkSettings"]["Ports"] or {}
    return {
        int(inside.partition("/")[0]): int(here[0]["HostPort"])
        for inside, here in bound.items()
        if here
    }


def _owner(process: int | str) -> str:
    """A process as no other is: of a boot, of a PID namespace, a number and when it began. Raises
    OSError where there is none."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    status = Path(f"/proc/{process}/stat").read_text()
    number = status.partition(" ")[0]
    began = status.rpartition(")")[2].split()[19]
    return f"{boot} {os.readlink('/proc/self/ns/pid')} {number} {began}"


def _ownerless(owner: str) -> bool:
    """Whether a process of ours has ended; those of other machines are not ours to judge."""
    mine = _owner("self").split()
    place, process = owner.split()[:2], owner.split()[2:]
    if place != mine[:2] or not process:
        return False
    try:
        os.kill(int(process[0]), 0)
        return _owner(process[0]) != owner
    except ProcessLookupError:
        return True
    except OSError:  # another user's
        return False
