"""OpenVINO's models. OpenVINO itself is too large for the tests: the model here was written by
its release 2026.4, and what it says of it is what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest
from tritonbuild.rules.formats import FormatError, Signature, TensorInfo, read_signature

MODEL = """\
<?xml version="1.0"?>
<net name="m" version="11">
  <layers>
    <layer id="0" name="w" type="Parameter" version="opset1">
      <data shape="1..8,3" element_type="f64" />
      <output>
        <port id="0" precision="FP64" names="wa,wb">
          <dim>-1</dim>
          <dim>3</dim>
        </port>
      </output>
    </layer>
    <layer id="1" name="x" type="Parameter" version="opset1">
      <data shape="?,3,8" element_type="f32" />
      <output>
        <port id="0" precision="FP32" names="x">
          <dim>-1</dim>
          <dim>3</dim>
          <dim>8</dim>
          <rt_info>
            <attribute name="layout" version="0" layout="[N,C,H]" />
          </rt_info>
        </port>
      </output>
    </layer>
    <layer id="2" name="Constant_4" type="Const" version="opset1">
      <data element_type="i64" shape="1" offset="0" size="8" />
      <output>
        <port id="0" precision="I64">
          <dim>1</dim>
        </port>
      </output>
    </layer>
    <layer id="3" name="ReduceSum_5" type="ReduceSum" version="opset1">
      <data keep_dims="true" />
      <input>
        <port id="0" precision="FP64">
          <dim>-1</dim>
          <dim>3</dim>
        </port>
        <port id="1" precision="I64">
          <dim>1</dim>
        </port>
      </input>
      <output>
        <port id="2" precision="FP64" names="Result_7">
          <dim>-1</dim>
          <dim>1</dim>
        </port>
      </output>
    </layer>
    <layer id="4" name="Relu_3" type="ReLU" version="opset1">
      <input>
        <port id="0" precision="FP32">
          <dim>-1</dim>
          <dim>3</dim>
          <dim>8</dim>
        </port>
      </input>
      <output>
        <port id="1" precision="FP32" names="y1,y2">
          <dim>-1</dim>
          <dim>3</dim>
          <dim>8</dim>
          <rt_info>
            <attribute name="layout" version="0" layout="[N,...]" />
          </rt_info>
        </port>
      </output>
    </layer>
    <layer id="5" name="Result_6" type="Result" version="opset1" output_names="y1,y2">
      <input>
        <port id="0" precision="FP32">
          <dim>-1</dim>
          <dim>3</dim>
          <dim>8</dim>
        </port>
      </input>
    </layer>
    <layer id="6" name="Result_7" type="Result" version="opset1" output_names="Result_7">
      <input>
        <port id="0" precision="FP64">
          <dim>-1</dim>
          <dim>1</dim>
        </port>
      </input>
    </layer>
  </layers>
  <edges>
    <edge from-layer="0" from-port="0" to-layer="3" to-port="0" />
    <edge from-layer="1" from-port="0" to-layer="4" to-port="0" />
    <edge from-layer="2" from-port="0" to-layer="3" to-port="1" />
    <edge from-layer="3" from-port="2" to-layer="6" to-port="0" />
    <edge from-layer="4" from-port="1" to-layer="5" to-port="0" />
  </edges>
  <rt_info>
    <info name="OpenVINO Runtime" value="2026.4.1-22982-e213a147257-releases/2026/4" />
  </rt_info>
</net>
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.bin").write_bytes(bytes(8))
    return tmp_path


def read(folder: Path, content: str = MODEL, beside: dict[str, int] | None = None) -> Signature:
    (folder / "model.xml").write_text(content)
    signature = read_signature("openvino", "", folder / "model.xml", beside=beside)
    assert signature is not None
    return signature


def refused(folder: Path, content: str = MODEL) -> str:
    with pytest.raises(FormatError) as error:
        read(folder, content)
    return str(error.value.problem)


