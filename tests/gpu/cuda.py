"""Asks CUDA's driver for its GPUs, copies bytes to the first one and back, and says what it saw."""

import ctypes
import glob
import json
import os
import sys


def look() -> dict[str, object]:
    cuda = ctypes.CDLL("libcuda.so.1")

    def call(name: str, *arguments: object) -> None:
        if code := getattr(cuda, name)(*arguments):
            raise OSError(f"{name} says {code}")

    call("cuInit", 0)
    count, device = ctypes.c_int(), ctypes.c_int()
    call("cuDeviceGetCount", ctypes.byref(count))
    call("cuDeviceGet", ctypes.byref(device), 0)
    name = ctypes.create_string_buffer(256)
    call("cuDeviceGetName", name, 256, device)
    context, memory = ctypes.c_void_p(), ctypes.c_uint64()
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    call("cuCtxSetCurrent", context)
    sent = bytes(range(256)) * 4096
    came = ctypes.create_string_buffer(len(sent))
    call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(len(sent)))
    call("cuMemcpyHtoD_v2", memory, sent, ctypes.c_size_t(len(sent)))
    call("cuMemcpyDtoH_v2", came, memory, ctypes.c_size_t(len(sent)))
    call("cuMemFree_v2", memory)
    call("cuDevicePrimaryCtxRelease_v2", device)
    return {"count": count.value, "name": name.value.decode(), "copied": came.raw == sent}


try:
    seen: dict[str, object] = look()
except OSError as error:
    seen = {"error": str(error)}
seen["devices"] = sorted(glob.glob("/dev/nvidia*"))
seen["visible"] = os.environ.get("CUDA_VISIBLE_DEVICES", "")
seen["argument"] = sys.argv[1:]
with open("seen.json", "w") as file:
    json.dump(seen, file)
