"""The GPUs of this machine, as NVIDIA's driver tells them (NVML), and which actions hold them.

What a GPU computes may depend on its kind and on the driver (a TensorRT plan does), so both are
part of the key of an action that is given one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tritonbuild.errors import EnvironmentFailure, Problem

GIB = 1 << 30
LIBRARIES = re.compile(r"lib(cuda|cudadebugger|nvcuvid|nvoptix|nvidia-.+)\.so(\..+)?")
"""What the driver brings beside its kernel module, for programs that compute."""
UVM = "/dev/nvidia-uvm"
CONTROL = "/dev/nvidiactl"
TOPOLOGY = ("/sys/bus/pci", "/sys/class/pci_bus", "/sys/devices/system/node")
"""Where NCCL and the driver look for how GPUs and processors are connected."""


@dataclass(frozen=True, slots=True)
class GpuNeed:
    """What an action wants of GPUs."""

    count: int = 1
    capability: str = ""
    """Compute capabilities that will do, such as `>=8.0`, as PEP 440 writes versions."""
    memory: int = 0
    """Bytes that each has at least."""
    name: str = ""
    """A word, or several, of its name: `H100`."""

    def __str__(self) -> str:
        wanted = [f"{self.count} GPU" if self.count == 1 else f"{self.count} GPUs of one kind"]
        if self.name:
            wanted.append(f"called {self.name}")
        if self.capability:
            wanted.append(f"of capability {self.capability}")
        if self.memory:
            wanted.append(f"with {self.memory / GIB:.4g} GiB")
        return " ".join(wanted)

    def fits(self, gpu: Gpu) -> bool:
        """Whether one GPU will do. `L4` is not found in `L40S`."""
        from packaging.specifiers import SpecifierSet

        word = rf"(?<![A-Za-z0-9]){re.escape(self.name)}(?![A-Za-z0-9])"
        return (
            (not self.name or re.search(word, gpu.name, re.IGNORECASE) is not None)
            and SpecifierSet(self.capability).contains(gpu.capability)
            and gpu.memory >= self.memory
        )


@dataclass(frozen=True, slots=True)
class Gpu:
    uuid: str
    name: str
    """`NVIDIA H100 80GB HBM3`"""
    capability: str
    """`9.0`"""
    memory: int
    """Bytes; 0: the driver does not say, as where memory is the processor's."""
    minor: int | None
    """Of its device file: 0 for `/dev/nvidia0`. None: the driver does not say."""

    @property
    def kind(self) -> tuple[str, str]:
        """GPUs of one kind make the same of the same."""
        return (self.name, self.capability)

    def __str__(self) -> str:
        return f"{self.name} (capability {self.capability}, {self.memory / GIB:.4g} GiB)"


@dataclass(frozen=True)
class Driver:
    """The driver, with the GPUs that it can use."""

    version: str
    cuda: str
    """The newest CUDA that it runs: `12.8`."""
    libraries: tuple[Path, ...]
    gpus: tuple[Gpu, ...]
    unusable: tuple[str, ...] = ()
    """Of other GPUs, why not."""


@dataclass(frozen=True)
class Lease:
    """GPUs that one action has to itself."""

    gpus: tuple[Gpu, ...]
    driver: Driver

    @property
    def facts(self) -> dict[str, str]:
        """What the result may depend on, as properties of the action's platform."""
        return {
            "gpu": self.gpus[0].name,
            "gpu-capability": self.gpus[0].capability,
            "gpu-count": str(len(self.gpus)),
            "gpu-cuda": self.driver.cuda,
            "gpu-driver": self.driver.version,
        }

    @property
    def environment(self) -> dict[str, str]:
        return {"CUDA_VISIBLE_DEVICES": ",".join(gpu.uuid for gpu in self.gpus)}

    @property
    def places(self) -> list[Path]:
        """What of the host the program has to see: devices, and the topology. Raises
        EnvironmentFailure when a device file is missing that only root can make."""
        if os.path.exists(CONTROL) and not os.path.exists(UVM):
            remedy = "as root: nvidia-modprobe -u -c=0"
            raise EnvironmentFailure(
                Problem(f"there is no {UVM}", "a GPU that CUDA can use", remedy)
            )
        own = {f"nvidia{gpu.minor}" for gpu in self.gpus}
        all_of_them = any(gpu.minor is None for gpu in self.gpus)
        devices = [
            path
            for path in Path("/dev").glob("nvidia*")
            if all_of_them or path.name in own or not re.fullmatch(r"nvidia\d+", path.name)
        ]
        buses = [path for path in map(Path, TOPOLOGY) if path.exists()]
        return sorted([*devices, *buses, *Path("/sys/devices").glob("pci*")])


