"""What the core fills in, and from what: files, names, and what the config says already."""

from __future__ import annotations

from .case import MODEL, Case, Cases

IO = """
input { name: "x" data_type: TYPE_FP32 dims: 4 }
output { name: "y" data_type: TYPE_FP32 dims: 4 }
"""
SEQUENCE = """
max_batch_size: 4
sequence_batching {
  control_input {
    name: "START"
    control { kind: CONTROL_SEQUENCE_START fp32_false_true: [0, 1] }
  }
"""
NON_LINEAR = """
platform: "tensorrt_plan"
input { name: "x" data_type: TYPE_FP32 dims: [1, 2, 3] is_non_linear_format_io: true }
output { name: "y" data_type: TYPE_FP32 dims: 4 }
"""
GROWABLE = f"""
backend: "python" max_batch_size: 4
sequence_batching {{
  state {{
    input_name: "i" output_name: "o" data_type: TYPE_FP32 dims: 1 use_growable_memory: true
  }}
}}
{IO}
"""


def _model(config: str, *files: str) -> Case:
    return Case(
        config, {name: b"" if name.endswith("/") else MODEL for name in files or ("1/model.py",)}
    )


COMPLETED: Cases = {
    "c_says_its_backend": _model('backend: "python"' + IO),
    "c_says_nothing_but_io": _model(IO),
    "c_says_its_file": _model('default_model_filename: "model.py"' + IO),
    "c_says_another_file": _model(
        'backend: "python" default_model_filename: "other.py"' + IO, "1/other.py"
    ),
    "c_groups": _model(
        'backend: "python" instance_group [{}, { kind: KIND_CPU }, { name: "own" count: 2 }]' + IO
    ),
    "c_no_pinned_memory": _model(
        'backend: "python" optimization { input_pinned_memory { enable: false } }' + IO
    ),
    "c_sequences": _model('backend: "python"' + SEQUENCE + "}" + IO),
    "c_oldest_sequences": _model('backend: "python"' + SEQUENCE + "oldest {} }" + IO),
    "c_waiting_sequences": _model(
        'backend: "python"' + SEQUENCE + "max_sequence_idle_microseconds: 7 direct {} }" + IO
    ),
    "c_with_parameters": _model('backend: "python" parameters { key: "a" value {} }' + IO),
    "c_transactions": _model('backend: "python" model_transaction_policy { decoupled: true }' + IO),
    "c_onnx_by_backend": _model('backend: "onnxruntime"' + IO, "1/model.onnx"),
    "c_onnx_by_platform": _model('platform: "onnxruntime_onnx"' + IO, "1/model.onnx"),
    "c_onnx_by_file": _model(IO, "1/model.onnx"),
    "c_onnx_by_folder": _model(IO, "1/model.onnx/model.onnx"),
    "c_onnx_by_file_name": _model('default_model_filename: "model.onnx"' + IO, "1/model.onnx"),
    "c_onnx_groups": _model(
        'backend: "onnxruntime" instance_group [{ count: 3 }, { kind: KIND_CPU }]' + IO,
        "1/model.onnx",
    ),
    "c_plan_by_file": _model(IO, "1/model.plan"),
    "c_plan_by_platform": _model('platform: "tensorrt_plan"' + IO, "1/model.plan"),
    "c_plan_in_a_folder": _model(IO, "1/model.plan/x", "1/model.onnx"),
    "c_torch_by_file": _model(IO, "1/model.pt"),
    "c_torch_by_backend": _model('backend: "pytorch"' + IO, "1/model.pt"),
    "c_torch_by_platform": _model('platform: "pytorch_libtorch"' + IO, "1/model.pt"),
    "c_torch_in_python": _model('backend: "pytorch" runtime: "model.py"' + IO),
    "c_openvino_by_file": _model(IO, "1/model.xml"),
    "c_openvino_by_backend": _model('backend: "openvino"' + IO, "1/model.xml"),
    "c_savedmodel_by_folder": _model(IO, "1/model.savedmodel/saved_model.pb"),
    "c_savedmodel_by_platform": _model(
        'platform: "tensorflow_savedmodel"' + IO, "1/model.savedmodel/saved_model.pb"
    ),
    "c_savedmodel_by_file_name": _model(
        'default_model_filename: "model.savedmodel"' + IO, "1/model.savedmodel/saved_model.pb"
    ),
    "c_graphdef_by_file": _model(IO, "1/model.graphdef"),
    "c_graphdef_beside_savedmodel": _model(
        IO, "1/model.graphdef", "1/model.savedmodel/saved_model.pb"
    ),
    "c_tensorflow_by_backend": _model('backend: "tensorflow"' + IO, "1/model.graphdef"),
    "c_of_a_standin_backend": _model('backend: "standin"' + IO, "1/"),
    "c_named.standin": _model(IO, "1/model.standin"),
    "c_named_without_a_backend": _model(IO, "1/whatever"),
    "c_a_hidden_folder_first": _model(IO, ".hidden/model.onnx", "1/model.py", "1/model.onnx"),
    "c_first_by_its_bytes": _model(IO, "10/model.onnx", "2/model.onnx", "2/model.py"),
    "c_configs_do_not_count": _model(IO, "1/model.py", "configs/other.pbtxt"),
    "c_metrics": _model('backend: "python" model_metrics {}' + IO),
    "c_non_linear": _model(NON_LINEAR, "1/model.plan"),
    "c_growable": _model(GROWABLE),
}
