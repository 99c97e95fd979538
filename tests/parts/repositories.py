"""Model repositories as people have them: a folder of files for each shape of model."""

from __future__ import annotations

import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

Shape = Mapping[str, str | bytes]
"""Path in the repository → content; a path that ends in `/` is an empty folder."""

VECTOR = """\
max_batch_size: 4
input [ { name: "x" data_type: TYPE_FP32 dims: [ 3 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 3 ] } ]
"""
PYTHON = f'backend: "python"\n{VECTOR}'
CODE = """\
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        answers = []
        for request in requests:
            x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
            y = pb_utils.Tensor("y", x * np.float32(FACTOR))
            answers.append(pb_utils.InferenceResponse([y]))
        return answers
"""
COMPLETES = (
    CODE
    + """
    @staticmethod
    def auto_complete_config(config):
        config.set_max_batch_size(4)
        config.add_input({"name": "x", "data_type": "TYPE_FP32", "dims": [3]})
        config.add_output({"name": "y", "data_type": "TYPE_FP32", "dims": [3]})
        return config
"""
)
CALLS = """\
import triton_python_backend_utils as pb_utils

CALLEE = "plain"


class TritonPythonModel:
    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        x = pb_utils.get_input_tensor_by_name(request, "x")
        asked = pb_utils.InferenceRequest(
            model_name=CALLEE, requested_output_names=["y"], inputs=[x]
        )
        return pb_utils.InferenceResponse(asked.exec().output_tensors())
"""
REPEATS = """\
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            sender = request.get_response_sender()
            for number in range(3):
                y = pb_utils.Tensor("y", np.full([1], number, np.int32))
                sender.send(pb_utils.InferenceResponse([y]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""
IMPORTS = """\
import helper
import triton_python_backend_utils as pb_utils
from shared.scale import FACTOR

try:
    import surely_not_there
except ImportError:
    surely_not_there = None


class TritonPythonModel:
    def execute(self, requests):
        return [helper.answer(request, FACTOR) for request in requests]
"""
HELPER = """\
import triton_python_backend_utils as pb_utils


def answer(request, factor):
    x = pb_utils.get_input_tensor_by_name(request, "x").as_numpy()
    return pb_utils.InferenceResponse([pb_utils.Tensor("y", (x * factor).astype("f4"))])
"""
ENSEMBLE = """\
platform: "ensemble"
max_batch_size: 4
input [ {{ name: "x" data_type: TYPE_FP32 dims: [ 3 ] }} ]
output [ {{ name: "y" data_type: TYPE_FP32 dims: [ 3 ] }} ]
ensemble_scheduling {{
  step [
    {{
      model_name: "{0}"
      model_version: -1
      input_map {{ key: "x" value: "x" }}
      output_map {{ key: "y" value: "between" }}
    }},
    {{
      model_name: "{1}"
      model_version: -1
      input_map {{ key: "x" value: "between" }}
      output_map {{ key: "y" value: "y" }}
    }}
  ]
}}
"""


def model(factor: float = 2.0) -> str:
    """A model.py: y is x times a factor."""
    return CODE.replace("FACTOR", str(factor))


def onnx(external: str = "") -> bytes:
    """An ONNX model: y is x + 1; `external` names the file that holds the 1."""
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 3]) for n in "xy")
    one = helper.make_tensor("one", TensorProto.FLOAT, [1], [1.0])
    if external:
        one.ClearField("float_data")
        one.data_location = TensorProto.EXTERNAL
        for key, value in (("location", external), ("offset", "0"), ("length", "4")):
            entry = one.external_data.add()
            entry.key, entry.value = key, value
    node = helper.make_node("Add", ["x", "one"], ["y"])
    graph = helper.make_graph([node], "add", [x], [y], [one])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = made.SerializeToString()
    return content


ONE = b"\x00\x00\x80?"
"""What the external data of `onnx` holds."""


def environment() -> bytes:
    """A packed environment, as far as a build looks at it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("bin/activate"), io.BytesIO())
    return content.getvalue()


