"""A Docker daemon: images from it, and into it without the layers that it has.

https://docs.docker.com/reference/api/engine/
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from tritonbuild.digest import CHUNK
from tritonbuild.errors import Interrupted, of_os_error
from tritonbuild.oci.archive import Archive, write_docker_archive, write_oci_archive
from tritonbuild.oci.compression import Compression
from tritonbuild.oci.documents import Platform
from tritonbuild.oci.errors import Absent, Invalid, OciError, Passing, Refused, Unreachable
from tritonbuild.oci.image import Image, image_in
from tritonbuild.redact import public

if TYPE_CHECKING:
    from docker import DockerClient

_GREETING = 20
"""Seconds in which a daemon has to answer at first."""
_SILENCE = 600
"""Seconds later on: it says nothing while it unpacks a large layer."""
_CONTAINERD = "io.containerd.snapshotter.v1"
"""What a daemon says that keeps its images in containerd: as their manifests say, compressed."""
_TELLS_WHAT_IS_WHOLE = "1.48"
"""The API since which a daemon with containerd says whether it has an image's blobs: it takes a
layer for there that it has in another compression, and cannot push the image then."""

Progress = Callable[[int, int], None]
"""Told the bytes so far, and in all (0: not known)."""


class _Lacking(Refused):
    """The daemon has not got a layer that was left out."""


@dataclass(frozen=True)
class Loaded:
    """What happened."""

    identity: str
    """The daemon's name of the image: the digest of its config, or of its manifest."""
    layers_sent: int
    layers_there: int
    bytes_sent: int


def connect() -> DockerClient:
    """The daemon that `docker` on the command line uses: DOCKER_HOST, or the current context.
    Raises Unreachable where none answers."""
    import docker
    from docker.errors import DockerException

    host = os.environ.get("DOCKER_HOST", "")
    name = os.environ.get("DOCKER_CONTEXT")
    context = docker.ContextAPI.get_context(name)
    if context is None and not host:
        raise Unreachable(
            f"there is no Docker context {name or 'of the name in config.json'}",
            "one that `docker context ls` shows",
        )
    try:
        client = docker.from_env(timeout=_GREETING, use_ssh_client=True)
    except (DockerException, OSError) as error:
        where = public(host or (context and context.Host) or "the default socket")
        raise _no_daemon(where, error) from None
    client.api.timeout = _SILENCE
    return client


def identify(client: DockerClient, reference: str) -> str:
    """The daemon's name of an image: `sha256:…`, which stands for one image for ever. Raises
    Absent."""
    with told():
        found = client.api.inspect_image(reference)
    return str(found["Id"])


