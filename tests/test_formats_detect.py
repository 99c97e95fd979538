"""Whose a file or folder is, and what stands in the place of a model."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from parts.onnx_models import identity
from tritonbuild.rules.formats import Detected, FormatError, detect, read_signature
from tritonbuild.rules.formats.kinds import KINDS, file_names
from tritonbuild.rules.formats.tensorrt import major_version

ONNX = identity(["N", 2], ["N", 2]).SerializeToString()
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab\nsize 12345\n"
DVC = b"outs:\n- md5: a304afb96060aad90176268345e10355\n  size: 37891850\n  path: model.onnx\n"
GZIP, PLAN = b"\x1f\x8b\x08\x00" + bytes(60), b"ftrt" + bytes(20) + b"\x0a" + bytes(40)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def archive(path: Path, *names: str) -> Path:
    """A zip such as PyTorch writes."""
    with zipfile.ZipFile(path, "w") as out:
        for name in names:
            out.writestr(f"{path.stem}/{name}", b"1")
    return path


def torchscript(path: Path) -> Path:
    return archive(path, "data.pkl", "code/__torch__.py", "constants.pkl", "version")


def compiled(path: Path) -> Path:
    return archive(path, "archive_format", "data/aotinductor/model/model.wrapper.so")


def exported(path: Path) -> Path:
    return archive(path, "archive_format", "models/model.json", "data/weights/weight_0")


def state_dict(path: Path) -> Path:
    return archive(path, "data.pkl", "byteorder", "data/0", "version")


@pytest.mark.parametrize(
    ("name", "content", "backend", "file_name"),
    [
        ("densenet.onnx", ONNX, "onnxruntime", "model.onnx"),
        ("densenet", ONNX, "onnxruntime", "model.onnx"),
        ("a.plan", PLAN, "tensorrt", "model.plan"),
        ("a.engine", b"whatever it is", "tensorrt", "model.plan"),
        ("weights", PLAN, "tensorrt", "model.plan"),
        ("model.xml", b"<?xml version='1.0'?>\n<net name='x'>", "openvino", "model.xml"),
        ("resnet.pdmodel", b"\x0a\x10", "openvino", "model.pdmodel"),
        ("frozen.pb", b"\x0a\x08\x0a\x01a\x12\x03Foo", "tensorflow", "model.graphdef"),
        ("m.graphdef", b"\x0a\x08\x0a\x01a\x12\x03Foo", "tensorflow", "model.graphdef"),
        ("hidden.pb", ONNX, "onnxruntime", "model.onnx"),
        ("any.py", b"class TritonPythonModel:\n    pass\n", "python", "model.py"),
        ("pipe.py", b"@autoserialize\n@dali.pipeline_def\ndef p(): ...\n", "dali", "dali.py"),
        ("pipe.dali", b"\x0a\x00", "dali", "model.dali"),
        ("model.json", b'{"model": "facebook/opt-125m"}', "vllm", "model.json"),
        ("libtriton_mine.so", b"\x7fELF", "mine", "libtriton_mine.so"),
    ],
)
def test_files_are_told_apart(
    name: str, content: bytes, backend: str, file_name: str, tmp_path: Path
) -> None:
    found = detect(write(tmp_path / name, content))
    assert found is not None
    assert (found.backend, found.file_name) == (backend, file_name)


# As xgboost 3, lightgbm 4 and treelite 4 write them.
UBJ = b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{L\x00\x00\x00\x00\x00\x00\x00\nattributes{}"
FORESTS = [
    ("a.json", b'{"learner":{"attributes":{},"feature_names":[]', "xgboost_json"),
    ("a.ubj", UBJ, "xgboost_ubj"),
    ("a.model", UBJ, "xgboost_ubj"),
    ("xgboost.model", b"\x00\x00\x00\x3f\x03\x00\x00\x00", "xgboost"),
    ("old.model", b"binf\x00\x00\x00\x3f", "xgboost"),
    ("a.txt", b"tree\nversion=v4\nnum_class=1\n", "lightgbm"),
    ("a.tl", b"\x04\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00", "treelite_checkpoint"),
]


@pytest.mark.parametrize(("name", "content", "kind"), FORESTS)
def test_forests_are_told_apart(name: str, content: bytes, kind: str, tmp_path: Path) -> None:
    found = detect(write(tmp_path / name, content))
    assert found is not None
    assert found.backend == "fil"
    assert found.facts == {"parameters.model_type": kind}
    assert found.file_name in file_names("fil", "", "", kind)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("README.md", b"# A model\n"),
        ("labels.txt", b"cat\ndog\n"),
        ("tool.py", b"print('hello')\n"),
        ("model.bin", bytes(64)),
        ("settings.json", b'{"model": 1}'),
        ("config.xml", b"<config/>"),
        ("unknown", b"\x00\x01\x02"),
        ("empty", b""),
        ("model.json", b"[" * 200_000),
        ("model.json", b"1" * 5000),
    ],
)
def test_of_other_files_nothing_is_told(name: str, content: bytes, tmp_path: Path) -> None:
    assert detect(write(tmp_path / name, content)) is None


def test_folders_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "saved/saved_model.pb", b"\x08\x01\x12\x00")
    write(tmp_path / "large/model.onnx", ONNX)
    write(tmp_path / "data/rows.csv", b"1\n")
    saved, large = detect(tmp_path / "saved"), detect(tmp_path / "large")
    assert saved == Detected("tensorflow", "tensorflow_savedmodel", "model.savedmodel")
    assert large == Detected("onnxruntime", "onnxruntime_onnx", "model.onnx")
    assert detect(tmp_path / "data") is None


def test_a_part_of_a_savedmodel_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="a part of a SavedModel"):
        detect(write(tmp_path / "saved_model.pb", b"\x08\x01\x12\x00"))


def test_every_detected_file_is_one_that_its_backend_looks_for(tmp_path: Path) -> None:
    files = {name for kind in KINDS for name in kind.files}
    for path in (torchscript(tmp_path / "a.pt"), compiled(tmp_path / "b.pt2")):
        found = detect(path)
        assert found is not None
        assert found.file_name in files


# PyTorch


def test_torch_files_are_told_apart(tmp_path: Path) -> None:
    script, package = detect(torchscript(tmp_path / "a.pt")), detect(compiled(tmp_path / "b.pt2"))
    assert script == Detected("pytorch", "pytorch_libtorch", "model.pt")
    assert package == Detected("pytorch", "torch_aoti", "model.pt2")


@pytest.mark.parametrize("name", ["a.pt", "a.pth"])
def test_weights_without_a_program_are_told(name: str, tmp_path: Path) -> None:
    path = state_dict(tmp_path / name)
    with pytest.raises(FormatError, match=r"weights without a program[^$]*torch\.jit\.script"):
        detect(path)
    with pytest.raises(FormatError, match="weights without a program"):
        read_signature("pytorch", "pytorch_libtorch", path)


def test_a_pickle_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="weights without a program"):
        detect(write(tmp_path / "a.pt", b"\x80\x02\x8a\x0al\xfc\x9c"))


def test_an_exported_program_is_told_how_to_compile(tmp_path: Path) -> None:
    path = exported(tmp_path / "a.pt2")
    for act in (lambda: detect(path), lambda: read_signature("pytorch", "torch_aoti", path)):
        with pytest.raises(FormatError, match="aoti_compile_and_package"):
            act()


def test_the_other_platforms_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"config\.platform = 'torch_aoti'"):
        read_signature("pytorch", "pytorch_libtorch", compiled(tmp_path / "model.pt"))
    with pytest.raises(FormatError, match=r"config\.platform = 'pytorch_libtorch'"):
        read_signature("pytorch", "torch_aoti", torchscript(tmp_path / "model.pt2"))


def test_a_program_tells_no_inputs(tmp_path: Path) -> None:
    assert read_signature("pytorch", "", torchscript(tmp_path / "a.pt")) is None


def test_a_damaged_archive_is_told(tmp_path: Path) -> None:
    content = torchscript(tmp_path / "a.pt").read_bytes()
    path = write(tmp_path / "b.pt", content[: len(content) // 2])
    with pytest.raises(FormatError, match="damaged zip"):
        read_signature("pytorch", "", path)


# TensorRT


def test_the_version_of_a_plan_is_told_as_far_as_it_is_known(tmp_path: Path) -> None:
    found = detect(write(tmp_path / "a.plan", PLAN))
    assert found is not None
    assert found.facts == {"tensorrt": "10"}
    assert major_version(b"ftrt") == major_version(b"ptrt" + PLAN[4:]) == ""


# What stands in the place of a model

STAND_INS = [
    (b"", "the file is empty"),
    (LFS, "git lfs pull"),
    (DVC, "dvc pull"),
    (b"<!DOCTYPE html>\n<html lang=en>", "HTML page"),
    (b"\xef\xbb\xbf\n<HTML>", "HTML page"),
    (b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>", "object store"),
]


@pytest.mark.parametrize(("content", "told"), STAND_INS)
@pytest.mark.parametrize(
    ("backend", "platform"),
    [
        ("onnxruntime", "onnxruntime_onnx"),
        ("openvino", ""),
        ("pytorch", "pytorch_libtorch"),
        ("tensorrt", "tensorrt_plan"),
        ("fil", ""),
        ("dali", ""),
    ],
)
def test_a_stand_in_is_told_for_every_backend(
    content: bytes, told: str, backend: str, platform: str, tmp_path: Path
) -> None:
    file = write(tmp_path / file_names(backend, platform, "")[0], content)
    with pytest.raises(FormatError, match=told):
        read_signature(backend, platform, file)


@pytest.mark.parametrize("content", [LFS, DVC, b""])
@pytest.mark.parametrize("name", ["a.onnx", "a.plan", "a.pt"])
def test_a_stand_in_is_told_by_detection(content: bytes, name: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError):
        detect(write(tmp_path / name, content))


def test_a_dvc_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"name 'a\.onnx'"):
        detect(write(tmp_path / "a.onnx.dvc", DVC))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (GZIP, "gunzip"),
        (b"PK\x03\x04" + bytes(60), "zip archive"),
        (b"\x28\xb5\x2f\xfd" + bytes(60), "zstd"),
        (bytes(257) + b"ustar" + bytes(300), "tar archive"),
    ],
)
def test_an_archive_in_the_place_of_an_onnx_model_is_told(
    content: bytes, told: str, tmp_path: Path
) -> None:
    with pytest.raises(FormatError, match=told):
        read_signature("onnxruntime", "", write(tmp_path / "model.onnx", content))