def archive(*names: str) -> bytes:
    """A zip archive with files of these names."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name in names:
            file.writestr(zipfile.ZipInfo(name), name)
    return content.getvalue()


def saved_model() -> bytes:
    """What TensorFlow writes, as far as a signature goes: y of x."""
    from tritonbuild.rules.formats import savedmodel_pb2

    saved = savedmodel_pb2.SavedModel(saved_model_schema_version=1)
    graph = saved.meta_graphs.add()
    graph.meta_info_def.tags.append("serve")
    signature = graph.signature_def["serving_default"]
    for side, name in ((signature.inputs, "x"), (signature.outputs, "y")):
        side[name].name, side[name].dtype = f"{name}:0", 1
        for size in (-1, 3):
            side[name].tensor_shape.dim.add(size=size)
    content: bytes = saved.SerializeToString()
    return content


PORT = """\
<port id="0" precision="FP32" names="{}"><dim>1</dim><dim>3</dim></port>"""
OPENVINO = f"""\
<?xml version="1.0"?>
<net name="relu" version="11">
  <layers>
    <layer id="0" name="x" type="Parameter" version="opset1">
      <data shape="1,3" element_type="f32" />
      <output>{PORT.format("x")}</output>
    </layer>
    <layer id="1" name="y" type="ReLU" version="opset1">
      <input>{PORT.format("x")}</input>
      <output>{PORT.replace('id="0"', 'id="1"').format("y")}</output>
    </layer>
    <layer id="2" name="y/sink" type="Result" version="opset1">
      <input>{PORT.format("y")}</input>
    </layer>
  </layers>
  <edges>
    <edge from-layer="0" from-port="0" to-layer="1" to-port="0" />
    <edge from-layer="1" from-port="1" to-layer="2" to-port="0" />
  </edges>
