"""Backends, platforms and file names; backends but python are stand-ins that take any config."""

from __future__ import annotations

from .case import Case, Cases, X, Y

STAND_INS = ("onnxruntime", "openvino", "pytorch", "standin", "tensorflow", "tensorrt")


def _said(more: str, *files: str) -> Case:
    return Case(f"{more}\n{X}{Y}", dict.fromkeys(files, b""))


PLATFORMS: Cases = {
    "nothing.standin": _said("", "1/model.standin"),
    "nothing_and_no_suffix": _said("", "1/model.standin"),
    "own_backend": _said('backend: "standin"', "1/any"),
    "own_backend_any_platform": _said('backend: "standin" platform: "any"', "1/any"),
    "backend_absent": _said('backend: "surely_absent"', "1/any"),
    "backend_empty_platform_own": _said('platform: "surely_not_known"', "1/any"),
    "onnx": _said('backend: "onnxruntime"', "1/model.onnx"),
    "onnx_by_platform": _said('platform: "onnxruntime_onnx"', "1/model.onnx"),
    "onnx_by_file": _said("", "1/model.onnx"),
    "onnx_by_file_name": _said('default_model_filename: "model.onnx"', "1/model.onnx"),
    "onnx_in_a_folder": _said("", "1/model.onnx/model.onnx"),
    "onnx_with_other_platform": _said(
        'backend: "onnxruntime" platform: "tensorrt_plan"', "1/model.onnx"
    ),
    "onnx_with_own_platform": _said('backend: "onnxruntime" platform: "any"', "1/model.onnx"),
    "onnx_batches": _said('backend: "onnxruntime" max_batch_size: 4', "1/model.onnx"),
    "onnx_of_newest_only": _said("", "1/model.onnx", "2/model.onnx"),
    "plan_by_file": _said("", "1/model.plan"),
    "plan_that_is_a_folder": _said("", "1/model.plan/x"),
    "plan_profile": _said(
        'platform: "tensorrt_plan" instance_group { profile: "1" }', "1/model.plan"
    ),
    "plan_profile_of_letters": _said(
        'platform: "tensorrt_plan" instance_group { profile: "best" }', "1/model.plan"
    ),
    "plan_profile_negative": _said(
        'platform: "tensorrt_plan" instance_group { profile: "-1" }', "1/model.plan"
    ),
    "libtorch": _said('platform: "pytorch_libtorch"', "1/model.pt"),
    "libtorch_by_file": _said("", "1/model.pt"),
    "libtorch_by_other_name": _said('platform: "libtorch"', "1/model.pt"),
    "libtorch_by_other_name_and_backend": _said(
        'backend: "pytorch" platform: "libtorch"', "1/model.pt"
    ),
    "aoti": _said('backend: "pytorch" platform: "torch_aoti"', "1/model.pt2"),
    "savedmodel_by_file": _said("", "1/model.savedmodel/saved_model.pb"),
    "savedmodel_that_is_a_file": _said("", "1/model.savedmodel"),
    "graphdef_by_file": _said("", "1/model.graphdef"),
    "tensorflow_alone": _said('backend: "tensorflow"', "1/any"),
    "tensorflow_by_file_name": _said(
        'backend: "tensorflow" default_model_filename: "model.graphdef"', "1/model.graphdef"
    ),
    "openvino_by_file": _said("", "1/model.xml", "1/model.bin"),
    "openvino_with_platform": _said('backend: "openvino" platform: "any"', "1/model.xml"),
    "python_by_file_name": Case('default_model_filename: "model.py"'),
    "python_by_file": Case(f"{X}{Y}"),
    "python_with_platform": Case('backend: "python" platform: "any"'),
    "runtime": Case('backend: "standin" runtime: "model.py"'),
    "runtime_absent": Case('backend: "standin" runtime: "libtriton_absent.so"'),
    "ensemble_alone": _said('platform: "ensemble"', "1/"),
    "ensemble_with_backend": _said('platform: "ensemble" backend: "python"', "1/"),
}
