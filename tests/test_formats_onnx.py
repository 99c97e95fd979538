"""ONNX models, read without their weights."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from parts.onnx_models import FLOAT, identity, model, value
from tritonbuild.rules.formats import FormatError, Signature, TensorInfo, read_signature
from tritonbuild.rules.formats.onnx import DATATYPES

ORT_TYPES = {
    "tensor(float)": "TYPE_FP32",
    "tensor(uint8)": "TYPE_UINT8",
    "tensor(int8)": "TYPE_INT8",
    "tensor(uint16)": "TYPE_UINT16",
    "tensor(int16)": "TYPE_INT16",
    "tensor(int32)": "TYPE_INT32",
    "tensor(int64)": "TYPE_INT64",
    "tensor(string)": "TYPE_STRING",
    "tensor(bool)": "TYPE_BOOL",
    "tensor(float16)": "TYPE_FP16",
    "tensor(double)": "TYPE_FP64",
    "tensor(uint32)": "TYPE_UINT32",
    "tensor(uint64)": "TYPE_UINT64",
    "tensor(bfloat16)": "TYPE_BF16",
}


def read(proto: Any, folder: Path) -> Signature:
    file = folder / "model.onnx"
    file.write_bytes(proto if isinstance(proto, bytes) else proto.SerializeToString())
    signature = read_signature("onnxruntime", "onnxruntime_onnx", file)
    assert signature is not None
    return signature


def refused(content: Any, folder: Path) -> str:
    with pytest.raises(FormatError) as error:
        read(content, folder)
    return str(error.value.problem)


def scalar(name: str, numbers: list[float]) -> Any:
    return numpy_helper.from_array(np.array(numbers, "float32"), name)


def weights(name: str, *shape: int) -> Any:
    return numpy_helper.from_array(np.zeros(shape, "float32"), name)


def matmul(rows: Any, dims: Any = ("N", 4)) -> onnx.ModelProto:
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    return model([value("x", (rows, 3))], [value("y", dims)], [node], [weights("w", 3, 4)])


def variants() -> Iterator[tuple[str, onnx.ModelProto]]:
    """Models that onnxruntime can load."""
    for number, name in DATATYPES.items():
        yield name, identity(["N", 3], ["N", 3], number)
    shapes: list[Any] = [
        [], [1], [-1], [0], ["N"], [None], [1, 3], ["N", 3], ["N", "M"], [None, None],
        ["batch", 3, 224, 224], ["N", 1, None, 5], [2, -1], ["N", 0], ["a"] * 6, None,
    ]  # fmt: skip
    for shape in shapes:
        yield f"alike {shape}", identity(shape, shape)
        yield f"output unstated {shape}", identity(shape, None)
    yield "output symbols of its own", identity([2, 3], ["a", "b"])
    yield "output stated, input not", identity(None, [2, 3])
    yield "output fixed, input varies", identity(["N", 3], [4, 3])
    yield "output without type", model([value("x", [2])], [onnx.ValueInfoProto(name="y")])
    yield "matmul", matmul("N")
    yield "matmul fixed", matmul(5, ("rows", "columns"))
    add = helper.make_node("Add", ["x", "w"], ["y"])
    both = [value("x", ["N", 3]), value("w", [3])]
    for version, opset in ((3, 8), (4, 9), (8, 17)):
        yield (
            f"initializer is input, IR {version}",
            model(
                both,
                [value("y", ["N", 3])],
                [add],
                [scalar("w", [1, 2, 3])],
                ir_version=version,
                opset=opset,
            ),
        )
    reshape = helper.make_node("Reshape", ["x", "s"], ["y"])
    for target in ([-1, 3], [1, -1], [0, 3]):
        shape = numpy_helper.from_array(np.array(target, "int64"), "s")
        yield (
            f"reshape {target}",
            model([value("x", ["N", 3])], [value("y", ["M", "K"])], [reshape], [shape]),
        )
    two = [
        helper.make_node("Relu", ["b"], ["y"]),
        helper.make_node("Concat", ["a", "b"], ["z"], axis=1),
    ]
    yield (
        "several",
        model(
            [value("b", ["N", 2]), value("a", ["N", "K"])],
            [value("z", ["N", "L"]), value("y", ["N", 2])],
            two,
        ),
    )
    yield "unused input", model([value("x", [1]), value("u", ["N"])], [value("y", [1])])
    yield "input is output", model([value("x", ["N"])], [value("x", ["N"]), value("y", [None])])
    yield (
        "initializer is output",
        model([value("x", [1])], [value("y", [1]), value("w", [3])], None, [weights("w", 3)]),
    )
    constant = helper.make_node("Constant", [], ["y"], value=weights("c", 3))
    yield "no input", model([], [value("y", [3])], [constant])
    large = helper.make_node("Constant", [], ["y"], value=weights("c", 300, 300))
    yield "large constant", model([], [value("y", [300, 300])], [large])
    conv = helper.make_node("Conv", ["x", "k"], ["y"], kernel_shape=[3, 3])
    yield (
        "convolution",
        model(
            [value("x", ["N", 3, "H", "W"])],
            [value("y", ["N", "C", "H2", "W2"])],
            [conv],
            [weights("k", 4, 3, 3, 3)],
        ),
    )
    then = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["t"])], "t", [], [value("t", ["N"])]
    )
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["e"])], "e", [], [value("e", ["N"])])
    branch = helper.make_node("If", ["c"], ["y"], then_branch=then, else_branch=other)
    yield (
        "subgraphs",
        model([value("c", [], TensorProto.BOOL), value("x", ["N"])], [value("y", ["N"])], [branch]),
    )
    deep = [helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"]) for i in range(3000)]
    yield "3000 nodes", model([value("t0", ["N", 2])], [value("t3000", ["N", 2])], deep)
    dense = [
        node
        for i in range(40)
        for node in (
            helper.make_node("Gemm", [f"r{i}", f"w{i}", f"b{i}"], [f"t{i}"]),
            helper.make_node("Relu", [f"t{i}"], [f"r{i + 1}"]),
        )
    ]
    layers = [t for i in range(40) for t in (weights(f"w{i}", 32, 32), weights(f"b{i}", 32))]
    yield (
        "80 initializers",
        model([value("r0", ["N", 32])], [value("r40", ["N", 32])], dense, layers),
    )
    yield "names of every kind", model(
        [value("an input/ü:0", ["größe", 2])],
        [value("out put", ["größe", 2])],
        [helper.make_node("Identity", ["an input/ü:0"], ["out put"])],
    )  # fmt: skip


VARIANTS = list(variants())


def shape_of(argument: Any) -> tuple[int, ...]:
    """As the C API gives it: what is no number varies."""
    return tuple(size if isinstance(size, int) else -1 for size in argument.shape)


@pytest.mark.parametrize(("name", "proto"), VARIANTS, ids=[name for name, _ in VARIANTS])
def test_the_signature_is_what_onnxruntime_says_or_said_to_be_inferred(
    name: str, proto: onnx.ModelProto, tmp_path: Path
) -> None:
    ours = read(proto, tmp_path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), options)
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        # No kernel for the type; the signature is what the file says all the same.
        assert ours.inputs[0].datatype == ours.outputs[0].datatype == name
        return
    inputs = [*session.get_inputs(), *session.get_overridable_initializers()]
    for info, told in zip(ours.inputs, inputs, strict=True):
        assert info.name == told.name
        assert info.optional == (told not in inputs[: len(session.get_inputs())])
        assert info.datatype == ORT_TYPES[told.type]
        # To onnxruntime a shape that is not stated has no dimensions.
        assert (info.shape or ()) == shape_of(told)
        assert not info.is_inferred
    for info, told in zip(ours.outputs, session.get_outputs(), strict=True):
        assert info.name == told.name
        assert info.datatype in ("", ORT_TYPES[told.type])
        if info.shape is None:
            assert info.is_inferred
            continue
        shape = shape_of(told)
        assert len(info.shape) == len(shape)
        for size, known in zip(info.shape, shape, strict=True):
            assert size == known or (size == -1 and info.is_inferred)


def test_there_are_variants_enough() -> None:
    assert len(VARIANTS) >= 60


def test_what_is_known_besides(tmp_path: Path) -> None:
    proto = matmul("N")
    proto.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    assert read(proto, tmp_path).facts == {
        "ir_version": "8",
        "opset": "17",
        "opset.com.microsoft": "1",
        "producer": "tests",
    }


@pytest.mark.parametrize(
    ("proto", "kind"),
    [
        (
            model(
                [value("x", ["N", 3])],
                [helper.make_tensor_sequence_value_info("y", FLOAT, None)],
                [helper.make_node("SequenceConstruct", ["x"], ["y"])],
            ),
            "sequence",
        ),
        (
            model(
                [value("x", [1])],
                [
                    helper.make_value_info(
                        "y", helper.make_map_type_proto(7, helper.make_tensor_type_proto(1, [1]))
                    )
                ],
            ),
            "map",
        ),
        (
            model(
                [value("x", [1])],
                [helper.make_value_info("y", helper.make_sparse_tensor_type_proto(FLOAT, [1]))],
            ),
            "sparse tensor",
        ),
        (
            model(
                [value("x", [1])],
                [
                    helper.make_value_info(
                        "y", helper.make_optional_type_proto(helper.make_tensor_type_proto(1, [1]))
                    )
                ],
            ),
            "optional",
        ),
    ],
    ids=["sequence", "map", "sparse", "optional"],
)
def test_what_is_no_tensor_is_told(proto: Any, kind: str, tmp_path: Path) -> None:
    assert read(proto, tmp_path).outputs == (TensorInfo("y", "", None, kind=kind),)


def test_a_sparse_initializer_is_no_input(tmp_path: Path) -> None:
    values = helper.make_tensor("w", FLOAT, [1], [1.0])
    indices = helper.make_tensor("", TensorProto.INT64, [1], [2])
    sparse = helper.make_sparse_tensor(values, indices, [4])
    proto = model([value("x", [1]), value("w", [4])], [value("y", [1])], sparse=[sparse])
    assert [info.name for info in read(proto, tmp_path).inputs if not info.optional] == ["x"]


# What is wrong with a file


def test_an_input_without_a_type_is_refused_as_by_onnxruntime(tmp_path: Path) -> None:
    proto = model([onnx.ValueInfoProto(name="x")], [value("y", [1])])
    assert "input 'x' has no type" in refused(proto, tmp_path)


@pytest.mark.parametrize("missing", ["ir_version", "graph", "opset_import"])
def test_a_model_without_what_onnxruntime_needs_is_refused(missing: str, tmp_path: Path) -> None:
    proto = matmul("N")
    proto.ClearField(missing)
    assert "no ONNX model: it has no" in refused(proto, tmp_path)


def test_an_empty_file_is_told(tmp_path: Path) -> None:
    assert "the file is empty" in refused(b"", tmp_path)


@pytest.mark.parametrize("part", [0.05, 0.3, 0.5, 0.9, 0.999])
def test_a_file_that_is_cut_short_is_told(part: float, tmp_path: Path) -> None:
    content = dict(VARIANTS)["80 initializers"].SerializeToString()
    text = refused(content[: int(len(content) * part)], tmp_path)
    assert "cut short" in text
    assert "fetch or export it again" in text


@pytest.mark.parametrize(
    "content", [b"hello, world\n", b"\x00" * 100, b"\xff" * 100, b"{}", b"\x08\x08"]
)
def test_other_content_is_told(content: bytes, tmp_path: Path) -> None:
    assert "ONNX model" in refused(content, tmp_path)


@given(st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_refused_or_read_but_never_a_crash(tmp_path: Path, data: st.DataObject) -> None:
    content = bytearray(matmul("N").SerializeToString())
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] = data.draw(st.integers(0, 255))
    with suppress(FormatError):
        read(bytes(content), tmp_path)


def test_graphs_nested_too_deep_are_refused(tmp_path: Path) -> None:
    inner = b"\x0a" + varint(70_000) + bytes([0x32]) + varint(69_996) + b"." * 69_996
    for _ in range(300):
        attribute = tag(6, 2) + varint(len(inner)) + inner
        node = tag(5, 2) + varint(len(attribute)) + attribute
        inner = tag(1, 2) + varint(len(node)) + node
    content = b"\x08\x08" + tag(7, 2) + varint(len(inner)) + inner
    assert "more than 100 deep" in refused(content, tmp_path)


# Data in other files


def external(location: str, folder: Path, *, offset: int = 0, length: int = 48) -> Path:
    """A model whose weights lie elsewhere."""
    proto = matmul("N")
    (tensor,) = proto.graph.initializer
    make_external(tensor, location, offset, length)
    folder.mkdir(exist_ok=True)
    file = folder / "model.onnx"
    file.write_bytes(proto.SerializeToString())
    return file


def make_external(tensor: Any, location: str, offset: int = 0, length: int = 48) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    said = {"location": location, "offset": str(offset), "length": str(length)}
    for key, text in said.items():
        tensor.external_data.add(key=key, value=text)


def refusal(path: Path, beside: dict[str, int] | None = None) -> str:
    with pytest.raises(FormatError) as error:
        read_signature("onnxruntime", "onnxruntime_onnx", path, beside=beside)
    return str(error.value.problem)


def test_data_beside_the_model_is_found(tmp_path: Path) -> None:
    file = external("weights/all.bin", tmp_path)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/all.bin").write_bytes(bytes(48))
    signature = read_signature("onnxruntime", "onnxruntime_onnx", file)
    assert signature is not None
    assert signature.facts["external_data"] == "weights/all.bin"


def test_a_folder_stands_for_the_model_in_it(tmp_path: Path) -> None:
    external("all.bin", tmp_path)
    (tmp_path / "all.bin").write_bytes(bytes(48))
    signature = read_signature("onnxruntime", "onnxruntime_onnx", tmp_path)
    assert signature is not None
    assert signature.inputs[0].name == "x"


def test_a_folder_without_a_model_is_told(tmp_path: Path) -> None:
    assert "holds no model.onnx" in refusal(tmp_path)


def test_a_lone_file_whose_data_is_elsewhere_is_told_what_it_lacks(tmp_path: Path) -> None:
    text = refusal(external("all.bin", tmp_path))
    assert "the data of tensor 'w' lies in 'all.bin', which is not beside" in text
    assert "declare the folder as the version" in text


def test_what_will_stand_beside_may_be_told(tmp_path: Path) -> None:
    file = external("all.bin", tmp_path)
    (tmp_path / "all.bin").write_bytes(bytes(48))
    assert "is not beside" in refusal(file, beside={"model.onnx": 1})
    assert read_signature("onnxruntime", "", file, beside={"all.bin": 48}) is not None


def test_data_that_is_cut_short_is_told(tmp_path: Path) -> None:
    file = external("all.bin", tmp_path, offset=4096)
    (tmp_path / "all.bin").write_bytes(bytes(4100))
    assert "'all.bin' has 4,100 bytes; the data of tensor 'w' reaches to 4,144" in refusal(file)


def test_a_number_that_is_none_needs_no_data(tmp_path: Path) -> None:
    file = external("all.bin", tmp_path)
    text = file.read_bytes()
    proto = onnx.load_model_from_string(text)
    proto.graph.initializer[0].external_data[2].value = "9" * 5000
    file.write_bytes(proto.SerializeToString())
    assert read_signature("onnxruntime", "", file, beside={"all.bin": 1}) is not None


@pytest.mark.parametrize(
    "location", ["../w.bin", "/etc/passwd", "a/../../w.bin", "", "..\\w.bin", "a\0"]
)
def test_data_outside_the_folder_is_refused(location: str, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(48))
    assert "outside the model's folder" in refusal(external(location, tmp_path / "model"))


@pytest.mark.parametrize("padding", [0, 200_000], ids=["small", "large"])
def test_data_of_constants_in_subgraphs_is_found(padding: int, tmp_path: Path) -> None:
    tensor = weights("c", 3, 4)
    make_external(tensor, "inner.bin")
    constant = helper.make_node("Constant", [], ["t"], value=tensor)
    constant.doc_string = "." * padding
    inner = helper.make_graph([constant], "g", [], [value("t", [3, 4])])
    branch = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    proto = model([value("c", [], TensorProto.BOOL)], [value("y", [3, 4])], [branch])
    assert "lies in 'inner.bin'" in refused(proto, tmp_path)


# Weights are not read


def tag(number: int, kind: int) -> bytes:
    return varint(number << 3 | kind)


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def huge(file: Path, size: int) -> None:
    """A model with one tensor of so many bytes, which take no space on the disk."""
    proto = matmul("N")
    (tensor,) = proto.graph.initializer
    tensor.ClearField("raw_data")
    graph, rest = onnx.GraphProto(), onnx.ModelProto()
    graph.CopyFrom(proto.graph)
    del graph.initializer[:]
    rest.CopyFrom(proto)
    rest.ClearField("graph")
    head = tensor.SerializeToString() + tag(9, 2) + varint(size)  # raw_data
    nodes = onnx.GraphProto(node=graph.node).SerializeToString()
    del graph.node[:]
    io = graph.SerializeToString()
    opening = nodes + tag(5, 2) + varint(len(head) + size) + head
    whole = tag(7, 2) + varint(len(opening) + size + len(io)) + opening
    with open(file, "wb") as out:
        out.write(rest.SerializeToString() + whole)
        out.seek(size, 1)
        out.write(io)


COSTS = """\
import resource, sys
from pathlib import Path
from tritonbuild.rules.formats import FormatError, onnx_pb2, read_signature
def counted():
    return int(open("/proc/self/io").readline().split()[1])
