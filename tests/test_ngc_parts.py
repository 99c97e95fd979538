"""The releases that other tests take for NVIDIA's: that they are shaped as those, and work."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from docker import DockerClient
from docker.models.containers import Container
from parts.answering import ask
from parts.bases import skopeo
from parts.dockerd import Dockerd
from parts.ngc import layers
from parts.ngc.build import Pair, release
from parts.ngc.compose import context, dockerfile
from parts.ngc.large import enlarged
from parts.ngc.layers import GZIP, PLAIN, ZSTD, Image, Store
from parts.ngc.releases import LIBRARIES, RELEASES
from parts.ngc.server import HOME
from parts.ngc.serving import CACHE, NATIVE, models, served
from parts.ngc.shelf import NAME, blob, ngc, put
from parts.ngc.tiny import COMPONENTS, LOOP, ONNXRUNTIME, component, spread, tiny

pytestmark = pytest.mark.xdist_group(__name__)

NOT_FOUND = {"libcuda.so.1", "libtritonserver.so", "libmkl_core.so.2"}
"""By ldd: what the driver brings, what the server has loaded before any backend, and what MKL has
loaded before it opens its parts, which say no folder to look in."""
OPENED = {
    "libmkl_def.so.2|libmkl_avx2.so.2|libmkl_avx512.so.2", "libonnxruntime_providers_openvino.so",
    "libopenvino_intel_cpu_plugin.so", "libdali_operators.so", "libgomp.so.1.0.0",
    "libpython3.11.so.1.0", "libucc.so.1.0.0", "libdcgm.so.3.2.6", "libb64.so.0d",
}  # fmt: skip
"""Libraries that a server with all models has; `|` where it is the CPU that decides."""


@cache
def held(layer: Path) -> list[tarfile.TarInfo]:
    """What a layer has."""
    with tarfile.open(layer) as tar:
        return tar.getmembers()


def merged(image: Image) -> dict[str, tarfile.TarInfo]:
    """What is left of all layers."""
    there: dict[str, tarfile.TarInfo] = {}

    def drop(path: str, *, itself: bool = True) -> None:
        for name in [n for n in there if n.startswith(f"{path}/") or (itself and n == path)]:
            del there[name]

    for layer in image.layers:
        members = held(image.store.path(layer.digest))
        for member in members:
            folder, _, name = member.name.rpartition("/")
            if name == ".wh..wh..opq":
                drop(folder, itself=False)
            elif name.startswith(".wh."):
                drop(f"{folder}/{name.removeprefix('.wh.')}")
        there |= {m.name: m for m in members if not m.name.rpartition("/")[2].startswith(".wh.")}
    return there


@pytest.mark.parametrize("name", RELEASES)
def test_a_full_stands_on_its_min(name: str) -> None:
    pair = release(name)
    below = len(pair.min.layers)
    assert pair.full.layers[:below] == pair.min.layers
    assert len(pair.full.layers) > below
    assert {layer.media_type for layer in pair.full.layers} == {GZIP}
    biggest = max(pair.full.layers[below:], key=lambda layer: layer.size)
    if RELEASES[name].large:
        assert biggest == pair.full.layers[-2]
    # Debian's layer is one blob, whoever builds on it.
    assert pair.min.layers[0] == release("24.10").min.layers[0]


@pytest.mark.parametrize("name", RELEASES)
def test_images_say_what_nvidias_say(name: str) -> None:
    below, full = release(name)
    assert below.env["CUDA_VERSION"] == full.env["CUDA_VERSION"] == RELEASES[name].cuda
    assert not {"TRITON_SERVER_VERSION", "TRITON_SERVER_GPU_ENABLED"} & below.env.keys()
    assert full.env["NVIDIA_TRITON_SERVER_VERSION"] == name
    assert full.env["TRITON_SERVER_VERSION"] == RELEASES[name].server
    assert full.env["TRITON_SERVER_GPU_ENABLED"] == "1"
    assert full.env["PATH"] == f"/opt/tritonserver/bin:{below.env['PATH']}"
    assert full.labels["com.nvidia.tritonserver.version"] == RELEASES[name].server
    assert full.labels["com.nvidia.build.id"] != below.labels["com.nvidia.build.id"]
    assert len(full.labels["com.nvidia.build.ref"]) == 40
    for image in (below, full):
        said = image.config["config"]
        assert said["Entrypoint"] == ["/opt/nvidia/nvidia_entrypoint.sh"]
        assert not said["Cmd"]
        assert not said["User"]
    assert full.config["config"]["WorkingDir"] == f"/{HOME}"


@pytest.mark.parametrize("name", RELEASES)
def test_a_min_has_nothing_of_triton(name: str) -> None:
    below = merged(release(name).min)
    assert not [path for path in below if "triton" in path]
    assert below["usr/local/cuda"].linkname == "/etc/alternatives/cuda"
    assert f"{LIBRARIES}/libnuma.so.1" in below
    assert f"{LIBRARIES}/libarchive.so.13" not in below
    assert f"{LIBRARIES}/libdcgm.so" not in below
    assert "var/lib/dpkg/info/libnuma1:amd64.md5sums" in below


@pytest.mark.parametrize("name", RELEASES)
def test_a_full_has_triton_and_what_it_needs_outside(name: str) -> None:
    full = merged(release(name).full)
    for path in (
        "bin/tritonserver", "lib/libtritonserver.so", "include/triton/core/tritonbackend.h",
        "LICENSE", "TRITON_VERSION", "NVIDIA_Deep_Learning_Container_License.pdf",
        "third-party-src/src.tar.gz", "backends/python/triton_python_backend_stub",
        "caches/local/libtritoncache_local.so",
        "repoagents/checksum/libtritonrepoagent_checksum.so",
    ):  # fmt: skip
        assert f"{HOME}/{path}" in full, path
    modules = {p for p in full if p.startswith(f"{LIBRARIES}/libdcgmmodule") and p.endswith(".so")}
    assert len(modules) == 8
    assert "usr/bin/serve" in full
    assert "opt/nvidia/entrypoint.d/99-check-run-aip-mode.sh" in full
    assert "usr/local/lib/python3.11/dist-packages/numpy-1.26.4.dist-info/RECORD" in full


def test_a_full_has_links_of_all_kinds_and_what_later_layers_did() -> None:
    image = release("24.10").full
    full = merged(image)
    backends = f"{HOME}/backends"
    assert full[f"{backends}/repeat"].linkname == "identity"
    assert full[f"{backends}/onnxruntime/libonnxruntime.so"].linkname == "libonnxruntime.so.1"
    assert full[f"{backends}/onnxruntime/libonnxruntime.so.1"].linkname.endswith(".so.1.19.0")
    hard = {path: member.linkname for path, member in full.items() if member.islnk()}
    assert hard[f"{backends}/identity/LICENSE"] == f"{HOME}/LICENSE"
    assert hard[f"{HOME}/caches/local/NOTICE"] == f"{backends}/identity/NOTICE"
    assert f"{backends}/identity/libtriton_repeat.so" in hard
    assert f"{backends}/tensorflow" not in full
    assert f"{backends}/onnxruntime/onnx_test_runner" not in full
    assert {path for path in full if path.startswith(f"{backends}/square/")} == {
        f"{backends}/square/libtriton_square.so", f"{backends}/square/made_again",
    }  # fmt: skip
    with layers.opened(image.store, image.layers[-2]) as tar:
        assert f"{backends}/tensorflow/libtriton_tensorflow.so" in tar.getnames()


def test_releases_have_their_sizes() -> None:
    sizes = {
        name: sum(m.size for m in merged(release(name).full).values() if m.isreg())
        for name in RELEASES
    }
    assert 600e6 < sizes["24.10"] < 1000e6
    assert sizes["23.10"] < 340e6
    assert sizes["24.03"] < 340e6


def test_a_registry_has_them(tmp_path: Path) -> None:
    with ngc(tmp_path, "24.03", "24.10") as host:
        for name, kind in (("24.03", layers.MANIFEST), ("24.10", layers.MANIFESTS)):
            pair = release(name)
            for tag, image in ((f"{name}-py3", pair.full), (f"{name}-py3-min", pair.min)):
                source = f"docker://{host}/{NAME}:{tag}"
                raw = skopeo("inspect", "--raw", "--tls-verify=false", source)
                assert json.loads(raw)["mediaType"] == kind
                assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == image.manifest


def test_a_blob_can_be_lost_by_one_registry_alone(tmp_path: Path) -> None:
    image = tiny(Store(tmp_path / "store")).full
    with ngc(tmp_path / "registry") as host:
        put(tmp_path / "registry", image, "acme/full", "v1")
        source = f"docker://{host}/acme/full:v1"
        skopeo("copy", "--src-tls-verify=false", source, f"oci:{tmp_path}/copy:v1")
        blob(tmp_path / "registry", image.layers[0].digest).unlink()
        with pytest.raises(subprocess.CalledProcessError):
            skopeo("copy", "--src-tls-verify=false", source, f"oci:{tmp_path}/another:v1")
    assert image.store.path(image.layers[0].digest).exists()


def check(port: int, backends: tuple[str, ...]) -> None:
    asked = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.5, 2.5]}]}
    for name, wanted in [*((one, [1.5, 2.5]) for one in backends), ("double", [3.0, 5.0])]:
        (output,) = ask(port, f"/v2/models/{name}/infer", asked)["outputs"]
        assert output["data"] == wanted, name


def said(container: Container, *argv: str) -> str:
    code, output = container.exec_run(list(argv))
    assert isinstance(output, bytes)
    assert code == 0, output.decode()
    return output.decode()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ngc(tmp_path_factory.mktemp("ngc"), "24.10") as running:
        yield running


@pytest.fixture(scope="module")
def client(docker_daemon: Dockerd, host: str) -> Iterator[DockerClient]:
    """Of a daemon that has 24.10."""
    client = docker_daemon.client()
    client.api.timeout = 300
    for tag in ("24.10-py3", "24.10-py3-min"):
        client.images.pull(f"{host}/{NAME}", tag)
    yield client
    client.close()


def test_a_full_serves_models_of_all_backends(
    client: DockerClient, host: str, tmp_path: Path
) -> None:
    repository = models(tmp_path / "models", NATIVE)
    with served(client, f"{host}/{NAME}:24.10-py3", repository, CACHE) as (container, port):
        check(port, NATIVE)
        maps = said(container, "cat", "/proc/1/maps")
        loaded = {line.rpartition("/")[2] for line in maps.splitlines()}
        for names in OPENED:
            assert loaded & set(names.split("|")), names
        log = container.logs().decode()
        assert "== Triton Inference Server ==" in log
        assert "ONNX Runtime 1.19.0, with OpenVINO" in log
        assert "caches/local/libtritoncache_local.so" in log

        # Nothing lacks a library but what needs the driver's, and dpkg finds all in order.
        libraries = f"find /{HOME} -type f -name '*.so*'"
        needs = said(container, "bash", "-c", f"ldd /{HOME}/bin/* $({libraries}) 2>&1")
        lacking = {line.split()[0] for line in needs.splitlines() if "not found" in line}
        assert lacking == NOT_FOUND
        assert said(container, "dpkg", "--audit") == ""
        damaged = said(container, "bash", "-c", "dpkg --verify | grep -v ^missing || true")
        assert damaged == ""
        assert said(container, "id", "-u", "triton-server").strip() == "1000"
        assert said(container, "ldconfig", "-p").count("libcudart.so.12 ") == 1


def test_docker_builds_what_compose_asks_for(
    client: DockerClient, host: str, tmp_path: Path
) -> None:
    folder = context(tmp_path / "context", packages=True)
    text = dockerfile(
        RELEASES["24.10"], f"{host}/{NAME}:24.10-py3", f"{host}/{NAME}:24.10-py3-min",
        backends=["python", "onnxruntime", "repeat"], repoagents=["checksum"], caches=["local"],
        packages="local",
    )  # fmt: skip
    (folder / "Dockerfile.compose").write_text(text)
    image, _ = client.images.build(path=str(folder), dockerfile="Dockerfile.compose", rm=True)
    assert image.id
    chosen = ("onnxruntime", "repeat")
    try:
        with served(client, image.id, models(tmp_path / "models", chosen), CACHE) as (
            container,
            port,
        ):
            check(port, chosen)
            found = said(container, "find", ".", "-type", "f", "-printf", "%P %s %U\n")
    finally:
        client.images.remove(image.id, force=True)
    files = {path: (int(size), owner) for path, size, owner in map(str.split, found.splitlines())}
    full = merged(release("24.10").full)
    assert files["lib/libtritonserver.so"] == (full[f"{HOME}/lib/libtritonserver.so"].size, "1000")
    assert {path.split("/")[1] for path in files if path.startswith("backends/")} == {
        "onnxruntime", "python", "repeat",
    }  # fmt: skip
    assert "python/openai/openai_frontend/main.py" not in files


PACKAGES: tuple[Literal["remote", ""], ...] = ("remote", "")


def test_steps_that_install_can_be_had_too() -> None:
    with_them, without = (
        dockerfile(
            RELEASES["24.10"], "full", "min",
            backends=["python", "pytorch"], caches=["local"], packages=packages,
        )
        for packages in PACKAGES
    )  # fmt: skip
    left_out = [line for line in with_them.splitlines() if line not in without.splitlines()]
    assert sum(line.startswith("RUN") for line in left_out) == 3
    assert "libgomp1" in with_them
    assert not any(word in without for word in ("apt-get", "pip3", "curl"))
    assert without.index("backends/python") < without.index("caches/local")
    assert "/opt/hpcx/ucc/lib/" in without
    cpu = dockerfile(RELEASES["24.10"], "full", "min", gpu=False)
    assert "TRITON_SERVER_GPU_ENABLED 0" in cpu
    assert "DCGM" not in cpu


def test_a_large_one_is_of_real_content(tmp_path: Path) -> None:
    store = Store(tmp_path / "large")
    full = enlarged(store, 120_000_000, "24.03").full
    big = full.layers[-2]
    with layers.opened(store, big) as tar:
        members = list(tar)
    sizes = {member.name: member.size for member in members if member.isreg()}
    assert sum(sizes.values()) >= 120_000_000
    assert f"{HOME}/backends/fil/libtriton_fil.so" in sizes
    names = [member.name for member in members]
    assert names == sorted(set(names))
    assert 0.3 < big.size / sum(sizes.values()) < 0.42
    assert full.layers[:-2] == release("24.03").full.layers[:-2]


# Small ones, with what can be wrong.


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def components(pair: Pair) -> set[str]:
    found = (f"{path.removeprefix(HOME)[1:]}/".split("/") for path in merged(pair.full))
    kinds = ("backends", "caches", "repoagents")
    return {f"{kind}/{name}" for kind, name, *_ in found if kind in kinds and name}


def test_a_tiny_one_is_shaped_as_the_others(store: Store) -> None:
    pair = tiny(store)
    assert components(pair) == set(COMPONENTS)
    assert pair.full.layers[: len(pair.min.layers)] == pair.min.layers
    assert pair.full.env == release("24.10").full.env
    assert sum(layer.size for layer in pair.full.layers) < 50_000


def test_a_component_can_be_missing(store: Store) -> None:
    assert components(tiny(store, components=COMPONENTS[:2])) == set(COMPONENTS[:2])


def test_a_component_can_be_spread_over_layers(store: Store) -> None:
    pair = tiny(store, later=spread())
    there = {path for path in merged(pair.full) if path.startswith(f"{ONNXRUNTIME}/")}
    assert there == {f"{ONNXRUNTIME}/kept.txt", f"{ONNXRUNTIME}/libtriton_onnxruntime.so"}
    assert len(pair.full.layers) == 7


@pytest.mark.parametrize("media_type", [ZSTD, PLAIN])
def test_a_layer_need_not_be_gzip(media_type: str, tmp_path: Path, store: Store) -> None:
    image = tiny(store, media_type=media_type).full
    assert media_type in {layer.media_type for layer in image.layers}
    with ngc(tmp_path / "registry") as host:
        put(tmp_path / "registry", image, NAME, "v1")
        source = f"docker://{host}/{NAME}:v1"
        skopeo("copy", "--src-tls-verify=false", source, f"oci:{tmp_path}/copy:v1")


def test_libraries_can_be_lacking_and_links_go_round(store: Store) -> None:
    nobody = component("backends/identity", "libnobody.so.1")
    full = merged(tiny(store, extra={**nobody, **LOOP}).full)
    (content,) = nobody.values()
    assert isinstance(content, bytes)
    assert b"libnobody.so.1" in content
    about, around = (full[path].linkname for path in LOOP)
    assert {about, around} == {"libabout.so", "libround.so"}


def test_a_min_can_be_another(store: Store) -> None:
    pair = tiny(store)
    other = tiny(store, "24.03", architecture="arm64", system="11", cuda="11.8.0", apart=True)
    assert other.min.env["CUDA_VERSION"] == "11.8.0"
    assert other.full.layers[0] != other.min.layers[0]
    assert other.full.env["NVIDIA_TRITON_SERVER_VERSION"] == "24.03"
    assert other.min.config["architecture"] == "arm64"
    assert other.min.labels["org.opencontainers.image.version"] == "11"
    assert pair.min.labels["org.opencontainers.image.version"] == "12"


def test_a_full_can_be_for_cpus_alone(store: Store) -> None:
    below, full = tiny(store, gpu=False)
    assert "CUDA_VERSION" not in below.env.keys() | full.env.keys()
    assert full.env["TRITON_SERVER_GPU_ENABLED"] == "0"