</net>
"""


def served() -> dict[str, Shape]:
    """Shapes whose models load here: on PyPI's release, with a backend for ONNX beside them."""
    add = onnx()
    return {
        "a plain model": {"plain/config.pbtxt": PYTHON, "plain/1/model.py": model()},
        "a name in the config": {
            "named/config.pbtxt": f'name: "named"\n{PYTHON}',
            "named/1/model.py": model(),
        },
        "no config": {"bare/1/model.py": COMPLETES.replace("FACTOR", "2")},
        "no backend said": {"silent/config.pbtxt": VECTOR, "silent/1/model.py": model()},
        "two versions, all of them": {
            "both/config.pbtxt": f"{PYTHON}version_policy {{ all {{}} }}\n",
            "both/1/model.py": model(1),
            "both/2/model.py": model(2),
        },
        "three versions, some of them": {
            "some/config.pbtxt": (
                f"{PYTHON}version_policy {{ specific {{ versions: [ 1, 3 ] }} }}\n"
            ),
            "some/1/model.py": model(1),
            "some/2/model.py": model(2),
            "some/3/model.py": model(3),
        },
        "labels": {
            "labelled/config.pbtxt": PYTHON.replace(
                'name: "y"', 'name: "y" label_filename: "labels.txt"'
            ),
            "labelled/labels.txt": "one\ntwo\nthree\n",
            "labelled/1/model.py": model(),
        },
        "labels in a folder": {
            "deep_labels/config.pbtxt": PYTHON.replace(
                'name: "y"', 'name: "y" label_filename: "words/labels.txt"'
            ),
            "deep_labels/words/labels.txt": "one\ntwo\nthree\n",
            "deep_labels/1/model.py": model(),
        },
        "other configs": {
            "configured/config.pbtxt": PYTHON,
            "configured/configs/small.pbtxt": PYTHON.replace("4", "1", 1),
            "configured/configs/large.pbtxt": PYTHON.replace("4", "64", 1),
            "configured/1/model.py": model(),
        },
        "warm-up": {
            "warm/config.pbtxt": f"""{PYTHON}
model_warmup [ {{
  name: "sample" batch_size: 1
  inputs {{ key: "x" value {{ data_type: TYPE_FP32 dims: [ 3 ] input_data_file: "x.bin" }} }}
}} ]
""",
            "warm/warmup/x.bin": bytes(12),
            "warm/1/model.py": model(),
        },
        "an initial state": {
            "stateful/config.pbtxt": f"""{PYTHON}
sequence_batching {{
  state [ {{
    input_name: "state_in" output_name: "state_out" data_type: TYPE_FP32 dims: [ 3 ]
    initial_state {{ name: "start" data_type: TYPE_FP32 dims: [ 3 ] data_file: "start.bin" }}
  }} ]
}}
""",
            "stateful/initial_state/start.bin": bytes(12),
            "stateful/1/model.py": model(),
        },
        "nested files": {
            "nested/config.pbtxt": PYTHON,
            "nested/1/model.py": IMPORTS,
            "nested/1/helper.py": HELPER,
            "nested/1/shared/__init__.py": "",
            "nested/1/shared/scale.py": "FACTOR = 2.0\n",
            "nested/1/assets/deep/words.txt": "words\n",
            "nested/README.md": "# How it was trained\n",
            "nested/data/vocabulary.txt": "one\n",
        },
        "an ensemble with an empty version": {
            "chain/config.pbtxt": ENSEMBLE.format("plain", "named"),
            "chain/1/": b"",
        },
        "an ensemble without a version": {
            "chain_of_chains/config.pbtxt": ENSEMBLE.format("chain", "labelled"),
        },
        "a model that calls another": {
            "caller/config.pbtxt": PYTHON,
            "caller/1/model.py": CALLS,
        },
        "a decoupled model": {
            "repeats/config.pbtxt": """\
backend: "python"
max_batch_size: 0
input [ { name: "x" data_type: TYPE_INT32 dims: [ 1 ] } ]
output [ { name: "y" data_type: TYPE_INT32 dims: [ 1 ] } ]
model_transaction_policy { decoupled: true }
""",
            "repeats/1/model.py": REPEATS,
        },
        "a response cache": {
            "cached/config.pbtxt": f"{PYTHON}response_cache {{ enable: true }}\n",
            "cached/1/model.py": model(),
        },
        "an ensemble of a program that completes its config": {
            "chain_of_own/config.pbtxt": ENSEMBLE.format("own_io", "own_io"),
            "chain_of_own/1/": b"",
        },
        "a program that completes its config": {
            "own_io/config.pbtxt": 'backend: "python"\n',
            "own_io/1/model.py": COMPLETES.replace("FACTOR", "2.0"),
        },
        "ONNX by its platform": {
            "onnx_platform/config.pbtxt": 'platform: "onnxruntime_onnx"\n' + VECTOR,
            "onnx_platform/1/model.onnx": add,
        },
        "ONNX without a config": {"onnx_bare/1/model.onnx": add},
        "ONNX under a name of its own": {
            "onnx_named/config.pbtxt": (
                'backend: "onnxruntime"\ndefault_model_filename: "add.onnx"\n' + VECTOR
            ),
            "onnx_named/1/add.onnx": add,
        },
        "ONNX with data beside it": {
            "onnx_external/config.pbtxt": f'backend: "onnxruntime"\n{VECTOR}',
            "onnx_external/1/model.onnx": onnx("weights.bin"),
            "onnx_external/1/weights.bin": ONE,
        },
        "a hidden folder": {
            "hidden/config.pbtxt": PYTHON,
            "hidden/.cache/words.txt": "words\n",
            "hidden/1/model.py": model(),
        },
        "the name of a component": {"python/config.pbtxt": PYTHON, "python/1/model.py": model()},
        "the name of all targets": {"all/config.pbtxt": PYTHON, "all/1/model.py": model()},
        "a name with dots": {"a.b-c/config.pbtxt": PYTHON, "a.b-c/1/model.py": model()},
    }