class Gpus:
    """Gives each GPU to one action at a time. NVML is asked when the first is wanted."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, need: GpuNeed) -> Lease | None:
        """GPUs of one kind, always the same kind for the same need; None while they are taken.
        Raises EnvironmentFailure when this machine does not have them."""
        driver = self._driver
        fitting = [gpu for gpu in driver.gpus if need.fits(gpu)]
        kinds = [gpu.kind for gpu in fitting]
        kind = next((kind for kind in kinds if kinds.count(kind) >= need.count), None)
        if kind is None:
            raise EnvironmentFailure(
                Problem(
                    f"this machine does not have the GPU that is wanted; it has "
                    f"{', '.join([*map(str, driver.gpus), *driver.unusable]) or 'none'}",
                    str(need),
                    "build on a machine that has it, or ask for less in `gpu`",
                )
            )
        free = [gpu for gpu in fitting if gpu.kind == kind and gpu.uuid not in self._taken]
        if len(free) < need.count:
            return None
        chosen = tuple(free[: need.count])
        self._taken.update(gpu.uuid for gpu in chosen)
        return Lease(chosen, driver)

    def give_back(self, lease: Lease) -> None:
        self._taken.difference_update(gpu.uuid for gpu in lease.gpus)

    @cached_property
    def _driver(self) -> Driver:
        return driver()


def driver() -> Driver:
    """Raises EnvironmentFailure where there is none that works."""
    import pynvml as nvml

    try:
        nvml.nvmlInit()
        try:
            return _driver(nvml)
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError as error:
        remedy = "install NVIDIA's driver, or build on a machine that has it"
        if isinstance(error, nvml.NVMLError_LibRmVersionMismatch):
            remedy = "the driver was upgraded: restart the machine"
        raise EnvironmentFailure(
            Problem(
                f"no GPU can be used here: {_text(error)}", "a GPU with NVIDIA's driver", remedy
            )
        ) from None


def _text(error: Exception) -> str:
    return str(error).removesuffix(".")


def _driver(nvml: Any) -> Driver:
    gpus: list[Gpu] = []
    unusable: list[str] = []
    for index in range(nvml.nvmlDeviceGetCount()):
        try:
            handle = nvml.nvmlDeviceGetHandleByIndex(index)
            if _is_divided(nvml, handle):
                unusable.append(f"{nvml.nvmlDeviceGetName(handle)} divided by MIG, not supported")
            else:
                gpus.append(_gpu(nvml, handle))
        except nvml.NVMLError as error:
            unusable.append(f"GPU {index} that does not work ({_text(error)})")
    cuda = nvml.nvmlSystemGetCudaDriverVersion_v2()
    return Driver(
        nvml.nvmlSystemGetDriverVersion(),
        f"{cuda // 1000}.{cuda % 1000 // 10}",
        tuple(_libraries()),
        tuple(gpus),
        tuple(unusable),
    )


def _gpu(nvml: Any, handle: Any) -> Gpu:
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    return Gpu(
        nvml.nvmlDeviceGetUUID(handle),
        nvml.nvmlDeviceGetName(handle),
        f"{major}.{minor}",
        _said(nvml, lambda: int(nvml.nvmlDeviceGetMemoryInfo(handle).total)) or 0,
        _said(nvml, lambda: int(nvml.nvmlDeviceGetMinorNumber(handle))),
    )


def _said(nvml: Any, ask: Callable[[], int]) -> int | None:
    """None where the driver does not say of this kind of GPU."""
    try:
        return ask()
    except nvml.NVMLError_NotSupported:
        return None


def _is_divided(nvml: Any, handle: Any) -> bool:
    try:
        return bool(nvml.nvmlDeviceGetMigMode(handle)[0] == nvml.NVML_DEVICE_MIG_ENABLE)
    except nvml.NVMLError:  # a GPU that cannot be
        return False


def _libraries() -> Iterator[Path]:
    """The driver's libraries, which lie beside NVML's own."""
    with open("/proc/self/maps") as maps:
        found = re.search(r"(/\S*)/libnvidia-ml\.so", maps.read())
    if found:
        for path in sorted(Path(found[1]).iterdir()):
            if LIBRARIES.fullmatch(path.name) and path.exists():
                yield path
