"""A model repository as a ModelPack and as a modelcar: the same blobs, which independent tools read
and from which a Triton could serve."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from parts import bills, store
from parts.bench import Bench
from parts.missing import missing
from tritonbuild.rules.images.modelpack import pack_models
from tritonbuild.rules.images.shell import make_shell

from tritonbuild.errors import ActionError
from tritonbuild.merkle import Entry, File, Folder
from tritonbuild.oci import ImageConfig, Manifest
from tritonbuild.oci.content import read
from tritonbuild.oci.layout import write_layout
from tritonbuild.oci.sparse import Sparse
from tritonbuild.oci.validate import validate

WEIGHT = "application/vnd.cncf.model.weight.v1.tar"
WEIGHT_CONFIG = "application/vnd.cncf.model.weight.config.v1.tar"
CODE = "application/vnd.cncf.model.code.v1.tar"
FILE_PATH = "org.cncf.model.filepath"
LAYERS = (
    {"models/net/1/model.onnx": "weights", "models/net/1/more/a.bin": "x"},
    {"models/net/2/model.onnx": "others"},
    {"models/py/1/model.py": "class TritonPythonModel: ..."},
    {"models/net/config.pbtxt": 'backend: "onnxruntime"', "models/py/config.pbtxt": "x"},
)
PARAMETERS: dict[str, Any] = {
    "name": "all", "platform": "linux/amd64", "epoch": 1_700_000_000,
    "annotations": {"org.opencontainers.image.title": "all models"},
}  # fmt: skip


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "cache")


def packs(bench: Bench, shell: Entry | None = None) -> dict[str, Sparse]:
    inputs: dict[str, Entry] = bills.made(bench, *LAYERS)
    inputs = {f"layers/{n}": Folder({"000": layer}) for n, layer in enumerate(inputs.values())}
    if shell is not None:
        inputs["shell/000"] = shell
    result = bench.run(
        pack_models, parameters=PARAMETERS, inputs=inputs, outputs=["modelpack", "modelcar"]
    )
    made = {}
    for name, folder in result.outputs.items():
        assert isinstance(folder, Folder)
        made[name] = Sparse(folder, bench.cache)
    return made


def manifest(sparse: Sparse) -> Manifest:
    return Manifest.parse(read(sparse, sparse.descriptor), "manifest")


def program(name: str) -> str:
    if shutil.which(name) is None:
        missing(f"{name} is not installed", f"apt-get install {name}")
    return name


def test_a_modelpack_names_each_layer_by_what_it_holds(bench: Bench) -> None:
    pack = manifest(packs(bench)["modelpack"])
    assert pack.artifact_type == "application/vnd.cncf.model.manifest.v1+json"
    assert pack.config.media_type == "application/vnd.cncf.model.config.v1+json"
    layers = [(layer.media_type, (layer.annotations or {}).get(FILE_PATH)) for layer in pack.layers]
    assert layers == [
        (WEIGHT, "models/net/1"),
        (WEIGHT, "models/net/2/model.onnx"),
        (CODE, "models/py/1/model.py"),
        (WEIGHT_CONFIG, "models"),
    ]


def test_its_config_has_the_diff_ids_of_the_layers(bench: Bench) -> None:
    made = packs(bench)
    pack, car = made["modelpack"], made["modelcar"]
    config = json.loads(read(pack, manifest(pack).config))
    image = ImageConfig.parse(read(car, manifest(car).config), "config")
    assert config["modelfs"] == {"type": "layers", "diffIds": image.rootfs.diff_ids}
    assert config["descriptor"] == {"createdAt": "2023-11-14T22:13:20Z", "name": "all"}


def test_both_are_over_the_same_blobs(bench: Bench) -> None:
    made = packs(bench)
    digests = [[layer.digest for layer in manifest(sparse).layers] for sparse in made.values()]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == len(LAYERS)


def test_both_are_the_same_wherever_they_are_made(tmp_path: Path) -> None:
    one, two = packs(Bench(tmp_path / "one")), packs(Bench(tmp_path / "two"))
    assert {name: one[name].descriptor for name in one} == {n: two[n].descriptor for n in two}


def test_umoci_unpacks_a_modelcar_to_a_repository(bench: Bench, tmp_path: Path) -> None:
    car = packs(bench)["modelcar"]
    assert validate(car, car.descriptor) == []
    write_layout(car, car.descriptor, tmp_path / "layout", "car")
    subprocess.run(
        [program("umoci"), "unpack", "--image", f"{tmp_path}/layout:car", tmp_path / "bundle"],
        capture_output=True, check=True,
    )  # fmt: skip
    root = tmp_path / "bundle/rootfs"
    found = {
        str(path.relative_to(root)): path.read_text() for path in root.rglob("*") if path.is_file()
    }
    assert found == {path: text for layer in LAYERS for path, text in layer.items()}


def test_skopeo_copies_a_modelpack(bench: Bench, tmp_path: Path) -> None:
    pack = packs(bench)["modelpack"]
    write_layout(pack, pack.descriptor, tmp_path / "layout", "pack")
    subprocess.run(
        [program("skopeo"), "copy", f"oci:{tmp_path}/layout:pack", f"dir:{tmp_path}/copy"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert (tmp_path / "copy/manifest.json").read_bytes() == read(pack, pack.descriptor)
    blobs = {path.name for path in (tmp_path / "copy").iterdir()}
    assert {layer.content.hash for layer in manifest(pack).layers} <= blobs


def deb(bench: Bench, folder: Path, files: Mapping[str, bytes]) -> File:
    """A Debian package of these files."""
    tree = folder / "package"
    control = tree / "DEBIAN/control"
    control.parent.mkdir(parents=True)
    control.write_text(
        "Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n"
    )
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_bytes(content)
    subprocess.run(
        [program("dpkg-deb"), "--build", tree, folder / "x.deb"], capture_output=True, check=True
    )
    return bench.take(folder / "x.deb")


def test_a_modelcar_with_a_shell_runs_what_kserve_starts(bench: Bench, tmp_path: Path) -> None:
    busybox = Path(store.program("busybox")).read_bytes()
    package = deb(bench, tmp_path, {"bin/busybox": busybox})
    made = bench.run(
        make_shell, parameters={"epoch": 0}, inputs={"deb": package}, outputs=["layers"]
    )
    car = packs(bench, made.outputs["layers"])["modelcar"]
    assert validate(car, car.descriptor) == []
    write_layout(car, car.descriptor, tmp_path / "layout", "car")
    subprocess.run(
        [program("umoci"), "unpack", "--image", f"{tmp_path}/layout:car", tmp_path / "bundle"],
        capture_output=True, check=True,
    )  # fmt: skip
    root = tmp_path / "bundle/rootfs"
    (root / "mnt").mkdir()
    command = "ln -sf /models /mnt/models && sleep 0"
    subprocess.run(
        [store.program("chroot"), root, "/bin/sh", "-c", command], check=True, env={"PATH": "/bin"}
    )
    assert (root / "mnt/models").readlink() == Path("/models")


def test_a_package_without_a_shell_is_refused(bench: Bench, tmp_path: Path) -> None:
    package = deb(bench, tmp_path, {"usr/share/x": b"x"})
    with pytest.raises(ActionError, match="no busybox"):
        bench.run(make_shell, parameters={"epoch": 0}, inputs={"deb": package}, outputs=["layers"])