before, peak = counted(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    told = read_signature("onnxruntime", "", Path(sys.argv[1])).outputs[0].shape
except FormatError as error:
    told = error.problem.found
print(counted() - before)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak)
print(told)
"""


@pytest.mark.parametrize(
    ("size", "told"),
    [(2**31 - 4096, "(-1, 4)"), (3 << 30, "bytes, more than any runtime can parse")],
    ids=["2 GB", "3 GB"],
)
def test_gigabytes_are_judged_in_a_few_kilobytes(size: int, told: str, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    huge(file, size)
    finished = subprocess.run(
        [sys.executable, "-c", COSTS, file], capture_output=True, text=True, check=True
    )
    bytes_read, kilobytes, said = finished.stdout.splitlines()
    assert int(bytes_read) < 100_000  # with the modules imported meanwhile
    assert int(kilobytes) < 16_000
    assert told in said


def test_trees_are_passed_over(tmp_path: Path) -> None:
    """They are lists of numbers, a field for each; what comes after them is seen."""
    tensor = weights("c", 3, 4)
    make_external(tensor, "after.bin")
    trees = helper.make_node(
        "TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml",
        nodes_hitrates=[0.5] * 100_000, nodes_nodeids=[*range(100_000)], target_tensor=tensor,
    )  # fmt: skip
    file = tmp_path / "model.onnx"
    file.write_bytes(
        model([value("x", ["N", 4])], [value("y", ["N", 4])], [trees]).SerializeToString()
    )
    finished = subprocess.run(
        [sys.executable, "-c", COSTS, file], capture_output=True, text=True, check=True
    )
    bytes_read, _, said = finished.stdout.splitlines()
    assert file.stat().st_size > 800_000
    assert int(bytes_read) < 100_000
    assert "after.bin" in said


def test_onnxruntime_parses_no_more_than_2_gigabytes_either(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    huge(file, 2**31)
    with pytest.raises(Exception, match="Protobuf parsing failed"):
        onnxruntime.InferenceSession(file)


def test_a_small_huge_model_is_a_real_one(tmp_path: Path) -> None:
    """What is written for the test above is what the onnx package understands."""
    file = tmp_path / "model.onnx"
    huge(file, 48)
    onnx.checker.check_model(onnx.load(file))
    session = onnxruntime.InferenceSession(file)
    assert session.run(None, {"x": np.ones((2, 3), "float32")})[0].shape == (2, 4)
