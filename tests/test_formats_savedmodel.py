"""TensorFlow's SavedModels. TensorFlow is too large to make one here: the first was written with
TensorBoard's copy of TensorFlow's messages, the others with ours."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from tritonbuild.rules.formats import FormatError, Signature, TensorInfo, read_signature
from tritonbuild.rules.formats import savedmodel_pb2 as messages

WRITTEN_BY_TENSORBOARD = base64.b64decode(
    "CAES6gMKDyIFc2VydmUqBjIuMTUuMBJFCkMKA2JpZxIFQ29uc3QqNQoFdmFsdWUSLEIqIih4eHh4eHh4eHh4eHh4eHh4"
    "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4Kj4KBWVtYmVkEjUKDwoEdGV4dBIHCgNlOjAQBxIiCgRoYWxmEhoKA286MBAT"
    "GhESAggBEgsI////////////ASqPAgoPc2VydmluZ19kZWZhdWx0EvsBCjEKBG1hc2sSKQoWc2VydmluZ19kZWZhdWx0"
    "X21hc2s6MBAKGg0SCwj///////////8BCkEKBWltYWdlEjgKF3NlcnZpbmdfZGVmYXVsdF9pbWFnZTowEAEaGxILCP//"
    "/////////wESAwjgARIDCOABEgIIAxIqCgVuYW1lcxIhChlTdGF0ZWZ1bFBhcnRpdGlvbmVkQ2FsbDoxEAcaAhgBEjsK"
    "BnNjb3JlcxIxChlTdGF0ZWZ1bFBhcnRpdGlvbmVkQ2FsbDowEAEaEhILCP///////////wESAwjoBxoadGVuc29yZmxv"
    "dy9zZXJ2aW5nL3ByZWRpY3QqPgoVX19zYXZlZF9tb2RlbF9pbml0X29wEiUSIwoVX19zYXZlZF9tb2RlbF9pbml0X29w"
    "EgoKBE5vT3AaAhgB"
)


def read(content: bytes, folder: Path, parameters: dict[str, str] | None = None) -> Signature:
    (folder / "saved_model.pb").write_bytes(content)
    signature = read_signature("tensorflow", "tensorflow_savedmodel", folder, parameters=parameters)
    assert signature is not None
    return signature


def refused(content: bytes, folder: Path, parameters: dict[str, str] | None = None) -> str:
    with pytest.raises(FormatError) as error:
        read(content, folder, parameters)
    return str(error.value.problem)


def saved(*signatures: str, tag: str = "serve") -> bytes:
    model = messages.SavedModel(saved_model_schema_version=1)
    graph = model.meta_graphs.add()
    graph.meta_info_def.tags.append(tag)
    for name in signatures:
        tensor = graph.signature_def[name].inputs[f"of_{name}"]
        tensor.name, tensor.dtype = "x:0", 1
        tensor.tensor_shape.dim.add(size=-1)
    return model.SerializeToString()


def test_the_signature_that_is_served(tmp_path: Path) -> None:
    signature = read(WRITTEN_BY_TENSORBOARD, tmp_path)
    assert signature.inputs == (
        TensorInfo("image", "TYPE_FP32", (-1, 224, 224, 3)),
        TensorInfo("mask", "TYPE_BOOL", (-1,)),
    )
    assert signature.outputs == (
        TensorInfo("names", "TYPE_STRING", None),
        TensorInfo("scores", "TYPE_FP32", (-1, 1000)),
    )
    assert signature.facts == {"signature": "serving_default", "tensorflow": "2.15.0"}


def test_the_config_may_choose_another(tmp_path: Path) -> None:
    signature = read(WRITTEN_BY_TENSORBOARD, tmp_path, {"TF_SIGNATURE_DEF": "embed"})
    assert signature.inputs == (TensorInfo("text", "TYPE_STRING", ()),)
    assert signature.outputs == (TensorInfo("half", "TYPE_FP16", (1, -1)),)


def test_one_that_the_model_lacks_is_told_with_those_it_has(tmp_path: Path) -> None:
    text = refused(WRITTEN_BY_TENSORBOARD, tmp_path, {"TF_SIGNATURE_DEF": "ember"})
    assert "no signature 'ember'" in text
    assert "one of: embed, serving_default" in text


def test_without_a_default_there_may_be_one_of_another_name(tmp_path: Path) -> None:
    signature = read(saved("__saved_model_init_op", "predict"), tmp_path)
    assert signature.inputs[0].name == "of_predict"


def test_a_model_without_signatures_is_told(tmp_path: Path) -> None:
    assert "export it with signatures" in refused(saved(), tmp_path)


def test_a_model_for_training_only_is_told(tmp_path: Path) -> None:
    text = refused(saved("serving_default", tag="train"), tmp_path)
    assert "no graph has the tag 'serve'" in text
    assert "one of: train" in text


@pytest.mark.parametrize("size", [0, 1, 5, 60, 300, len(WRITTEN_BY_TENSORBOARD) - 1])
def test_a_file_that_is_cut_short_is_told(size: int, tmp_path: Path) -> None:
    refused(WRITTEN_BY_TENSORBOARD[:size], tmp_path)


def test_a_folder_without_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"holds no saved_model\.pb"):
        read_signature("tensorflow", "tensorflow_savedmodel", tmp_path)


def test_a_graphdef_tells_nothing(tmp_path: Path) -> None:
    file = tmp_path / "model.graphdef"
    file.write_bytes(b"\x0a\x02\x0a\x00")
    assert read_signature("tensorflow", "tensorflow_graphdef", file) is None
