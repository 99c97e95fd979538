"""The Dockerfile of `compose.py --dry-run`, as it was read from its source, and its context."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from parts.ngc import debian
from parts.ngc.build import SITE
from parts.ngc.releases import LIBRARIES, Release
from parts.ngc.server import HOME
from parts.ngc.system import ENTRYPOINT_D

_PACKAGES = """\
RUN apt-get update \\
      && apt-get install -y --no-install-recommends \\
              clang curl dirmngr git gperf libb64-0d libcurl4-openssl-dev \\
              libgoogle-perftools-dev libjemalloc-dev libnuma-dev libre2-9 \\
              software-properties-common wget {dependencies}\\
      && rm -rf /var/lib/apt/lists/*
"""
_DCGM = """\
RUN repo=https://developer.download.nvidia.com/compute/cuda/repos/ubuntu2204/x86_64 \\
      && curl -o /tmp/cuda-keyring.deb $repo/cuda-keyring_1.1-1_all.deb \\
      && apt install /tmp/cuda-keyring.deb && rm /tmp/cuda-keyring.deb \\
      && apt-get update && apt-get install -y datacenter-gpu-manager=1:{version}
"""
_COMPAT = """\
RUN ln -sf ${_CUDA_COMPAT_PATH}/lib.real ${_CUDA_COMPAT_PATH}/lib \\
      && echo ${_CUDA_COMPAT_PATH}/lib > /etc/ld.so.conf.d/00-cuda-compat.conf \\
      && ldconfig \\
      && rm -f ${_CUDA_COMPAT_PATH}/lib
"""
_PYTHON = """\
RUN apt-get update \\
      && apt-get install -y --no-install-recommends \\
              python3 libarchive-dev python3-pip libpython3-dev \\
      && pip3 install --upgrade pip \\
      && pip3 install --upgrade wheel setuptools "numpy<2" virtualenv \\
      && rm -rf /var/lib/apt/lists/*
"""
_LOCAL = """\
COPY debs /tmp/debs
RUN dpkg --force-depends --unpack /tmp/debs/*.deb && dpkg --configure --pending \\
      && rm -r /tmp/debs
"""
_LOCAL_DCGM = f"""\
COPY --from=full /{LIBRARIES}/libdcgm* /{LIBRARIES}/
RUN ldconfig
"""
_LOCAL_PYTHON = f"COPY --from=full /{SITE} /{SITE}\n"
_USER = """\
ENV TRITON_SERVER_USER=triton-server
RUN userdel tensorrt-server > /dev/null 2>&1 || true \\
      && userdel ubuntu > /dev/null 2>&1 || true \\
      && if ! id -u $TRITON_SERVER_USER > /dev/null 2>&1 ; then \\
          useradd $TRITON_SERVER_USER; \\
        fi \\
      && [ `id -u $TRITON_SERVER_USER` -eq 1000 ] \\
      && [ `id -g $TRITON_SERVER_USER` -eq 1000 ]
"""


def dockerfile(
    release: Release,
    full: str,
    minimum: str,
    *,
    backends: Sequence[str] = (),
    repoagents: Sequence[str] = (),
    caches: Sequence[str] = (),
    gpu: bool = True,
    packages: Literal["", "local", "remote"] = "",
) -> str:
    """What compose.py writes of such a command line, step by step and in its order. The steps that
    install something (apt, pip, curl) are left out, or theirs (`remote`), or steps that install the
    same without a network (`local`): compilers and headers excepted, from `context`'s packages
    and from `full`."""
    dependencies = "libgomp1 " if {"onnxruntime", "pytorch"} & set(backends) else ""
    steps = [
        f"ARG TRITON_VERSION={release.server}\nARG TRITON_CONTAINER_VERSION={release.name}\n",
        f"FROM {full} AS full\n",
        f"FROM {minimum}\n",
        "ARG TRITON_VERSION\nARG TRITON_CONTAINER_VERSION\n",
        "ENV TRITON_SERVER_VERSION ${TRITON_VERSION}\n"
        "ENV NVIDIA_TRITON_SERVER_VERSION ${TRITON_CONTAINER_VERSION}\n"
        'LABEL com.nvidia.tritonserver.version="${TRITON_SERVER_VERSION}"\n'
        "ENV PATH /opt/tritonserver/bin:${PATH}\nENV UCX_MEM_EVENTS no\n",
        "ENV LD_LIBRARY_PATH /opt/hpcx/ucc/lib/:/opt/hpcx/ucx/lib/:${LD_LIBRARY_PATH}\n"
        if "pytorch" in backends
        else "",
        "ENV TF_ADJUST_HUE_FUSED 1\nENV TF_ADJUST_SATURATION_FUSED 1\n"
        "ENV TF_ENABLE_WINOGRAD_NONFUSED 1\nENV TF_AUTOTUNE_THRESHOLD 2\n"
        f"ENV TRITON_SERVER_GPU_ENABLED {int(gpu)}\n",
        _USER,
        "ENV DEBIAN_FRONTEND=noninteractive\n",
        {"": "", "local": _LOCAL, "remote": _PACKAGES.format(dependencies=dependencies)}[packages],
        "ENV TCMALLOC_RELEASE_RATE 200\n",
        f"ENV DCGM_VERSION {release.dcgm}\n" if gpu else "",
        {"": "", "local": _LOCAL_DCGM, "remote": _DCGM.format(version=release.dcgm)}[packages]
        if gpu
        else "",
        _COMPAT if gpu else "",
        {"": "", "local": _LOCAL_PYTHON, "remote": _PYTHON}[packages]
        if "python" in backends
        else "",
        "ENV PYTHONPATH=/opt/tritonserver/backends/dali/wheel/dali:$PYTHONPATH\n"
        if "dali" in backends
        else "",
        f"WORKDIR /{HOME}\nRUN rm -fr /{HOME}/*\n"
        'ENV NVIDIA_PRODUCT_NAME="Triton Server"\n'
        "COPY docker/entrypoint.d/ /opt/nvidia/entrypoint.d/\n",
        "" if gpu else 'COPY docker/cpu_only/ /opt/nvidia/\n'
        'ENTRYPOINT ["/opt/nvidia/nvidia_entrypoint.sh"]\n',
        f"ENV NVIDIA_BUILD_ID {release.build_id}\n"
        f"LABEL com.nvidia.build.id={release.build_id}\n"
        f"LABEL com.nvidia.build.ref={release.build_ref}\n",
        "".join(
            _copy(name)
            for name in (
                "LICENSE", "TRITON_VERSION", "NVIDIA_Deep_Learning_Container_License.pdf",
                "bin/", "lib/", "include/",
            )
        ),
        f"RUN chown triton-server:triton-server /{HOME}/bin /{HOME}/lib /{HOME}/include\n",
        "".join(_copy(f"backends/{name}") for name in backends),
        "".join(_copy(f"repoagents/{name}") for name in repoagents),
        "".join(_copy(f"caches/{name}") for name in caches),
        "LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true\n"
        "COPY --chown=1000:1000 --from=full /usr/bin/serve /usr/bin/.\n",
    ]  # fmt: skip
    return "\n".join(step for step in steps if step)


def context(folder: Path, *, packages: bool = False) -> Path:
    """Makes it a context for that Dockerfile: what of the server's checkout it copies, and the
    packages for steps that are `local`."""
    scripts = folder / "docker/entrypoint.d"
    scripts.mkdir(parents=True)
    for name, content in ENTRYPOINT_D.items():
        (scripts / name).write_text(content)
        (scripts / name).chmod(0o755 if name.endswith(".sh") else 0o644)
    (folder / "docker/cpu_only").mkdir()
    if packages:
        (folder / "debs").mkdir()
        for deb in debian.packages()[1]:
            shutil.copy(deb, folder / "debs")
    return folder


def _copy(name: str) -> str:
    """Into a folder of the same name; a file, into the server's."""
    target = name.rstrip("/") if "/" in name else "."
    return f"COPY --chown=1000:1000 --from=full /{HOME}/{name} {target}\n"
