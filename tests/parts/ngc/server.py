"""/opt/tritonserver of `full`: PyPI's Triton as NVIDIA lays it out, and backends compiled here over
real libraries."""

from __future__ import annotations

import io
import os
import tarfile
import zipfile
from pathlib import Path
from zipfile import ZipFile

from parts.ngc import native, wheels
from parts.ngc.releases import LIBRARIES, Release
from parts.ngc.system import mangled

HOME = "opt/tritonserver"
_LIBRARIES = {
    "libtritonserver": "libtritonserver.so", "libb64": "libb64.so.0d", "libssl": "libssl.so.3",
    "libcrypto": "libcrypto.so.3", "libnuma": "libnuma.so.1", "libcurl": "libcurl.so.4",
    "libxml2": "libxml2.so.2", "libarchive": "libarchive.so.13", "libre2": "libre2.so.9",
    "libcudart": "libcudart.so.12",
}  # fmt: skip
"""Those that the server and its parts need, by the names that they have in NVIDIA's images."""
_MKL = (
    "core", "intel_lp64", "gnu_thread", "def", "avx2", "avx512", "vml_def", "vml_avx2",
    "vml_avx512",
)  # fmt: skip
_OPENVINO = ("libopenvino.so", "libopenvino_c.so", "libopenvino_onnx_frontend.so")
_PLUGINS = (
    "libopenvino_intel_cpu_plugin.so", "libopenvino_auto_plugin.so",
    "libopenvino_hetero_plugin.so",
)  # fmt: skip
ONNXRUNTIME = "onnxruntime-openvino==1.19.0"
MKL = "mkl==2024.2.2"
_MODEL = """\
# Serves models that are Python: the server takes it where a library is not wanted.
class TritonPythonModel:
    def execute(self, requests):
        return []
"""


def add_core(root: Path, release: Release, triton: ZipFile) -> None:
    """bin, lib, include and the rest that no component is."""
    home = root / HOME
    for folder in ("backends", "repoagents", "caches"):
        (home / folder).mkdir(parents=True)
    _take(triton, "tritonserver/bin/tritonserver", home / "bin/tritonserver", release)
    library = home / "lib/libtritonserver.so"
    wheels.take(triton, mangled(triton, "libtritonserver"), library, 0o755)
    native.renamed(library, _names(triton, release), soname=library.name)
    header = home / "include/triton/core/tritonbackend.h"
    header.parent.mkdir(parents=True)
    header.write_bytes((native.SOURCES / header.name).read_bytes())
    (home / "LICENSE").write_text("Copyright (c) 2018-2024\n\nNobody's: made for tests.\n" * 20)
    (home / "TRITON_VERSION").write_text(f"{release.server}\n")
    (home / "NVIDIA_Deep_Learning_Container_License.pdf").write_bytes(b"%PDF-1.4\n%%EOF\n" * 4000)
    for name in ("tritonserver", "tritonfrontend"):
        wheel = home / f"python/{name}-{release.server}-py3-none-any.whl"
        wheel.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(wheel, "w") as packed:
            packed.writestr(zipfile.ZipInfo(f"{name}/__init__.py"), "")
    openai = home / "python/openai/openai_frontend/main.py"
    openai.parent.mkdir(parents=True)
    openai.write_text("# OpenAI's protocol.\n")
    sources = home / "third-party-src"
    sources.mkdir()
    (sources / "README").write_text("Sources of third parties.\n")
    with tarfile.open(sources / "src.tar.gz", "w:gz") as tar:
        info = tarfile.TarInfo("src/README")
        tar.addfile(info, io.BytesIO())