def save(
    client: DockerClient,
    identity: str,
    platform: Platform,
    folder: Path,
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Image:
    """The image that `identify` named; it lives as long as the file that is made in `folder`.
    Raises Absent; Invalid where the daemon hands out another."""
    path = folder / f"{identity.removeprefix('sha256:')}.tar"
    done = 0
    with told(), path.open("wb") as file:
        client.api.inspect_image(identity)  # what is not there would be told as a broken daemon
        for piece in client.api.get_image(identity, CHUNK):
            file.write(piece)
            done += len(piece)
            progress(done, 0)
            if cancelled():
                raise Interrupted()
    archive = Archive(path)
    image = image_in(archive, archive.descriptor(), platform)
    if identity not in _names(image):
        raise Invalid(f"the daemon sent {image.manifest.config.digest}", expected=identity)
    return image


def load(
    image: Image,
    tags: Sequence[str],
    client: DockerClient,
    progress: Progress = lambda done, total: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Loaded:
    """Puts an image into the daemon and, once it is whole there, tags on it. Raises Refused for
    what the daemon does not take, Passing where it breaks off."""
    with told():
        loaded = _load(image, client, progress, cancelled)
        for tag in tags:
            client.images.get(loaded.identity).tag(tag)
    return loaded


def _load(
    image: Image, client: DockerClient, progress: Progress, cancelled: Callable[[], bool]
) -> Loaded:
    count = len(image.layers)
    if identity := _present(client, image):
        return Loaded(identity, 0, count, 0)
    sent = 0
    # All of it, if a layer that was left out is not there after all.
    for there in dict.fromkeys((_common(client, image), 0)):
        try:
            sent += _send(client, image, there, progress, cancelled)
        except _Lacking:
            continue
        if identity := _present(client, image):
            return Loaded(identity, count - there, there, sent)
    raise Invalid(
        "the daemon made another image of what it was sent", expected=image.manifest.config.digest
    )


@contextmanager
def told() -> Iterator[None]:
    """Raises what the `docker` package and the connection raise as OciError."""
    from docker.errors import APIError, DockerException, NotFound, StreamParseError
    from requests import RequestException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except NotFound as error:
        raise Absent(f"Docker: {error.explanation}") from None
    except APIError as error:
        raise _refusal(public(str(error.explanation or error))) from None
    except (RequestException, HTTPError, StreamParseError, ConnectionError) as error:
        raise Passing(
            f"the Docker daemon broke off: {public(str(error))}",
            remedy="`docker info` says whether it runs",
        ) from None
    except DockerException as error:
        raise Refused(f"Docker: {public(str(error))}") from None


def _refusal(text: str) -> OciError:
    full = "no space left" in text
    return Refused(f"Docker: {text}", remedy="`docker system prune` frees space" if full else "")


def _no_daemon(where: str, error: Exception) -> Unreachable:
    causes: list[BaseException] = [error]
    while causes[-1].__context__ is not None:
        causes.append(causes[-1].__context__)
    failure = next((cause for cause in reversed(causes) if isinstance(cause, OSError)), error)
    reason = public(getattr(failure, "strerror", None) or str(failure))
    remedy = (
        "join its group (`usermod -aG docker USER`, then log in anew)"
        if isinstance(failure, PermissionError)
        else "`systemctl start docker`; DOCKER_HOST or `docker context use` names another"
    )
    return Unreachable(
        f"no Docker daemon at {where}: {reason}", "one that this user may use", remedy
    )


def _names(image: Image) -> tuple[str, str]:
    """What daemons call an image: those of old, those that keep it in containerd."""
    return image.manifest.config.digest, image.descriptor.digest


def _in_containerd(client: DockerClient) -> bool:
    return ["driver-type", _CONTAINERD] in (client.info()["DriverStatus"] or ())


def _present(client: DockerClient, image: Image) -> str | None:
    """The daemon's name of the image, if it has all of it."""
    from docker.errors import ImageNotFound

    for name in _names(image):
        with suppress(ImageNotFound):
            identity = str(client.api.inspect_image(name)["Id"])
            api = f"{client.api.base_url}/v{client.api.api_version}"
            # The package does not know this parameter, and old daemons leave out nothing.
            found = client.api.get(f"{api}/images/{name}/json", params={"manifests": "1"}).json()
            if all(manifest["Available"] for manifest in found.get("Manifests") or ()):
                return identity
    return None


def _common(client: DockerClient, image: Image) -> int:
    """How many of the lowest layers the daemon has. A layer there stands on those below it: on
    others it is another."""
    from docker.errors import ImageNotFound
    from docker.utils import version_lt

    if _in_containerd(client) and version_lt(client.api.api_version, _TELLS_WHAT_IS_WHOLE):
        return 0
    wanted = list(image.config.rootfs.diff_ids)
    most = 0
    for other in client.api.images(quiet=True):
        with suppress(ImageNotFound):  # removed meanwhile
            layers = client.api.inspect_image(other)["RootFS"].get("Layers") or []
            alike = takewhile(lambda pair: pair[0] == pair[1], zip(wanted, layers, strict=False))
            most = max(most, sum(1 for _ in alike))
        if most == len(wanted):
            break
    return most


def _send(
    client: DockerClient,
    image: Image,
    there: int,
    progress: Progress,
    cancelled: Callable[[], bool],
) -> int:
    """The bytes that it took."""
    rest = image.layers[there:]
    without = {layer.diff_id for layer in image.layers[:there]} - {lay.diff_id for lay in rest}
    plain = all(Compression.of(lay.descriptor.media_type) is Compression.NONE for lay in rest)
    as_it_is = _in_containerd(client)
    write = write_oci_archive if as_it_is else write_docker_archive
    total = sum(layer.descriptor.size for layer in rest) if plain or as_it_is else 0
    done = 0

    def archive() -> Iterator[bytes]:
        nonlocal done
        for piece in _piped(lambda file: write(image, file, without)):
            yield piece
            done += len(piece)
            progress(min(done, total) if total else done, total)
            if cancelled():
                raise Interrupted()

    for message in client.api.load_image(archive(), quiet=False):
        if cancelled():
            raise Interrupted()
        if "error" in message:
            text = str(message["error"])
            if without and ("no such file" in text or "not found" in text):
                raise _Lacking(text)
            raise _refusal(text)
        if str(message.get("stream", "")).startswith("Loaded image"):
            return done
    raise Passing("the Docker daemon broke off a load", remedy="load again")


def _piped(write: Callable[[BinaryIO], None]) -> Iterator[bytes]:
    """What a function writes, piece by piece, and what it raises."""
    source, target = os.pipe()
    failures: list[Exception] = []

    def fill() -> None:
        try:
            with open(target, "wb", CHUNK) as file:
                write(file)
        except BrokenPipeError:
            pass  # nobody reads any more: why, the reader knows
        except OSError as error:  # must not be taken for one of the connection
            failures.append(of_os_error(error))
        except Exception as error:
            failures.append(error)

    writer = threading.Thread(target=fill, daemon=True)
    writer.start()
    try:
        with open(source, "rb", buffering=0) as file:
            while piece := file.read(CHUNK):
                yield piece
    finally:
        writer.join()
    if failures:
        raise failures[0]
