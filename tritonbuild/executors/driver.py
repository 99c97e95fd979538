"""What a program that has GPUs is shown of the machine's driver, besides their devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tritonbuild.gpus import Lease
from tritonbuild.tools import Bind, Container

_PLACE = "/usr/local/nvidia/lib64"
"""Of the driver's libraries in a container; NVIDIA's images have it on LD_LIBRARY_PATH."""


def with_gpus(container: Container, lease: Lease) -> Container:
    """A container in which the GPUs can be used; see `variables`."""
    libraries = [Bind(path, f"{_PLACE}/{path.name}") for path in lease.driver.libraries]
    return replace(
        container,
        binds=(*libraries, *container.binds),
        shown=(*lease.places, *container.shown),
    )


def variables(given: Mapping[str, str], lease: Lease, libraries: str = _PLACE) -> dict[str, str]:
    """An environment with the GPUs, and the driver's libraries, which lie in that folder."""
    path = ":".join(filter(None, (libraries, given.get("LD_LIBRARY_PATH"))))
    return {**given, **lease.environment, "LD_LIBRARY_PATH": path}