def add_components(root: Path, release: Release, triton: ZipFile) -> None:
    """Those of each release: python, identity with its relations, checksum, local."""
    home = root / HOME
    python = home / "backends/python"
    _take(triton, "backends/python/libtriton_python.so", python / "libtriton_python.so", release)
    stub = f"python_backend_stubs/{wheels.PYTHON}/triton_python_backend_stub"
    _take(triton, stub, python / "triton_python_backend_stub", release)
    utils = "backends/python/triton_python_backend_utils.py"
    wheels.take(
        triton, wheels.member(triton, utils), python / "triton_python_backend_utils.py", 0o644
    )
    local = "caches/local/libtritoncache_local.so"
    _take(triton, local, home / local, release)
    backend(root, "identity", "identity.c")
    backend(root, "square", "identity.c")
    agent = home / "repoagents/checksum/libtritonrepoagent_checksum.so"
    native.compiled(
        agent,
        native.SOURCES.parent.parent / "checksum_agent.c",
        needed=[_system(root, "libm.so.6")],
    )
    _add_links(home)
    # A later layer removes it: 24.10 is no release that has it, as those from 25.03 on.
    tensorflow = home / "backends/tensorflow"
    native.stand_in(tensorflow / "libtensorflow_cc.so.2", "libtensorflow_cc.so.2")
    (tensorflow / "libtriton_tensorflow.so").write_bytes(native.library("libtensorflow_cc.so.2"))


def _add_links(home: Path) -> None:
    """Of the kinds that there are: a component that is a link to another's folder; hard links in a
    component, to another, and to a file that lies outside of all."""
    identity = home / "backends/identity"
    os.link(identity / "libtriton_identity.so", identity / "libtriton_repeat.so")
    (home / "backends/repeat").symlink_to("identity")
    for folder in (identity, home / "backends/python", home / "repoagents/checksum"):
        os.link(home / "LICENSE", folder / "LICENSE")
    (identity / "NOTICE").write_text("A notice.\n" * 100)
    os.link(identity / "NOTICE", home / "caches/local/NOTICE")


def change(root: Path) -> list[str]:
    """As a later layer does: a backend goes, another is made again, a file goes. Returns the
    folders that were made again."""
    backends = root / HOME / "backends"
    for component in ("tensorflow", "square"):
        for file in (backends / component).iterdir():
            file.unlink()
        (backends / component).rmdir()
    backend(root, "square", "identity.c")
    (backends / "square/made_again").write_text("yes\n")
    (backends / "onnxruntime/onnx_test_runner").unlink(missing_ok=True)
    return [f"{HOME}/backends/square"]


def add_large(root: Path, onnxruntime: ZipFile, mkl: ZipFile) -> None:
    """onnxruntime, openvino, pytorch, dali and tensorrt."""
    _add_onnxruntime(root, onnxruntime)
    _add_openvino(root, onnxruntime)
    _add_pytorch(root, mkl)
    _add_dali(root)
    tensorrt = [_system(root, name) for name in ("libnvinfer.so", "libnvinfer_plugin.so")]
    cuda = root / "usr/local/cuda-12.6"
    driver = cuda / "compat/lib.real/libcuda.so"
    runtime = cuda / "lib64/libcudart.so"
    backend(root, "tensorrt", "identity.c", needed=[*tensorrt, runtime, driver])


def backend(root: Path, name: str, source: str, needed: list[Path] | None = None) -> None:
    """`libtriton_NAME.so`, which needs `needed`, in its folder or elsewhere."""
    home = root / HOME
    native.compiled(
        home / f"backends/{name}/libtriton_{name}.so", "backend.c", source,
        needed=[home / "lib/libtritonserver.so", *(needed or [])],
        runpath="$ORIGIN:$ORIGIN/wheel/dali" if name == "dali" else "$ORIGIN",
        include=home / "include",
    )  # fmt: skip


def _add_onnxruntime(root: Path, wheel: ZipFile) -> None:
    folder = root / HOME / "backends/onnxruntime"
    library = folder / "libonnxruntime.so.1.19.0"
    wheels.take(wheel, f"onnxruntime/capi/{library.name}", library, 0o755)
    native.links(library, "libonnxruntime.so.1", "libonnxruntime.so")
    for name in ("shared", "openvino"):
        provider = f"libonnxruntime_providers_{name}.so"
        wheels.take(wheel, f"onnxruntime/capi/{provider}", folder / provider, 0o755)
    _take_openvino(wheel, folder)
    backend(root, "onnxruntime", "onnxruntime.c", [library])
    (folder / "onnx_test_runner").write_bytes((root / "usr/bin/perl").read_bytes())
    (folder / "model.py").write_text(_MODEL)