def test_the_signature_is_what_openvino_says(folder: Path) -> None:
    """A tensor's name is the first of its names; that of a result without a name its layer's."""
    signature = read(folder)
    assert signature.inputs == (
        TensorInfo("wa", "TYPE_FP64", (-1, 3)),
        TensorInfo("x", "TYPE_FP32", (-1, 3, 8), layout="[N,C,H]"),
    )
    assert signature.outputs == (
        TensorInfo("y1", "TYPE_FP32", (-1, 3, 8), layout="[N,...]"),
        TensorInfo("Result_7", "TYPE_FP64", (-1, 1)),
    )
    assert signature.facts == {"ir_version": "11"}


def test_a_result_without_any_name_has_its_layers(folder: Path) -> None:
    signature = read(folder, MODEL.replace(' names="Result_7"', ""))
    assert signature.outputs[1].name == "Result_7"


def test_missing_weights_are_told(tmp_path: Path) -> None:
    text = refused(tmp_path)
    assert "model.bin, are not beside model.xml" in text
    assert "declare the folder" in text


def test_weights_that_are_cut_short_are_told(folder: Path) -> None:
    (folder / "model.bin").write_bytes(b"1234")
    assert "model.bin has 4 bytes; the model refers to 8" in refused(folder)


def test_what_will_stand_beside_may_be_told(tmp_path: Path) -> None:
    assert read(tmp_path, beside={"model.bin": 8}).inputs


ENTITIES = "".join(f'<!ENTITY e{n} "&e{n - 1};&e{n - 1};">' for n in range(1, 40))
BOMB = f'<!DOCTYPE net [<!ENTITY e0 "x">{ENTITIES}]><net a="&e39;"/>'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "the file is empty"),
        (MODEL[:700], "no XML"),
        ("<html><body>404</body></html>", "HTML page"),
        ("<?xml version='1.0'?><Error><Code>NoSuchKey</Code></Error>", "object store"),
        ("<model><layers/></model>", "root is <model>"),
        ("<net version='11'></net>", "with layers"),
        (MODEL.replace("<dim>8</dim>", "<dim>x</dim>"), "no OpenVINO model"),
        (MODEL.replace("<dim>8</dim>", f"<dim>{2**64}</dim>"), "no OpenVINO model"),
        (MODEL.replace("<dim>8</dim>", f"<dim>{'1' * 5000}</dim>"), "no OpenVINO model"),
        ("<net>" * 1000, "no XML"),
        (BOMB, "no XML"),
        (MODEL.replace('to-layer="6"', 'to-layer="9"'), "nothing leads to result 'Result_7'"),
        (MODEL.replace('from-port="2"', 'from-port="7"'), "has no output '7'"),
    ],
)
def test_what_is_no_model_is_told(content: str, told: str, folder: Path) -> None:
    assert told in refused(folder, content)


def test_entities_are_not_looked_up(folder: Path) -> None:
    (folder / "secret").write_text("31")
    bomb = MODEL.replace(
        '<net name="m"', f'<!DOCTYPE net [<!ENTITY e SYSTEM "{folder}/secret">]>\n<net name="m"'
    ).replace("<dim>8</dim>", "<dim>&e;</dim>")
    assert "no OpenVINO model" in refused(folder, bomb)


def test_openvino_opens_onnx_too(folder: Path) -> None:
    from parts.onnx_models import identity

    (folder / "net.onnx").write_bytes(identity(["N", 2], ["N", 2]).SerializeToString())
    signature = read_signature("openvino", "", folder / "net.onnx")
    assert signature is not None
    assert signature.inputs == (TensorInfo("x", "TYPE_FP32", (-1, 2)),)


def test_of_other_formats_it_opens_nothing_is_told(folder: Path) -> None:
    (folder / "model.pdmodel").write_bytes(b"paddle")
    assert read_signature("openvino", "", folder / "model.pdmodel") is None
