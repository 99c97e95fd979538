"""A shim: serves ONNX models where Triton's native onnxruntime backend is missing.

It runs PyPI's onnxruntime inside the python backend. Models and configs are those of the native
backend and stay as they are when that one takes over. The speed is not the native backend's:
requests run one by one, on the CPU, and tensors pass through Python.
"""

import json
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils

ELEMENTS = {"float16": "FP16", "float": "FP32", "double": "FP64"}
DEFAULT_MAX_BATCH_SIZE = 4
"""Triton's, for models that can batch and do not say how far."""


def session(folder, config):
    """The ONNX model of a version folder."""
    file = Path(folder, config.get("default_model_filename") or "model.onnx")
    if not file.exists():
        raise FileNotFoundError(f"{file.name} is missing in version {file.parent.name}")
    return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


def config_of(tensor, batched):
    """What config.pbtxt says of an ONNX tensor."""
    element = tensor.type.removeprefix("tensor(").removesuffix(")")
    dims = [size if isinstance(size, int) else -1 for size in tensor.shape][batched:]
    config = {
        "name": tensor.name,
        "data_type": f"TYPE_{ELEMENTS.get(element, element.upper())}",
        "dims": dims or [1],
    }
    return config if dims else config | {"reshape": {"shape": []}}


class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        """Fills in what the config leaves out: inputs, outputs and the batch size."""
        known = config.as_dict()
        model = session(pb_utils.get_model_dir(), known)
        sides = {"input": model.get_inputs(), "output": model.get_outputs()}
        batched = all(
            tensor.shape and not isinstance(tensor.shape[0], int)
            for tensors in sides.values()
            for tensor in tensors
        )
        if batched:
            if not known["max_batch_size"]:
                config.set_max_batch_size(DEFAULT_MAX_BATCH_SIZE)
            if known["max_batch_size"] > 1 and "sequence_batching" not in known:
                config.set_dynamic_batching()
        elif known["max_batch_size"]:
            raise ValueError(
                f"max_batch_size is {known['max_batch_size']}, but the model has a tensor whose "
                "first dimension is fixed, so that it cannot batch: expected 0"
            )
        for side, tensors in sides.items():
            found = {tensor.name: config_of(tensor, batched) for tensor in tensors}
            for declared in known[side]:
                if declared["name"] not in found:
                    raise ValueError(
                        f"the model has no {side} '{declared['name']}': it has {', '.join(found)}"
                    )
                if declared["data_type"] == "TYPE_INVALID" or not declared["dims"]:
                    declared.update(found[declared["name"]])
            known[side].extend([] if known[side] else found.values())
        return config

    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.session = session(pb_utils.get_model_dir(), config)

    def execute(self, requests):
        return [self.answer(request) for request in requests]

    def answer(self, request):
        feeds = {tensor.name(): from_triton(tensor.as_numpy()) for tensor in request.inputs()}
        names = list(request.requested_output_names())
        try:
            values = self.session.run(names, feeds)
        except Exception as error:  # onnxruntime's own types share no better base
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
        tensors = [pb_utils.Tensor(*pair) for pair in zip(names, values, strict=True)]
        return pb_utils.InferenceResponse(tensors)


def from_triton(array):
    """Strings come as bytes; onnxruntime wants str."""
    if array.dtype != object:
        return array
    return np.array([item.decode() for item in array.flat], object).reshape(array.shape)