def _add_openvino(root: Path, wheel: ZipFile) -> None:
    """The same OpenVINO as ONNX Runtime's, as NVIDIA sees to it."""
    folder = root / HOME / "backends/openvino"
    _take_openvino(wheel, folder)
    backend(root, "openvino", "openvino.c", [folder / "libopenvino_c.so"])


def _take_openvino(wheel: ZipFile, folder: Path) -> None:
    for name in (*_PLUGINS, "libtbb.so.12"):
        wheels.take(wheel, f"onnxruntime/capi/{name}", folder / name, 0o755)
    for name in _OPENVINO:
        numbered = folder / f"{name}.2024.3.0"
        wheels.take(wheel, f"onnxruntime/capi/{name}", numbered, 0o755)
        native.links(numbered, f"{name}.2430", name)
    (folder / "libtbb.so").symlink_to("libtbb.so.12")


def _add_pytorch(root: Path, wheel: ZipFile) -> None:
    """MKL is real; the libraries of PyTorch are small ones that use it."""
    folder = root / HOME / "backends/pytorch"
    for name in _MKL:
        library = f"libmkl_{name}.so.2"
        wheels.take(wheel, wheels.member(wheel, f"/{library}"), folder / library, 0o755)
    c10 = native.stand_in(folder / "libc10.so", "libc10.so", runpath="$ORIGIN")
    mkl = [folder / f"libmkl_{name}.so.2" for name in ("intel_lp64", "gnu_thread", "core")]
    gomp = _system(root, "libgomp.so.1")
    ucc = root / "opt/hpcx/ucc/lib/libucc.so.1"
    cpu = native.compiled(
        folder / "libtorch_cpu.so", "torch_cpu.c",
        needed=[c10, *mkl, gomp, ucc], runpath="$ORIGIN",
    )  # fmt: skip
    torch = native.stand_in(folder / "libtorch.so", "libtorch.so", cpu, c10, runpath="$ORIGIN")
    deps = folder / "libtorch_global_deps.so"
    native.stand_in(deps, deps.name, *mkl, gomp, runpath="$ORIGIN")
    python = native.stand_in(
        folder / "libtorch_python.so", "libtorch_python.so",
        torch, _system(root, "libpython3.11.so.1.0"), runpath="$ORIGIN",
    )  # fmt: skip
    backend(root, "pytorch", "pytorch.c", [torch, cpu, c10, python])
    (folder / "model.py").write_text(_MODEL)


def _add_dali(root: Path) -> None:
    folder = root / HOME / "backends/dali/wheel/dali"
    native.stand_in(folder / "libdali_operators.so", "libdali_operators.so")
    dali = native.compiled(
        folder / "libdali.so", "dali_library.c",
        needed=[_system(root, "libb64.so.0d")], runpath="$ORIGIN",
    )  # fmt: skip
    (folder / "__init__.py").write_text("")
    backend(root, "dali", "dali.c", [dali])


def _take(triton: ZipFile, member: str, target: Path, release: Release) -> None:
    """A program or a library that needs others by auditwheel's names."""
    wheels.take(triton, wheels.member(triton, f"/{member}"), target, 0o755)
    rpath = "${ORIGIN}/../lib" if target.name == "tritonserver" else ""
    soname = target.name if ".so" in target.name else ""
    native.renamed(target, _names(triton, release), soname=soname, rpath=rpath)


def _names(triton: ZipFile, release: Release) -> dict[str, str]:
    """auditwheel's name of a library → NVIDIA's."""
    known = {**_LIBRARIES, "libdcgm": f"libdcgm.so.{release.dcgm.partition('.')[0]}"}
    bundled = [name.rpartition("/")[2] for name in triton.namelist() if ".libs/" in name]
    return {name: known[stem] for name in bundled if (stem := name.partition("-")[0]) in known}


def _system(root: Path, name: str) -> Path:
    return root / LIBRARIES / name
