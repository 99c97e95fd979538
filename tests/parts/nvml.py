"""A library that answers as NVIDIA's NVML does, of GPUs that this machine does not have."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parts.missing import missing

SOURCE = r"""
#include <stdlib.h>
#include <string.h>

/* GPUs: lines "UUID|name|major|minor|bytes|mig|error"; handles count from 1. */
static char *field(void *handle, int index) {
    static __thread char line[8][256];
    static __thread int turn = 0;
    const char *at = getenv("FAKE_NVML_GPUS");
    for (long left = (long)handle - 1; at && left > 0; left--) at = strchr(at, '\n') + 1;
    for (; index > 0; index--) at = strchr(at, '|') + 1;
    char *copy = line[turn++ % 8];
    strncpy(copy, at, 255);
    copy[strcspn(copy, "|\n")] = 0;
    return copy;
}
static int number(const char *name) { return getenv(name) ? atoi(getenv(name)) : 0; }

int nvmlInitWithFlags(unsigned flags) { return number("FAKE_NVML_ERROR"); }
int nvmlShutdown(void) { return 0; }
const char *nvmlErrorString(int code) { return code == 15 ? "GPU is lost" : "other"; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    strncpy(text, getenv("FAKE_NVML_DRIVER"), size);
    return 0;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12040; return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = 0;
    for (const char *at = getenv("FAKE_NVML_GPUS"); at && (at = strchr(at, '\n')); at++) ++*count;
    return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    *handle = (void *)(index + 1L);
    return atoi(field(*handle, 6));
}
int nvmlDeviceGetUUID(void *handle, char *text, unsigned size) {
    strncpy(text, field(handle, 0), size);
    return 0;
}
int nvmlDeviceGetName(void *handle, char *text, unsigned size) {
    strncpy(text, field(handle, 1), size);
    return 0;
}
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
    *major = atoi(field(handle, 2));
    *minor = atoi(field(handle, 3));
    return 0;
}
int nvmlDeviceGetMemoryInfo(void *handle, unsigned long long *memory) {
    memory[0] = strtoull(field(handle, 4), 0, 10);
    return 0;
}
int nvmlDeviceGetMinorNumber(void *handle, unsigned *minor) { *minor = (long)handle - 1; return 0; }
int nvmlDeviceGetMigMode(void *handle, unsigned *now, unsigned *next) {
    *now = *next = atoi(field(handle, 5));
    return *now ? 0 : 3;
}
"""
LIBRARY = "libnvidia-ml.so.1"
MISMATCH, LOST = 18, 15
"""NVML's errors."""


@dataclass(frozen=True)
class FakeGpu:
    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    capability: tuple[int, int] = (9, 0)
    gib: int = 80
    mig: bool = False
    error: int = 0

    def __str__(self) -> str:
        size = self.gib << 30
        facts = (self.uuid, self.name, *self.capability, size, int(self.mig), self.error)
        return "|".join(map(str, facts)) + "\n"


def make_library(folder: Path) -> None:
    """Puts it into a folder, where it takes the real one's place if LD_LIBRARY_PATH names it."""
    compiler = shutil.which("cc")
    if compiler is None:
        missing("there is no C compiler", "as root, `tests/install` installs it")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nvml.c").write_text(SOURCE)
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", str(folder / LIBRARY), str(folder / "nvml.c")],
        check=True,
    )


def environment(
    folder: Path, gpus: Sequence[FakeGpu], *, driver: str = "550.54.15", error: int = 0
) -> dict[str, str]:
    """Of a program that is to see these GPUs."""
    return {
        "LD_LIBRARY_PATH": str(folder),
        "FAKE_NVML_GPUS": "".join(map(str, gpus)),
        "FAKE_NVML_DRIVER": driver,
        "FAKE_NVML_ERROR": str(error),
    }
