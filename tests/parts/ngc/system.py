"""What NVIDIA puts on its base: CUDA and its companions, the entrypoint, and for `full` DCGM, the
user and SageMaker's program."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from zipfile import ZipFile

from parts.ngc import debian, native, wheels
from parts.ngc.releases import LIBRARIES, Release

ENTRYPOINT = "/opt/nvidia/nvidia_entrypoint.sh"
_ENTRYPOINT = """\
#!/bin/bash
# Says what the files of entrypoint.d have to say, and becomes the command.
for part in /opt/nvidia/entrypoint.d/*; do
    case $part in
        *.txt) cat "$part" ;;
        *.sh) . "$part" ;;
    esac
done
if (($#)); then exec "$@"; else exec /bin/bash; fi
"""
_GPU_CHECK = """\
#!/bin/bash
if [[ ! -e /dev/nvidiactl ]]; then
    echo "WARNING: The NVIDIA Driver was not detected. GPU functionality will not be available."
    export TRITON_SERVER_CPU_ONLY=1
fi
"""
_AIP = """\
#!/bin/bash
# Vertex AI starts the container without a command.
if (($# == 0)) && [[ -n ${AIP_MODE:-} ]]; then
    set -- tritonserver --allow-vertex-ai=true --model-repository="$AIP_STORAGE_URI"
fi
"""
ENTRYPOINT_D = {
    "10-banner.txt": "\n=============================\n== Triton Inference Server ==\n"
    "=============================\n\n",
    "15-container-copyright.txt": "Not NVIDIA's: made for tests.\n\n",
    "50-gpu-driver-check2.sh": _GPU_CHECK,
    "99-check-run-aip-mode.sh": _AIP,
}
"""What `full` has, and the server's checkout in docker/entrypoint.d."""
SERVE = """\
#!/bin/bash
# SageMaker starts `serve`.
exec tritonserver --allow-sagemaker=true --allow-http=false \\
    --model-repository="${SAGEMAKER_MULTI_MODEL_DIR:-/opt/ml/model}" "$@"
"""
_MODULES = (
    "config", "diag", "health", "introspect", "nvswitch", "policy", "profiling", "vgpu",
)  # fmt: skip
_BUILDER = {True: 24 << 20, False: 1 << 20}
"""Bytes of TensorRT's builder resources in a large release and in others; NVIDIA's are a hundred
times as large."""


def add_cuda(root: Path, release: Release, triton: ZipFile) -> None:
    """With CUDA's real run time from Triton's wheel, and stand-ins for the rest."""
    home = Path(release.cuda_home)
    lib = home / "targets/x86_64-linux/lib"
    runtime = mangled(triton, "libcudart")
    version = runtime.rpartition(".so.")[2]
    wheels.take(triton, runtime, root / lib / f"libcudart.so.{version}", 0o755)
    native.renamed(root / lib / f"libcudart.so.{version}", {}, soname="libcudart.so.12")
    native.links(root / lib / f"libcudart.so.{version}", "libcudart.so.12", "libcudart.so")
    _package(root, release, "cuda-cudart", version, lib, "libcudart.*")
    for link, target in {
        home / "lib64": "targets/x86_64-linux/lib",
        Path("usr/local/cuda"): "/etc/alternatives/cuda",
        Path("usr/local/cuda-12"): "/etc/alternatives/cuda-12",
        Path("etc/alternatives/cuda"): f"/{home}",
        Path("etc/alternatives/cuda-12"): f"/{home}",
    }.items():
        (root / link).symlink_to(target)
    for name, soversion in {
        "cublas": 12, "cublasLt": 12, "cufft": 11, "curand": 10, "cusparse": 12, "cupti": 12,
        "nvJitLink": 12,
    }.items():  # fmt: skip
        _stand_in(root, lib, f"lib{name}.so", soversion, release.cuda)
        _package(root, release, f"lib{name.lower()}", release.cuda, lib, f"lib{name}.so*")
    compat = root / home / "compat/lib.real"
    native.stand_in(compat / "libcuda.so.560.35.03", "libcuda.so.1")
    native.links(compat / "libcuda.so.560.35.03", "libcuda.so.1", "libcuda.so")
    _add_companions(root, release)
    _conf(root, "000_cuda", "/usr/local/cuda/targets/x86_64-linux/lib")
    _conf(root, "988_cuda-12", "/usr/local/cuda-12/targets/x86_64-linux/lib")
    _conf(root, "00-cuda-compat", "/usr/local/cuda/compat/lib")
    _conf(root, "nvidia", "/usr/local/nvidia/lib", "/usr/local/nvidia/lib64")


def _add_companions(root: Path, release: Release) -> None:
    """cuDNN, NCCL, TensorRT and HPC-X, each with what it opens by name."""
    lib = Path(LIBRARIES)
    number = release.cudnn.partition(".")[0]
    for part in ("", "_ops", "_cnn", "_graph"):
        _stand_in(root, lib, f"libcudnn{part}.so", int(number), release.cudnn)
    _package(root, release, f"libcudnn{number}", release.cudnn, lib, "libcudnn*")
    _stand_in(root, lib, "libnccl.so", 2, "2.22.3")
    _package(root, release, "libnccl2", "2.22.3", lib, "libnccl*")
    number = release.tensorrt.partition(".")[0]
    core = _stand_in(root, lib, "libnvinfer.so", int(number), release.tensorrt)
    _stand_in(root, lib, "libnvinfer_plugin.so", int(number), release.tensorrt, core)
    builder = root / lib / f"libnvinfer_builder_resource.so.{release.tensorrt}"
    native.stand_in(builder, builder.name)
    with builder.open("ab") as appended:
        # Code, as nothing else of that size lies about here.
        code = (root / "usr/bin/openssl").read_bytes() + (root / "usr/bin/perl").read_bytes()
        size = _BUILDER[release.large]
        appended.write((code * (size // len(code) + 1))[:size])
    _package(root, release, f"libnvinfer{number}", release.tensorrt, lib, "libnvinfer*")
    ucx, ucc = Path("opt/hpcx/ucx/lib"), Path("opt/hpcx/ucc/lib")
    ucs = _stand_in(root, ucx, "libucs.so", 0, "0.0.0")
    ucp = _stand_in(root, ucx, "libucp.so", 0, "0.0.0", ucs)
    _stand_in(root, ucx / "ucx", "libuct_rdmacm.so", 0, "0.0.0", ucs)
    _stand_in(root, ucc, "libucc.so", 1, "1.0.0", ucp)
    _stand_in(root, ucc / "ucc", "libucc_tl_ucp.so", 1, "1.0.0", ucp)


def add_entrypoint(root: Path, scripts: Mapping[str, str] = ENTRYPOINT_D) -> None:
    """The entrypoint, and files for it to run."""
    folder = root / "opt/nvidia/entrypoint.d"
    folder.mkdir(parents=True, exist_ok=True)
    (root / ENTRYPOINT[1:]).write_text(_ENTRYPOINT)
    (root / ENTRYPOINT[1:]).chmod(0o755)
    for name, content in scripts.items():
        (folder / name).write_text(content)
        (folder / name).chmod(0o755 if name.endswith(".sh") else 0o644)
    (root / "etc/shinit_v2").write_text("# Interactive shells read this.\n")


def add_dcgm(root: Path, release: Release, triton: ZipFile) -> None:
    """DCGM's real library, and stand-ins for the eight modules that it opens by name."""
    lib, version = Path(LIBRARIES), release.dcgm
    number = version.partition(".")[0]
    dcgm = root / lib / f"libdcgm.so.{version}"
    wheels.take(triton, mangled(triton, "libdcgm"), dcgm, 0o755)
    native.renamed(dcgm, {}, soname=f"libdcgm.so.{number}", rpath="")
    native.links(dcgm, f"libdcgm.so.{number}", "libdcgm.so")
    for module in _MODULES:
        _stand_in(root, lib, f"libdcgmmodule{module}.so", int(number), version)
    _package(root, release, "datacenter-gpu-manager", version, lib, "libdcgm*", epoch="1:")


def add_user(root: Path) -> None:
    """As useradd does."""
    for name, line in {
        "passwd": "triton-server:x:1000:1000::/home/triton-server:/bin/sh",
        "group": "triton-server:x:1000:",
        "shadow": "triton-server:!:20000:0:99999:7:::",
    }.items():
        with (root / "etc" / name).open("a") as file:
            file.write(f"{line}\n")


def add_serve(root: Path) -> None:
    (root / "usr/bin/serve").write_text(SERVE)
    (root / "usr/bin/serve").chmod(0o755)


def mangled(triton: ZipFile, stem: str) -> str:
    """A library that auditwheel has put into the wheel."""
    (name,) = (n for n in triton.namelist() if f"/{stem}-" in n)
    return name


def _stand_in(
    root: Path, folder: Path, name: str, soversion: int, version: str, *needed: Path
) -> Path:
    """`libx.so` → `libx.so.SOVERSION` → `libx.so.VERSION`."""
    made = native.stand_in(root / folder / f"{name}.{version}", f"{name}.{soversion}", *needed)
    native.links(made, f"{name}.{soversion}", name)
    return made


def _package(
    root: Path, release: Release, name: str, version: str, folder: Path, files: str, epoch: str = ""
) -> None:
    """Named after CUDA's series where it is a part of CUDA."""
    if str(folder).startswith(release.cuda_home):
        name += f"-{release.cuda_series.replace('.', '-')}"
    paths = (str(file.relative_to(root)) for file in (root / folder).glob(files))
    debian.enter(root, name, f"{epoch}{version}-1", paths, depends="libc6")


def _conf(root: Path, name: str, *folders: str) -> None:
    (root / f"etc/ld.so.conf.d/{name}.conf").write_text("".join(f"{f}\n" for f in folders))