def unserved() -> dict[str, Shape]:
    """Shapes for which there is no backend here, or no agent, or nothing to load."""
    library = b"\x7fELF a library"
    plan = b"ftrt a plan"
    weights = onnx()
    md5 = hashlib.md5(weights).hexdigest()
    return {
        "an agent with checksums": {
            "checked/config.pbtxt": f"""backend: "onnxruntime"
{VECTOR}
model_repository_agents {{ agents [ {{
  name: "checksum" parameters {{ key: "MD5:1/model.onnx" value: "{md5}" }}
}} ] }}
""",
            "checked/1/model.onnx": weights,
        },
        "plans by compute capability": {
            "plans/config.pbtxt": f"""platform: "tensorrt_plan"
{VECTOR}
cc_model_filenames [ {{ key: "7.5" value: "t4.plan" }}, {{ key: "9.0" value: "h100.plan" }} ]
""",
            "plans/1/t4.plan": plan,
            "plans/1/h100.plan": plan + b" for another",
        },
        "a plan": {
            "plan/config.pbtxt": f'platform: "tensorrt_plan"\n{VECTOR}',
            "plan/1/model.plan": plan,
        },
        "the library of its backend": {
            "own/config.pbtxt": f'backend: "mine"\n{VECTOR}',
            "own/1/libtriton_mine.so": library,
            "own/1/weights.bin": bytes(8),
        },
        "the library beside the versions": {
            "own_beside/config.pbtxt": f'backend: "mine"\n{VECTOR}',
            "own_beside/libtriton_mine.so": library,
            "own_beside/1/": b"",
        },
        "an environment of its own": {
            "packed/config.pbtxt": f"""{PYTHON}
parameters {{
  key: "EXECUTION_ENV_PATH"
  value {{ string_value: "$$TRITON_MODEL_DIRECTORY/env.tar.gz" }}
}}
""",
            "packed/env.tar.gz": environment(),
            "packed/1/model.py": model(),
        },
        "TorchScript": {
            "torch/config.pbtxt": f'platform: "pytorch_libtorch"\n{VECTOR}',
            "torch/1/model.pt": archive("m/constants.pkl", "m/code/m.py"),
        },
        "a SavedModel": {
            "saved/config.pbtxt": f'platform: "tensorflow_savedmodel"\n{VECTOR}',
            "saved/1/model.savedmodel/saved_model.pb": saved_model(),
            "saved/1/model.savedmodel/variables/variables.index": bytes(4),
        },
        "OpenVINO": {
            "vino/config.pbtxt": """\
backend: "openvino"
input [ { name: "x" data_type: TYPE_FP32 dims: [ 1, 3 ] } ]
output [ { name: "y" data_type: TYPE_FP32 dims: [ 1, 3 ] } ]
""",
            "vino/1/model.xml": OPENVINO,
            "vino/1/model.bin": bytes(4),
        },
        "OpenVINO without a config": {
            "vino_bare/1/model.xml": OPENVINO,
            "vino_bare/1/model.bin": bytes(4),
        },
        "trees": {
            "trees/config.pbtxt": f"""backend: "fil"
{VECTOR}
parameters {{ key: "model_type" value {{ string_value: "xgboost_json" }} }}
parameters {{ key: "output_class" value {{ string_value: "false" }} }}
""",
            "trees/1/xgboost.json": '{"learner":{"attributes":{},"feature_names":[]}}',
        },
        "vLLM": {
            "chat/config.pbtxt": 'backend: "vllm"\ninstance_group [ { kind: KIND_MODEL } ]\n',
            "chat/1/model.json": '{"model": "facebook/opt-125m"}',
        },
        "ONNX as a folder": {
            "onnx_folder/config.pbtxt": f'backend: "onnxruntime"\n{VECTOR}',
            "onnx_folder/1/model.onnx/model.onnx": onnx("weights.bin"),
            "onnx_folder/1/model.onnx/weights.bin": ONE,
        },
        "a stub of its own": {
            "stub/config.pbtxt": PYTHON,
            "stub/triton_python_backend_stub": library,
            "stub/1/model.py": model(),
        },
        "a name with a space": {
            "two words/config.pbtxt": f'platform: "tensorrt_plan"\n{VECTOR}',
            "two words/1/model.plan": plan,
        },
        "a name in other letters": {
            "模型/config.pbtxt": f'platform: "tensorrt_plan"\n{VECTOR}',
            "模型/1/model.plan": plan,
        },
    }


def write(folder: Path, shapes: Mapping[str, Shape]) -> None:
    for shape in shapes.values():
        for name, content in shape.items():
            path = folder / name
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            if path.name.endswith("_stub"):
                path.chmod(0o755)
